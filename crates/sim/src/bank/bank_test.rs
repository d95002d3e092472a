//! The bank's checkers find what is planted. That it holds and repeats exactly is for `simulate`, a process a seed: seeds that
//! share a process share tokio's counter of `select!` branches too.

use std::sync::Arc;

use settee_core::planted::Bug;

use super::{Bank, Plant};
use crate::{Options, SeedReport, Workload, seed};

/// How long a seed of a debug build on a busy machine may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

fn run(number: u64, plant: Plant) -> SeedReport {
    let bank: Arc<dyn Workload> = Arc::new(Bank { plant: Some(plant) });
    seed(&bank, number, &Options { patience: PATIENCE, ..Options::default() })
}

/// A fast plant of the product and one outside of it; the rest is for `simulate --planted`.
#[test]
fn planted_bugs_are_found() {
    for plant in [Plant::Product(Bug::MixesKeys), Plant::Product(Bug::RunsByNow), Plant::MintsMoney] {
        let finds = |number: &u64| run(*number, plant).violations.iter().any(|violation| violation.invariant == plant.breaks());
        assert!((1..6).any(|number| finds(&number)), "{plant} is not found by {}", plant.breaks());
    }
}
