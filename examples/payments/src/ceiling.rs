//! The ceiling of a ledger: what its accounts may be opened with in one currency, so that no balance and no sum ever overflows.
//!
//! Kept as a sum of its own: adding up all accounts at each opening would take longer with every account.

use std::collections::BTreeMap;

use settee::error::codes;
use settee::{Error, ErrorKind, Reply};
use settee_sqlx::Tx;
use sqlx::query;

use crate::money::MAX_OPENED_MINOR;

const OPENED: &str = "CREATE TABLE IF NOT EXISTS opened (
        currency TEXT    PRIMARY KEY,
        minor    INTEGER NOT NULL
    ) WITHOUT ROWID";
/// For a ledger that was made before there was a ceiling.
const ADD_UP: &str = "INSERT INTO opened SELECT currency, SUM(opened_minor) FROM accounts
    WHERE NOT EXISTS (SELECT 1 FROM opened) GROUP BY currency";
const GROW: &str = "INSERT INTO opened (currency, minor) VALUES (?1, ?2)
    ON CONFLICT DO UPDATE SET minor = minor + excluded.minor WHERE minor <= ?3 - excluded.minor";

/// Makes the table if it is missing. The accounts are there already.
pub(crate) async fn create(tx: &mut Tx) -> Reply<()> {
    for statement in [OPENED, ADD_UP] {
        query(statement).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Counts what accounts were opened with in this transaction, by currency; `Invalid` when that is more than the ledger may hold.
pub(crate) async fn grow(tx: &mut Tx, opened: &BTreeMap<&str, i128>) -> Reply<()> {
    for (currency, minor) in opened {
        let minor = i64::try_from(*minor).ok().filter(|minor| *minor <= MAX_OPENED_MINOR);
        let minor = minor.ok_or_else(|| too_much(currency))?;
        let grown = query(GROW).bind(*currency).bind(minor).bind(MAX_OPENED_MINOR).execute(&mut *tx).await?;
        if grown.rows_affected() != 1 {
            return Err(too_much(currency).into());
        }
    }
    Ok(())
}

fn too_much(currency: &str) -> Error {
    let message =
        format!("open accounts: the ledger would hold more than {MAX_OPENED_MINOR} minor units of {currency}; open fewer");
    Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, message)
}
