//! The SQL of a ledger. Amounts are minor units; `balance_minor` includes what is frozen.

use std::collections::BTreeMap;

use settee::{Reply, refuse};
use settee_sqlx::{Database, Tx};
use sqlx::sqlite::SqliteRow;
use sqlx::{Error, Row, query};

use crate::api::{Balance, Leg, NewAccount, Refusal, Total};
use crate::ceiling;

const ACCOUNTS: &str = "CREATE TABLE IF NOT EXISTS accounts (
        account       TEXT    PRIMARY KEY,
        owner         TEXT    NOT NULL,
        currency      TEXT    NOT NULL,
        balance_minor INTEGER NOT NULL CHECK (typeof(balance_minor) = 'integer' AND balance_minor >= frozen_minor),
        frozen_minor  INTEGER NOT NULL DEFAULT 0 CHECK (frozen_minor >= 0),
        opened_minor  INTEGER NOT NULL,
        closed        INTEGER NOT NULL
    ) WITHOUT ROWID";
const ENTRIES: &str = "CREATE TABLE IF NOT EXISTS entries (
        transfer TEXT    NOT NULL,
        account  TEXT    NOT NULL,
        minor    INTEGER NOT NULL,
        PRIMARY KEY (transfer, account)
    ) WITHOUT ROWID";
const OPEN: &str = "INSERT INTO accounts (account, owner, currency, balance_minor, opened_minor, closed)
    VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT DO NOTHING";
const FIND: &str = "SELECT account, currency, balance_minor, frozen_minor, closed FROM accounts WHERE account = ?1";
const LIST: &str = "SELECT account, currency, balance_minor, frozen_minor, closed FROM accounts
    WHERE account > ?1 ORDER BY account LIMIT 1000";
const FREEZE: &str = "UPDATE accounts SET frozen_minor = frozen_minor + ?1
    WHERE account = ?2 AND balance_minor - frozen_minor >= ?1";
const RELEASE: &str = "UPDATE accounts SET frozen_minor = frozen_minor - ?1 WHERE account = ?2";
const TAKE: &str = "UPDATE accounts SET balance_minor = balance_minor - ?1, frozen_minor = frozen_minor - ?1 WHERE account = ?2";
const ADD: &str = "UPDATE accounts SET balance_minor = balance_minor + ?1 WHERE account = ?2";
const ENTER: &str = "INSERT INTO entries (transfer, account, minor) VALUES (?1, ?2, ?3)";
const TOTALS: &str = "SELECT currency, SUM(balance_minor) AS minor, SUM(frozen_minor) AS frozen, SUM(opened_minor) AS opened
    FROM accounts GROUP BY currency ORDER BY currency";
/// In two halves of 32 bits, since the debits alone may add up to more than an integer holds: nothing bounds a turnover.
const OUT_OF_BALANCE: &str = "SELECT COUNT(*) AS accounts FROM (
        SELECT balance_minor - opened_minor AS gain,
            (SELECT COALESCE(SUM(minor >> 32), 0) FROM entries WHERE entries.account = accounts.account) AS high,
            (SELECT COALESCE(SUM(minor & 4294967295), 0) FROM entries WHERE entries.account = accounts.account) AS low
        FROM accounts
    ) WHERE (high + (low >> 32) <> gain >> 32) OR (low & 4294967295 <> gain & 4294967295)";
const ENTRIES_BY_ACCOUNT: &str = "CREATE INDEX IF NOT EXISTS entries_by_account ON entries (account, minor)";

