//! Fences, outbox and inbox in the service's own SQL database.
//!
//! [`Database`] opens it safely, [`Tx`] is a local transaction and an [`sqlx::Executor`], so the service's own statements, the
//! fence, the inbox and the outbox share one connection and one commit. Read in this order: `database`, `tx`, `statement`,
//! `slots`, then the three tables `fence`, `outbox`, `inbox`.
//!
//! The feature `testing` adds `testing`, for the tests of services.
//!
//! SQLite for now; `Database<Db>` and `Tx<Db>` leave room for others. Left out: migrations and pools, which are sqlx's own, and
//! databases in memory. In simulation real SQLite runs, each statement inline; [`SqlFaults`] make it fail.
//! SQL that asks for the time or for randomness gets the real ones there: bind values of the service instead.

#![forbid(unsafe_code)]

mod database;
mod read;
mod schema;
mod tx;

mod slots;
mod statement;

mod failure;
mod faults;

mod fence;
mod inbox;
mod outbox;
mod sweep;

pub use database::{BUSY_TIMEOUT, Database, DatabaseOptions, READERS, RETENTION, WRITERS};
pub use faults::{CommitFault, SqlFaults, StatementFault};
pub use inbox::{Consuming, TransactionalHandler};
pub use read::Read;
pub use schema::SCHEMA_VERSION;
pub use settee_core::mq::name::MAX_TOPIC_BYTES;
pub use slots::SLOT_WAIT;
pub use sqlx::Sqlite;
pub use sweep::{SWEEP_BATCH, SWEEP_EVERY, Swept};
pub use tx::Tx;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(test)]
mod fixtures;
