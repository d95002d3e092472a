//! The bank: the whole system, the same types as in the binaries, under the faults of a seed.
//!
//! ```text
//!  bank (customers) --> payment --> account-1, account-2      real SQLite each; transfers are global transactions
//!    | letters             |            | outbox
//!    | one-shots           v            v
//!    +----------------> server (registry, coordinator, topics, jobs; simulated disk or engines beside it)
//!                          |            |                |
//!                       notify       recorder      worker-1, worker-2        watcher: sees the registry, auditor: the books
//! ```
//! Read `stage`, then the programs (`server`, `apps`, `customers`, `letters`, `runs`, `directory`; `till`, `desk` and `agency` for
//! calls, limits and nested branches; `impostor`, `rival` and `switch` for what else goes wrong), then `checks`: a file for each
//! group of invariants. `plant` has the bugs that show that the checks can fail. Left out: servers that share the shards, since one
//! owns all of them in the embedded form, and power cuts of the SQLite nodes, whose files are real: they are kills there.

mod agency;
mod apps;
mod books;
mod checks;
mod customers;
mod desk;
mod directory;
mod folder;
mod impostor;
mod journal;
mod letters;
mod plant;
mod rival;
mod runs;
mod server;
mod sql;
mod stage;
mod switch;
mod till;

pub use plant::Plant;

use std::sync::Arc;
use std::time::Duration;

use settee_core::env;
use settee_core::planted::arm;

use crate::node::Boot;
use crate::run::{Checks, Workload};
use crate::world::World;

use self::stage::Stage;

/// Between two looks at the books while the system runs.
const AUDIT_EVERY: Duration = Duration::from_millis(500);

/// What many seeds together must reach.
const REACHES: [&str; 28] = [
    "application refused to start",
    "application stopped in order",
    "dead letter",
    "duplicate suppressed",
    "effect repeated without an inbox",
    "instance orphaned",
    "letter acknowledged",
    "letter delivered again",
    "letter not acknowledged",
    "log stopped",
    "order repeated after healing",
    "overdue try ended",
    "relay fenced and reopened",
    "run dispatched again",
    "run ended unknown",
    "run had its effect",
    "run triggered",
    "run's effect suppressed",
    "server lost its store",
    "torn tail cut",
    "transaction aborted by its application",
    "transaction aborted by its deadline",
    "transaction committed",
    "transaction presumed aborted",
    "transfer refused",
    "transfer settled",
    "transfer told not done",
    "transfer told unknown",
];

/// The bank, with a planted bug or none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bank {
    /// The planted bug.
    pub plant: Option<Plant>,
}

impl Workload for Bank {
    fn build(&self, world: &World) -> Box<dyn Checks> {
        // On the thread of this seed, and before anything runs on it.
        arm(self.plant.and_then(Plant::bug));
        let stage = Stage::new(world, self.plant);
        let beside = server::add(&stage);
        let account =
            |node, share| apps::add(&stage, node, "account", Some(share), move |app, stage| apps::account(app, stage, node));
        let accounts = [account("account-1", "0/2"), account("account-2", "1/2")];
        let payment = apps::add(&stage, "payment", "payment", None, apps::payment);
        let notify = apps::add(&stage, "notify", "notify", None, apps::notify);
        let workers = ["worker-1", "worker-2"].map(|node| apps::add(&stage, node, "worker", None, runs::worker));
        apps::add(&stage, "recorder", "recorder", None, letters::recorder);
        stage.views.publishers("pay.Account", &accounts);
        stage.views.publishers("pay.Debit", &accounts);
        stage.views.publishers("pay.Payment", &[payment]);
        stage.views.publishers("pay.Notify", &[notify]);
        stage.views.publishers("job.beat", &workers);
        client(&stage, "bank", customers::run);
        client(&stage, "watcher", directory::watch);
        client(&stage, "auditor", audit);
        client(&stage, "switch", switch::fail);
        rival::add(&stage, beside);
        Box::new(checks::Bank(stage))
    }

    fn reaches(&self) -> &'static [&'static str] {
        &REACHES
    }
}

fn client<F>(stage: &Arc<Stage>, name: &str, program: impl Fn(Arc<Stage>, Boot) -> F + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let world = stage.world.clone();
    let stage = stage.clone();
    world.client(name, move |boot| program(stage.clone(), boot));
}

/// The program of the auditor: looks at both ledgers at one instant, again and again.
async fn audit(stage: Arc<Stage>, _: Boot) {
    env::spawn(checks::bounds::i13_nothing_grows_beyond_its_bound(stage.clone()));
    let mut readers = ["account-1", "account-2"].map(|name| books::Reader::of(stage.database(name)));
    loop {
        tokio::time::sleep(AUDIT_EVERY).await;
        let ledgers: Result<Vec<_>, _> = readers.iter_mut().map(books::Reader::ledger).collect();
        // A ledger that has no tables yet, or that is being closed, is looked at the next time.
        let Ok(ledgers) = ledgers else { continue };
        checks::money::at_an_instant(&ledgers).into_iter().for_each(|violation| stage.world.violated(violation));
    }
}

#[cfg(test)]
#[path = "bank_test.rs"]
mod tests;
