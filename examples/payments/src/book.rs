//! The payment service's own memory: which order was tried under which transaction, and how it ended.

use std::time::Duration;

use settee::error::codes;
use settee::{Error, ErrorKind, Reply};
use settee_sqlx::Database;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, query};

use crate::api::{Refusal, Transfer};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS orders (
        id      TEXT PRIMARY KEY,
        content TEXT NOT NULL,
        xid     TEXT,
        outcome TEXT
    ) WITHOUT ROWID";
const FIND: &str = "SELECT content, xid, outcome FROM orders WHERE id = ?1";
const TRIED: &str = "INSERT INTO orders (id, content, xid) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO UPDATE SET xid = excluded.xid WHERE outcome IS NULL AND xid IS ?4 AND content = excluded.content";
const ENDED: &str = "INSERT INTO orders (id, content, xid, outcome) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (id) DO UPDATE SET xid = excluded.xid, outcome = excluded.outcome WHERE outcome IS NULL";

/// When to ask again for the outcome of an order that another process makes: about as long as one takes.
const WHILE_MADE: Duration = Duration::from_millis(20);

/// The outcome of a transfer that was made.
const SETTLED: &str = "settled";

/// The book of orders.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    database: Database,
}

/// What the book says of an order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Nothing.
    New,
    /// Another order has this id.
    OtherContent,
    /// It was tried under this transaction, and nobody wrote down how that ended.
    Tried(String),
    /// It was made by this transaction.
    Settled(String),
    /// It was refused.
    Refused(Refusal),
}

impl Book {
    pub(crate) async fn open(database: Database) -> Reply<Self> {
        let mut tx = database.begin().await?;
        query(TABLE).execute(&mut tx).await?;
        tx.commit().await?;
        Ok(Self { database })
    }

    pub(crate) async fn find(&self, order: &Transfer) -> Reply<Entry> {
        let row = query(FIND).bind(&order.id).fetch_optional(&mut self.database.read().await?).await?;
        Ok(row.map_or(Ok(Entry::New), |row| read(&row, order).map_err(Error::internal))?)
    }

    /// Writes down that `xid` is about to be tried, and no longer the one `before`; durable when it returns. Fails when the book
    /// says something else by now: two transactions of one order must never be tried side by side.
    pub(crate) async fn tried(&self, order: &Transfer, xid: &str, before: Option<&str>) -> Reply<()> {
        let mut tx = self.database.begin().await?;
        let written = query(TRIED).bind(&order.id).bind(content(order)).bind(xid).bind(before).execute(&mut tx).await?;
        if written.rows_affected() != 1 {
            return Err(being_made(order).into());
        }
        Ok(tx.commit().await?)
    }

    /// Writes down how the order ended; durable when it returns. The first outcome stays.
    pub(crate) async fn ended(&self, order: &Transfer, xid: Option<&str>, outcome: Result<(), &Refusal>) -> Reply<()> {
        let outcome = match outcome {
            Ok(()) => SETTLED.to_owned(),
            Err(refusal) => serde_json::to_string(refusal).map_err(Error::internal)?,
        };
        let mut tx = self.database.begin().await?;
        query(ENDED).bind(&order.id).bind(content(order)).bind(xid).bind(outcome).execute(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

fn being_made(order: &Transfer) -> Error {
    let message = format!("make order {}: another process makes it", order.id);
    Error::new(ErrorKind::Limited, codes::CONCURRENCY_LIMITED, message).with_retry_after(WHILE_MADE)
}

fn read(row: &SqliteRow, order: &Transfer) -> Result<Entry, Box<dyn std::error::Error + Send + Sync>> {
    if row.try_get::<String, _>("content")? != content(order) {
        return Ok(Entry::OtherContent);
    }
    let xid = row.try_get::<Option<String>, _>("xid")?;
    Ok(match (row.try_get::<Option<String>, _>("outcome")?.as_deref(), xid) {
        (Some(SETTLED), Some(xid)) => Entry::Settled(xid),
        (Some(refusal), _) => Entry::Refused(serde_json::from_str(refusal)?),
        (None, Some(xid)) => Entry::Tried(xid),
        (None, None) => Entry::New,
    })
}

/// What makes two orders the same, as text: its own fields with a separator that none of them can hold.
fn content(order: &Transfer) -> String {
    [&order.debtor, &order.creditor, &order.amount, &order.currency, &order.text].map(String::as_str).join("\u{1f}")
}
