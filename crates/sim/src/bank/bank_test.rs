//! The bank holds, repeats exactly, and its checkers find what is planted. More seeds: `simulate`.

use std::sync::Arc;

use super::{Bank, Plant};
use crate::{Options, SeedReport, Workload, seed};

/// How long a seed of a debug build on a busy machine may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

fn run(number: u64, plant: Option<Plant>) -> SeedReport {
    let bank: Arc<dyn Workload> = Arc::new(Bank { plant });
    seed(&bank, number, &Options { patience: PATIENCE, ..Options::default() })
}

#[test]
fn the_bank_holds_and_moves_money_in_every_seed() {
    for number in [1, 2, 3, 14] {
        let report = run(number, None);
        assert_eq!(report.violations, [], "seed {number}: {}", report.swarm);
        assert!(report.states["transfer settled"] > 5 && report.states["run had its effect"] > 5, "{:?}", report.states);
    }
}

/// A fast plant for each kind of checker; the rest is for `simulate --planted`.
#[test]
fn planted_bugs_are_found() {
    for plant in
        [Plant::MintsMoney, Plant::ForgetsFence, Plant::PublishesBeforeCommit, Plant::AcknowledgesFirst, Plant::PushesEmptyList]
    {
        let finds = |number: &u64| {
            let report = run(*number, Some(plant));
            report.violations.iter().any(|violation| plant.breaks().contains(&violation.invariant.as_str()))
        };
        assert!((1..6).any(|number| finds(&number)), "{plant} is not found by {:?}", plant.breaks());
    }
}
