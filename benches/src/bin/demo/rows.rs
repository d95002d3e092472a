//! The rows that a run of the demo left in its databases.

use rusqlite::{Connection, Row, params};

const SCHEMA: &str = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'";
/// A ledger's fences in the order in which they were made, beside its entries, debits to debits and credits to credits.
const LEGS: &str = "WITH
    fences AS (SELECT *, rowid AS made, service = 'pay.Debit' AS debit,
        row_number() OVER (PARTITION BY service ORDER BY rowid) AS place FROM settee_fence WHERE state = 2),
    moves AS (SELECT *, minor < 0 AS debit, row_number() OVER (PARTITION BY minor < 0 ORDER BY transfer) AS place FROM entries)
    SELECT xid, branch, service, claim, saved, deadline_ms, updated_at_ms, transfer, account, minor
    FROM fences JOIN moves USING (debit, place) ORDER BY made";
const IS_LEDGER: &str = "SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = 'accounts'";
const ORDERS: &str = "SELECT id, content, xid, outcome FROM orders";
const NOTIFICATIONS: &str = "WITH
    seen AS (SELECT *, row_number() OVER (ORDER BY seen_at_ms, message_id) AS place FROM settee_inbox),
    told AS (SELECT *, row_number() OVER (ORDER BY transfer_id) AS place FROM notifications)
    SELECT consumer_group, topic, message_id, seen_at_ms, transfer_id, text FROM seen JOIN told USING (place)";

/// One side of a transfer, in its ledger.
pub(crate) struct Leg {
    pub(crate) xid: Vec<u8>,
    pub(crate) branch: String,
    pub(crate) service: String,
    pub(crate) claim: Vec<u8>,
    pub(crate) saved: Vec<u8>,
    pub(crate) deadline_ms: i64,
    pub(crate) updated_at_ms: i64,
    pub(crate) transfer: String,
    pub(crate) account: String,
    pub(crate) minor: i64,
}

impl Leg {
    pub(crate) fn is_debit(&self) -> bool {
        self.minor < 0
    }
}

/// An order of the payment service's book.
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) content: String,
    pub(crate) xid: String,
    pub(crate) outcome: String,
}

/// A message that was processed, and what it led to.
pub(crate) struct Notification {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) message: String,
    pub(crate) seen_at_ms: i64,
    pub(crate) transfer: String,
    pub(crate) text: String,
}

pub(crate) fn schema(source: &Connection) -> anyhow::Result<Vec<String>> {
    all(source, SCHEMA, |row| row.get(0))
}

pub(crate) fn legs(source: &Connection) -> anyhow::Result<Vec<Leg>> {
    all(source, LEGS, |row| {
        Ok(Leg {
            xid: row.get(0)?,
            branch: row.get(1)?,
            service: row.get(2)?,
            claim: row.get(3)?,
            saved: row.get(4)?,
            deadline_ms: row.get(5)?,
            updated_at_ms: row.get(6)?,
            transfer: row.get(7)?,
            account: row.get(8)?,
            minor: row.get(9)?,
        })
    })
}

pub(crate) fn orders(source: &Connection) -> anyhow::Result<Vec<Order>> {
    all(source, ORDERS, |row| Ok(Order { id: row.get(0)?, content: row.get(1)?, xid: row.get(2)?, outcome: row.get(3)? }))
}

pub(crate) fn notifications(source: &Connection) -> anyhow::Result<Vec<Notification>> {
    all(source, NOTIFICATIONS, |row| {
        Ok(Notification {
            group: row.get(0)?,
            topic: row.get(1)?,
            message: row.get(2)?,
            seen_at_ms: row.get(3)?,
            transfer: row.get(4)?,
            text: row.get(5)?,
        })
    })
}

/// Opens the accounts of a ledger anew, if it is one.
pub(crate) fn copy_accounts(source: &Connection, target: &Connection) -> anyhow::Result<()> {
    let is_ledger = source.query_row(IS_LEDGER, [], |row| row.get::<_, bool>(0))?;
    if !is_ledger {
        return Ok(());
    }
    let accounts = all(source, "SELECT account, owner, currency, opened_minor, closed FROM accounts", |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, i64>(3)?,
            row.get::<_, i64>(4)?,
        ))
    })?;
    target.execute_batch("BEGIN")?;
    for (account, owner, currency, opened, closed) in accounts {
        target.execute(
            "INSERT INTO accounts (account, owner, currency, balance_minor, opened_minor, closed) VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
            // Debits are written in another order than they were made in, so every account can pay what it ever paid.
            params![account, owner, currency, opened + PLENTY, closed],
        )?;
    }
    Ok(target.execute_batch("COMMIT")?)
}

/// More than any account of the demo pays in all.
const PLENTY: i64 = 1 << 50;

fn all<T>(source: &Connection, query: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> anyhow::Result<Vec<T>> {
    let mut statement = source.prepare(query)?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