/// Makes the tables that are missing.
pub(crate) async fn create(database: &Database) -> Reply<()> {
    let mut tx = database.begin().await?;
    for table in [ACCOUNTS, ENTRIES, ENTRIES_BY_ACCOUNT] {
        query(table).execute(&mut tx).await?;
    }
    ceiling::create(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Opens accounts that are not there yet; all of them, or none when they would bring the ledger over its ceiling.
pub(crate) async fn open(database: &Database, accounts: &[NewAccount]) -> Reply<()> {
    let mut tx = database.begin().await?;
    let mut opened = BTreeMap::<&str, i128>::new();
    for new in accounts {
        let opening = query(OPEN).bind(&new.account).bind(&new.owner).bind(&new.currency).bind(new.minor).bind(new.closed);
        if opening.execute(&mut tx).await?.rows_affected() == 1 {
            *opened.entry(&new.currency).or_default() += i128::from(new.minor);
        }
    }
    ceiling::grow(&mut tx, &opened).await?;
    Ok(tx.commit().await?)
}

/// The account of a leg, if it may take part in the transfer.
pub(crate) async fn check(tx: &mut Tx, leg: &Leg) -> Reply<Balance, Refusal> {
    let Some(row) = query(FIND).bind(&leg.account).fetch_optional(&mut *tx).await? else {
        return Err(refuse(Refusal::UnknownAccount));
    };
    let balance = balance(&row)?;
    if balance.closed {
        return Err(refuse(Refusal::ClosedAccount));
    }
    if balance.currency != leg.currency {
        return Err(refuse(Refusal::OtherCurrency));
    }
    Ok(balance)
}

/// Freezes the amount; `false` when there is too little.
pub(crate) async fn freeze(tx: &mut Tx, leg: &Leg) -> Result<bool, Error> {
    let frozen = query(FREEZE).bind(leg.minor).bind(&leg.account).execute(tx).await?;
    Ok(frozen.rows_affected() == 1)
}

pub(crate) async fn release(tx: &mut Tx, leg: &Leg) -> Result<(), Error> {
    query(RELEASE).bind(leg.minor).bind(&leg.account).execute(tx).await.map(|_| ())
}

pub(crate) async fn take(tx: &mut Tx, leg: &Leg) -> Result<(), Error> {
    query(TAKE).bind(leg.minor).bind(&leg.account).execute(&mut *tx).await?;
    enter(tx, leg, -leg.minor).await
}

pub(crate) async fn add(tx: &mut Tx, leg: &Leg) -> Result<(), Error> {
    query(ADD).bind(leg.minor).bind(&leg.account).execute(&mut *tx).await?;
    enter(tx, leg, leg.minor).await
}

async fn enter(tx: &mut Tx, leg: &Leg, minor: i64) -> Result<(), Error> {
    query(ENTER).bind(&leg.transfer).bind(&leg.account).bind(minor).execute(tx).await.map(|_| ())
}

/// One account.
pub(crate) async fn find(database: &Database, account: &str) -> Reply<Balance, Refusal> {
    match query(FIND).bind(account).fetch_optional(&mut database.read().await?).await? {
        Some(row) => Ok(balance(&row)?),
        None => Err(refuse(Refusal::UnknownAccount)),
    }
}

/// Accounts behind `after`.
pub(crate) async fn list(database: &Database, after: &str) -> Reply<Vec<Balance>> {
    let rows = query(LIST).bind(after).fetch_all(&mut database.read().await?).await?;
    Ok(rows.iter().map(balance).collect::<Result<_, _>>()?)
}

/// The sums, one entry a currency.
pub(crate) async fn totals(database: &Database) -> Reply<Vec<Total>> {
    let rows = query(TOTALS).fetch_all(&mut database.read().await?).await?;
    let total = |row: &SqliteRow| {
        Ok(Total {
            currency: row.try_get("currency")?,
            minor: row.try_get("minor")?,
            frozen_minor: row.try_get("frozen")?,
            opened_minor: row.try_get("opened")?,
        })
    };
    Ok(rows.iter().map(total).collect::<Result<_, Error>>()?)
}

/// Accounts whose balance is not what their entries add up to.
pub(crate) async fn out_of_balance(database: &Database) -> Reply<i64> {
    let row = query(OUT_OF_BALANCE).fetch_one(&mut database.read().await?).await?;
    Ok(row.try_get("accounts")?)
}

fn balance(row: &SqliteRow) -> Result<Balance, Error> {
    Ok(Balance {
        account: row.try_get("account")?,
        currency: row.try_get("currency")?,
        minor: row.try_get("balance_minor")?,
        frozen_minor: row.try_get("frozen_minor")?,
        closed: row.try_get("closed")?,
    })
}
