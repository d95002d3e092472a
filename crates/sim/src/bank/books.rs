//! What the databases of the services hold, read behind their backs: all of it at one instant of virtual time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::executor::block_on;
use settee::txn::Xid;
use settee_core::txn::fence::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Error, query, query_as, raw_sql};

const ACCOUNTS: &str = "SELECT account, currency, balance_minor, frozen_minor, opened_minor,
    opened_minor + (SELECT COALESCE(SUM(minor), 0) FROM entries WHERE entries.account = accounts.account) FROM accounts";
const ENTRIES: &str = "SELECT transfer, account, minor FROM entries";
const OUTBOX: &str = "SELECT message_id, set_aside FROM settee_outbox";
const FENCES: &str = "SELECT xid, branch, state FROM settee_fence";
const NOTIFICATIONS: &str = "SELECT transfer_id FROM notifications";

/// The table of the notify service without its key, made before the service makes its own: here the inbox alone keeps a message
/// from having its effect twice.
pub(super) const KEYLESS_NOTIFICATIONS: &str =
    "CREATE TABLE IF NOT EXISTS notifications (transfer_id TEXT NOT NULL, text TEXT NOT NULL)";
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
    /// What the ledger did with each branch.
    pub(super) fences: BTreeMap<(Xid, String), Row>,
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

    /// Reads a ledger, if its tables are there, with everything that it did with branches.
    pub(super) fn ledger_and_fences(&mut self) -> Result<Ledger, Error> {
        self.reading(read_ledger_and_fences)
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

async fn read_ledger_and_fences(connection: &mut SqliteConnection) -> Result<Ledger, Error> {
    let ledger = read_ledger(&mut *connection).await?;
    let rows: Vec<(Vec<u8>, String, i64)> = query_as(FENCES).fetch_all(connection).await?;
    let fences = rows.into_iter().filter_map(|(xid, branch, state)| {
        let xid = Xid::from_bytes(xid.try_into().ok()?);
        Some(((xid, branch), Row::from_number(state)?))
    });
    Ok(Ledger { fences: fences.collect(), ..ledger })
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
    Ok(Ledger { accounts, entries, outbox, fences: BTreeMap::new() })
}

/// The transfers that were notified, each as often as it was.
pub(super) fn notifications(path: &Path) -> Result<Vec<String>, Error> {
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

/// Runs statements in a database behind its service's back.
pub(super) fn run(path: &Path, sql: &'static str) -> Result<(), Error> {
    block_on(async {
        let mut connection = options(path).create_if_missing(true).connect().await?;
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
