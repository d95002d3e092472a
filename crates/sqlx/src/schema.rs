//! settee's tables in the service's database, made when they are missing.
//!
//! The service's own tables are the service's affair. Names here begin with `settee_`; times are UTC, their unit ends the name.

use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use sqlx::{Sqlite, query, query_scalar, raw_sql};

use crate::database::Database;
use crate::failure::of_statement;

/// The version of the tables that this version of settee reads and writes. Version 1 also numbered the messages of each key, in a
/// table that kept every key for ever and that nobody read.
pub const SCHEMA_VERSION: i64 = 2;

const IS_THERE: &str = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'settee_meta'";
const READ_VERSION: &str = "SELECT value FROM settee_meta WHERE name = 'schema_version'";
const WRITE_VERSION: &str = "INSERT INTO settee_meta (name, value) VALUES ('schema_version', ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// AUTOINCREMENT: an id is never given twice, not even after all rows are gone, because it is the message's sequence.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS settee_meta (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settee_fence (
    xid BLOB NOT NULL,
    branch TEXT NOT NULL,
    service TEXT NOT NULL,
    state INTEGER NOT NULL,
    claim BLOB NOT NULL,
    saved BLOB NOT NULL,
    deadline_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (xid, branch)
);
CREATE INDEX IF NOT EXISTS settee_fence_open ON settee_fence (service, state, deadline_ms);
CREATE INDEX IF NOT EXISTS settee_fence_ended ON settee_fence (updated_at_ms) WHERE state <> 1;
CREATE TABLE IF NOT EXISTS settee_outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    message_id TEXT NOT NULL,
    key TEXT,
    headers BLOB NOT NULL,
    payload BLOB NOT NULL,
    not_before_us INTEGER,
    set_aside TEXT
);
CREATE INDEX IF NOT EXISTS settee_outbox_open ON settee_outbox (id) WHERE set_aside IS NULL;
DROP TABLE IF EXISTS settee_outbox_key;
CREATE TABLE IF NOT EXISTS settee_inbox (
    consumer_group TEXT NOT NULL,
    topic TEXT NOT NULL,
    message_id TEXT NOT NULL,
    seen_at_ms INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, topic, message_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS settee_inbox_seen ON settee_inbox (seen_at_ms);
CREATE TABLE IF NOT EXISTS settee_producer (
    slot INTEGER PRIMARY KEY CHECK (slot = 1),
    producer INTEGER NOT NULL,
    epoch INTEGER NOT NULL
);
";

/// Makes the tables unless they are there, and refuses those of a newer version.
pub(crate) async fn prepare(database: &Database<Sqlite>) -> Result<(), Error> {
    let failed = |error| of_statement("read the version of settee's tables", database.place(), error);
    let mut tx = database.begin().await?;
    let is_there: i64 = query_scalar(IS_THERE).fetch_one(&mut tx).await.map_err(failed)?;
    let version: Option<i64> = match is_there {
        0 => None,
        _ => query_scalar(READ_VERSION).fetch_optional(&mut tx).await.map_err(failed)?,
    };
    match version {
        Some(SCHEMA_VERSION) => {
            // SQLite begins even an immediate transaction on a read-only file; only a write tells.
            let failed = |error| of_statement("write to the database", database.place(), error);
            query(WRITE_VERSION).bind(SCHEMA_VERSION).execute(&mut tx).await.map_err(failed)?;
            tx.rollback().await
        }
        Some(newer) if newer > SCHEMA_VERSION => Err(too_new(database, newer)),
        _none_or_older => {
            let failed = |error| of_statement("create settee's tables", database.place(), error);
            raw_sql(TABLES).execute(&mut tx).await.map_err(failed)?;
            query(WRITE_VERSION).bind(SCHEMA_VERSION).execute(&mut tx).await.map_err(failed)?;
            tx.commit().await
        }
    }
}

fn too_new(database: &Database<Sqlite>, found: i64) -> Error {
    let message = format!(
        "open database {}: settee's tables in it are of version {found}, this version reads up to {SCHEMA_VERSION}; \
         start the newer version of the service",
        database.place().display()
    );
    Error::new(ErrorKind::Unsupported, codes::STORE_NEWER, message)
}
