//! What the databases of the services hold, read behind their backs: all of it at one instant of virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures::executor::block_on;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Error, query, query_as, raw_sql};

const ACCOUNTS: &str = "SELECT account, currency, balance_minor, frozen_minor, opened_minor,
    opened_minor + (SELECT COALESCE(SUM(minor), 0) FROM entries WHERE entries.account = accounts.account) FROM accounts";
const ENTRIES: &str = "SELECT transfer, account, minor FROM entries";
const OUTBOX: &str = "SELECT message_id, set_aside FROM settee_outbox";
const OPEN_FENCES: &str = "SELECT hex(xid), branch FROM settee_fence WHERE state = 1";
const NOTIFICATIONS: &str = "SELECT transfer_id FROM notifications";
const OUTCOMES: &str = "SELECT id, outcome FROM orders WHERE outcome IS NOT NULL";

/// One account.
#[derive(Clone, Debug)]
pub(super) struct AccountRow {
    pub(super) account: String,
    pub(super) currency: String,
    pub(super) balance: i64,
    pub(super) frozen: i64,
    pub(super) opened: i64,
    /// What its entries add up to.
    pub(super) entered: i64,
}

/// One side of a transfer that was made: the account and the amount, negative for the debtor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) account: String,
    pub(super) minor: i64,
}

/// One ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) accounts: Vec<AccountRow>,
    pub(super) entries: BTreeMap<String, Vec<Entry>>,
    /// Messages that are not published yet, and why if they never will be.
    pub(super) outbox: Vec<(String, Option<String>)>,
    /// Branches whose try was made and whose phase two was not.
    pub(super) open_fences: Vec<(String, String)>,
}

/// Reads one database again and again through one connection.
pub(super) struct Reader {
    path: PathBuf,
    connection: Option<SqliteConnection>,
}

impl Reader {
    pub(super) fn of(path: PathBuf) -> Self {
        Self { path, connection: None }
    }

    /// Reads a ledger, if its tables are there.
    pub(super) fn ledger(&mut self) -> Result<Ledger, Error> {
        self.reading(read_ledger)
    }

    fn reading<T>(&mut self, read: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, Error>) -> Result<T, Error> {
        block_on(async {
            let connection = match self.connection.take() {
                Some(open) => self.connection.insert(open),
                None => self.connection.insert(options(&self.path).connect().await?),
            };
            query("BEGIN").execute(&mut *connection).await?;
            let done = read(connection).await;
            query("ROLLBACK").execute(&mut *connection).await?;
            done
        })
    }
}

async fn read_ledger(connection: &mut SqliteConnection) -> Result<Ledger, Error> {
    let rows: Vec<(String, String, i64, i64, i64, i64)> = query_as(ACCOUNTS).fetch_all(&mut *connection).await?;
    let accounts = rows.into_iter().map(|(account, currency, balance, frozen, opened, entered)| AccountRow {
        account,
        currency,
        balance,
        frozen,
        opened,
        entered,
    });
    let accounts = accounts.collect();
    let mut entries = BTreeMap::<String, Vec<Entry>>::new();
    let rows: Vec<(String, String, i64)> = query_as(ENTRIES).fetch_all(&mut *connection).await?;
    for (transfer, account, minor) in rows {
        entries.entry(transfer).or_default().push(Entry { account, minor });
    }
    let outbox = query_as(OUTBOX).fetch_all(&mut *connection).await?;
    let open_fences = query_as(OPEN_FENCES).fetch_all(&mut *connection).await?;
    Ok(Ledger { accounts, entries, outbox, open_fences })
}

/// The transfers that were notified.
pub(super) fn notifications(path: &Path) -> Result<BTreeSet<String>, Error> {
    reading(path, async |connection| {
        let rows: Vec<(String,)> = query_as(NOTIFICATIONS).fetch_all(connection).await?;
        Ok(rows.into_iter().map(|(transfer,)| transfer).collect())
    })
}

/// The orders that have an outcome in the book of the payment service.
pub(super) fn outcomes(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    reading(path, async |connection| {
        let rows: Vec<(String, String)> = query_as(OUTCOMES).fetch_all(connection).await?;
        Ok(rows.into_iter().collect())
    })
}

/// Plants a bug into a database: statements that run beside those of the service, such as a trigger.
pub(super) fn plant(path: &Path, sql: &'static str) -> Result<(), Error> {
    block_on(async {
        let mut connection = options(path).connect().await?;
        raw_sql(sql).execute(&mut connection).await?;
        connection.close().await
    })
}

fn reading<T>(path: &Path, read: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, Error>) -> Result<T, Error> {
    Reader::of(path.to_owned()).reading(read)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::ZERO).disable_statement_logging()
}
