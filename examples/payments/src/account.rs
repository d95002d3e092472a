//! The account service: a ledger in SQLite that takes part in transfers and proves its sums.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use settee::app::App;
use settee::error::codes;
use settee::job::Run;
use settee::{Error, ErrorKind, Reply, refuse};
use settee_sqlx::{Database, DatabaseOptions, Tx};

use crate::api::{
    Account, AccountServer, Balance, Credit, CreditServer, Debit, DebitServer, Hold, Leg, NewAccount, RECONCILE, Refusal,
    Settled, TRANSFERS, Total,
};
use crate::ledger;

/// When to try again a debit that others' holds stand in the way of.
const WHILE_HELD: Duration = Duration::from_millis(20);

/// What the account service is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file of the ledger.
    pub database: PathBuf,
}

/// One ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    database: Database,
}

/// What a ledger says of itself, for reconciliation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The sums.
    pub totals: Vec<Total>,
    /// Accounts whose balance is not what their entries add up to.
    pub out_of_balance: i64,
}

impl Ledger {
    /// Opens the ledger and makes its tables.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn open(config: &Config, options: DatabaseOptions) -> Reply<Self> {
        let database = Database::open(&config.database, options).await?;
        ledger::create(&database).await?;
        Ok(Self { database })
    }
}

/// Puts the account service together.
///
/// # Errors
/// What the database reports.
pub async fn service(app: App, config: &Config, options: DatabaseOptions) -> Reply<App> {
    let ledger = Ledger::open(config, options).await?;
    let database = ledger.database.clone();
    let closing = database.clone();
    Ok(app
        .serve(AccountServer::new(ledger.clone()))
        .participate(DebitServer::new(ledger.clone(), database.clone()))
        .participate(CreditServer::new(ledger.clone(), database.clone()))
        .outbox(database.clone())
        .background(|shutdown| async move { database.sweep(shutdown).await })
        .job(reconcile(ledger))
        .when_stopped(|| async move { closing.close().await }))
}

impl Account for Ledger {
    async fn find(&self, account: String) -> Reply<Balance, Refusal> {
        ledger::find(&self.database, &account).await
    }

    async fn open(&self, _ledger: String, accounts: Vec<NewAccount>) -> Reply<()> {
        ledger::open(&self.database, &accounts).await
    }

    async fn totals(&self, _ledger: String) -> Reply<Vec<Total>> {
        ledger::totals(&self.database).await
    }

    async fn list(&self, _ledger: String, after: String) -> Reply<Vec<Balance>> {
        ledger::list(&self.database, &after).await
    }
}

impl Debit for Ledger {
    type Tx = Tx;

    async fn attempt(&self, tx: &mut Tx, order: &Leg) -> Reply<Hold, Refusal> {
        let balance = ledger::check(tx, order).await?;
        if ledger::freeze(tx, order).await? {
            return Ok(Hold { minor: order.minor });
        }
        // What others hold may come back: only a balance that is too low is an answer for ever.
        Err(if balance.minor >= order.minor { held().into() } else { refuse(Refusal::InsufficientFunds) })
    }

    async fn confirm(&self, tx: &mut Tx, order: &Leg, _: &Hold) -> Reply<()> {
        ledger::take(tx, order).await?;
        let settled = Settled {
            transfer: order.transfer.clone(),
            debtor: order.account.clone(),
            minor: order.minor,
            currency: order.currency.clone(),
        };
        Ok(tx.publish(TRANSFERS, &order.transfer, &settled).await?)
    }

    async fn cancel(&self, tx: &mut Tx, order: &Leg, _: &Hold) -> Reply<()> {
        Ok(ledger::release(tx, order).await?)
    }
}

fn held() -> Error {
    let message = "debit an account: what would cover it is held by other transfers";
    Error::new(ErrorKind::Limited, codes::CONCURRENCY_LIMITED, message).with_retry_after(WHILE_HELD)
}

impl Credit for Ledger {
    type Tx = Tx;

    async fn attempt(&self, tx: &mut Tx, order: &Leg) -> Reply<Hold, Refusal> {
        let balance = ledger::check(tx, order).await?;
        // Said now: once it is decided, a credit that does not fit could never be confirmed. Credits that are under way together
        // fit because of the ledger's ceiling.
        if balance.minor.checked_add(order.minor).is_none() {
            return Err(refuse(Refusal::TooLarge));
        }
        Ok(Hold { minor: order.minor })
    }

    async fn confirm(&self, tx: &mut Tx, order: &Leg, _: &Hold) -> Reply<()> {
        Ok(ledger::add(tx, order).await?)
    }

    async fn cancel(&self, _: &mut Tx, _: &Leg, _: &Hold) -> Reply<()> {
        Ok(())
    }
}

/// Proves that the ledger's sums are those of its entries: a slice for each ledger; whoever asks adds the proofs up.
#[settee::job(name = RECONCILE, cron = "0 0 2 * * *", zone = "Europe/Zurich", misfire = "once", per_share)]
async fn reconcile(_run: Run, ledger: Ledger) -> Reply<Proof> {
    let totals = ledger::totals(&ledger.database).await?;
    Ok(Proof { totals, out_of_balance: ledger::out_of_balance(&ledger.database).await? })
}

#[cfg(test)]
#[path = "account_test.rs"]
mod tests;

#[cfg(test)]
#[path = "account_overflow_test.rs"]
mod overflow_tests;
