//! A participant that is a caller itself: an agency makes a transfer in its own name, so that both of its branches join the
//! transaction through the agency's branch.
//!
//! ```text
//! bank --attempt 1--> agency --attempt 1.1--> debit        the answer of 1 brings 1.1 and 1.2 with it, also when it is repeated
//!                            \--attempt 1.2--> credit
//! ```
//! In one seed of two, beside the payment service on its node. Its effect is that of any transfer, and is checked as such.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use settee::app::App;
use settee::txn::{LocalTx, Transactions};
use settee::{Certainty, Context, Error, Reply};
use settee_core::env;
use settee_payments::api::{CreditClient, DebitClient, Hold, Leg, Refusal};
use settee_sqlx::{Database, Tx};
use sqlx::query;

use super::customers::draw;
use super::sql;
use super::stage::{Stage, millis_between, sleep_between};
use crate::faults::SAFETY;

/// How long an errand may take before it is aborted.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Between two errands, in milliseconds.
const PAUSE_MILLIS: (usize, usize) = (1_000, 5_000);

/// How long whoever sends an errand waits: for every second one hardly as long as it takes, in milliseconds, so that it is often given
/// up while its commit is under way.
const PATIENCE: Duration = Duration::from_secs(8);
const SHORT_MILLIS: (usize, usize) = (30, 200);

/// Before the end of the safety phase, new errands end.
const LAST_ERRANDS: Duration = Duration::from_secs(3);

const TABLE: &str = "CREATE TABLE IF NOT EXISTS errands (transfer TEXT PRIMARY KEY, done INTEGER NOT NULL)";
const ENTER: &str = "INSERT INTO errands (transfer, done) VALUES (?, 0)";
const FINISH: &str = "UPDATE errands SET done = 1 WHERE transfer = ?";
const REMOVE: &str = "DELETE FROM errands WHERE transfer = ?";

/// A transfer to be made in the agency's name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Errand {
    debit: Leg,
    credit: Leg,
}

/// Makes transfers for others.
#[settee::tcc("bank.Agency")]
pub(super) trait Agency {
    type Tx: LocalTx;
    /// Tries both sides.
    async fn attempt(&self, tx: &mut Self::Tx, order: &Errand) -> Reply<Hold, Refusal>;
    /// The sides are confirmed by themselves.
    async fn confirm(&self, tx: &mut Self::Tx, order: &Errand, hold: &Hold) -> Reply<()>;
    /// The sides are cancelled by themselves.
    async fn cancel(&self, tx: &mut Self::Tx, order: &Errand, hold: &Hold) -> Reply<()>;
}

struct Agent {
    debit: DebitClient,
    credit: CreditClient,
}

impl Agency for Agent {
    type Tx = Tx;

    async fn attempt(&self, tx: &mut Tx, order: &Errand) -> Reply<Hold, Refusal> {
        let branch = tx.branch().cloned().ok_or_else(|| Error::internal("a try without a branch"))?;
        query(ENTER).bind(&order.debit.transfer).execute(tx).await?;
        let (debited, credited) =
            tokio::join!(branch.attempt(&self.debit, order.debit.clone()), branch.attempt(&self.credit, order.credit.clone()));
        debited.and(credited)
    }

    async fn confirm(&self, tx: &mut Tx, order: &Errand, _: &Hold) -> Reply<()> {
        query(FINISH).bind(&order.debit.transfer).execute(tx).await?;
        Ok(())
    }

    async fn cancel(&self, tx: &mut Tx, order: &Errand, _: &Hold) -> Reply<()> {
        query(REMOVE).bind(&order.debit.transfer).execute(tx).await?;
        Ok(())
    }
}

/// Whether there is an agency in this seed.
fn exists(stage: &Stage) -> bool {
    stage.world.seed() & 1 == 1
}

/// Opens the agency in a process, if there is one in this seed.
pub(super) async fn open(app: App, stage: &Stage) -> Result<App, Error> {
    if !exists(stage) {
        return Ok(app);
    }
    let database = Database::open(stage.database("agency"), sql::options(&stage.world)).await?;
    let mut tx = database.begin().await?;
    query(TABLE).execute(&mut tx).await.map_err(Error::internal)?;
    tx.commit().await?;
    let agent = Agent { debit: app.client(), credit: app.client() };
    Ok(app.participate(AgencyServer::new(agent, database)))
}

/// Sends errands to the agency, now and then.
pub(super) async fn send(stage: Arc<Stage>, agency: AgencyClient, transactions: Transactions) {
    let mut number = 0;
    while exists(&stage) && stage.world.elapsed() + LAST_ERRANDS < SAFETY {
        sleep_between(PAUSE_MILLIS.0, PAUSE_MILLIS.1).await;
        number += 1;
        let transfer = draw(format!("e-{number}"));
        let minor = 1 + i64::from(number);
        let errand = Errand { debit: transfer.debit(minor), credit: transfer.credit(minor) };
        let ended = Context::root("bank").with_timeout(patience()).scope(run(&agency, &transactions, errand)).await;
        stage.world.record("errand", format_args!("{} {ended:?}", transfer.id));
        stage.world.reached(if ended.is_ok() { "errand made" } else { "errand not made" });
        stage.journal.errand_ended(transfer.id, ended);
    }
}

fn patience() -> Duration {
    let short = millis_between(SHORT_MILLIS.0, SHORT_MILLIS.1);
    if env::random_below(2) == 0 { short } else { PATIENCE }
}

/// Whether it was made, or how certain it is that it was not.
async fn run(agency: &AgencyClient, transactions: &Transactions, errand: Errand) -> Result<(), Certainty> {
    let transfer = transactions.begin("errand", TIMEOUT).with_reference(&errand.debit.transfer);
    if transfer.attempt(agency, errand).await.is_ok() {
        return transfer.commit().await.map_err(|error| error.certainty());
    }
    // Nobody waits for the abort: it follows by itself, at the deadline at the latest. What was not to be committed is not made.
    drop(transfer.abort().await);
    Err(Certainty::NotDone)
}
