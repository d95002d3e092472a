//! A local transaction: the service's own statements, the fence, the inbox and the outbox on one connection.
//!
//! ```text
//! BEGIN IMMEDIATE -> statements -> COMMIT   ok          Done
//!                                           refused, and ROLLBACK succeeds: it was still open    NotDone
//!                                           anything else                                        Unknown
//! ```
//! `IMMEDIATE` takes the write lock at once: a transaction that reads first and writes later would fail in the middle.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use settee::txn::Nested;
use settee_core::Error;
use sqlx::sqlite::{SqliteQueryResult, SqliteRow, SqliteStatement, SqliteTransactionManager, SqliteTypeInfo};
use sqlx::{Either, Execute, Executor, SqlSafeStr, SqlStr, Sqlite};
use sqlx_core::transaction::TransactionManager;
use tokio::sync::Notify;

use crate::failure::{of_statement, primary_code};
use crate::faults::{CommitFault, Injected, StatementFault};
use crate::slots::Lease;

const BEGIN: &str = "BEGIN IMMEDIATE";

/// A local transaction. Dropping it rolls it back.
///
/// It is an [`sqlx::Executor`], so every query of sqlx runs in it. Do not send `BEGIN`, `COMMIT` or `ROLLBACK` yourself;
/// savepoints are yours to use.
///
/// ```
/// # async fn example(database: settee_sqlx::Database) -> settee::Result<()> {
/// let mut tx = database.begin().await?;
/// let frozen = sqlx::query("UPDATE account SET frozen = frozen + ? WHERE id = ?").bind(5).bind("CH93").execute(&mut tx).await;
/// tx.publish("transfers", "CH93", &"frozen").await?;
/// if frozen.is_ok() { tx.commit().await?; }
/// # Ok(())
/// # }
/// ```
pub struct Tx<Db: sqlx::Database = Sqlite> {
    lease: Lease<Db>,
    outbox: Arc<Notify>,
    /// The branch that is being tried, if this is the transaction of one.
    pub(crate) branch: Option<Nested>,
    /// Whether there are new outbox rows to wake the relay for.
    pub(crate) published: bool,
}

impl Tx<Sqlite> {
    /// Begins a transaction on a lent connection; one that turns out to be of no use is replaced.
    pub(crate) async fn begin(mut lease: Lease<Sqlite>, outbox: Arc<Notify>) -> Result<Self, Error> {
        let mut begun = start(&mut lease).await;
        if begun.as_ref().is_err_and(|error| primary_code(error).is_none()) {
            begun = match lease.reconnect().await {
                Ok(()) => start(&mut lease).await,
                Err(error) => Err(error),
            };
        }
        match begun {
            Ok(()) => Ok(Self { lease, outbox, branch: None, published: false }),
            Err(error) => Err(of_statement("begin a transaction", &lease.slots.place, error)),
        }
    }

    /// The branch of the global transaction that is being tried in this one: to try further branches through, which then join
    /// it. `None` in phase two, and in a transaction of your own.
    #[must_use]
    pub fn branch(&self) -> Option<&Nested> {
        self.branch.as_ref()
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// `NotDone` when the database refused and said that nothing stayed, such as for a deferred foreign key. Else `Unknown`: ask
    /// for the effect, or repeat under the same identity.
    ///
    /// # Cancel safety
    /// Dropped, it may be committed or rolled back.
    pub async fn commit(mut self) -> Result<(), Error> {
        let fault = self.lease.slots.faults.as_ref().and_then(|faults| faults.at_commit());
        let committed = match fault {
            None => self.commit_now().await,
            Some(CommitFault::DoneUnknown) => match self.commit_now().await {
                Ok(()) => Err(self.not_committed(Injected::lost()).unknown()),
                failed => failed,
            },
            Some(CommitFault::NotDone) => self.undo_instead().await,
            Some(CommitFault::LostUnknown) => self.undo_instead().await.map_err(Error::unknown),
        };
        if self.published {
            // Also when the outcome is unknown: then there may be rows.
            self.outbox.notify_one();
        }
        committed
    }

    async fn commit_now(&mut self) -> Result<(), Error> {
        if let Err(ended) = self.lease.check_open().await {
            return Err(self.not_committed(ended).unknown());
        }
        let slots = self.lease.slots.clone();
        match slots.run(SqliteTransactionManager::commit(self.lease.connection())).await {
            Ok(()) => {
                self.lease.open = false;
                Ok(())
            }
            Err(refused) => {
                let was_open = self.roll_back().await.is_ok();
                let error = self.not_committed(refused);
                Err(if was_open { error } else { error.unknown() })
            }
        }
    }

    async fn undo_instead(&mut self) -> Result<(), Error> {
        let _the_drop_does_it_too = self.roll_back().await;
        Err(self.not_committed(Injected::busy()))
    }

    /// Takes everything back.
    ///
    /// # Errors
    /// The database could not be told; it rolls back by itself when the connection is closed, which follows.
    ///
    /// # Cancel safety
    /// Dropped, it is rolled back all the same.
    pub async fn rollback(mut self) -> Result<(), Error> {
        self.roll_back().await.map_err(|error| self.failed("roll back a transaction", error))
    }

    async fn roll_back(&mut self) -> Result<(), sqlx::Error> {
        let slots = self.lease.slots.clone();
        let done = slots.run(SqliteTransactionManager::rollback(self.lease.connection())).await;
        self.lease.in_doubt = done.is_err();
        self.lease.open = done.is_err();
        done
    }

    /// The error of `doing` something in this transaction: not done, as nothing is before the commit.
    pub(crate) fn failed(&self, doing: impl fmt::Display, error: sqlx::Error) -> Error {
        of_statement(doing, &self.lease.slots.place, error)
    }

    fn not_committed(&self, error: sqlx::Error) -> Error {
        self.failed("commit a transaction", error)
    }
}

async fn start(lease: &mut Lease<Sqlite>) -> Result<(), sqlx::Error> {
    let fault = lease.slots.faults.as_ref().and_then(|faults| faults.before_statement());
    match fault {
        Some(StatementFault::Busy) => return Err(Injected::busy()),
        Some(StatementFault::Failed) => return Err(Injected::failed()),
        Some(StatementFault::Unknown) | None => {}
    }
    // Before it runs: a begin that is dropped halfway may be open.
    lease.open = true;
    let slots = lease.slots.clone();
    let begin = SqliteTransactionManager::begin(lease.connection(), Some(BEGIN.into_sql_str()));
    let begun = slots.run(begin).await;
    lease.open = begun.is_ok();
    match fault {
        Some(_) => Err(Injected::lost()),
        None => begun,
    }
}

impl<Db: sqlx::Database> fmt::Debug for Tx<Db> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Tx({})", self.lease.slots.place.display())
    }
}

impl<'c> Executor<'c> for &'c mut Tx<Sqlite> {
    type Database = Sqlite;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<SqliteQueryResult, SqliteRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        (&mut self.lease).fetch_many(query)
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<SqliteRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        (&mut self.lease).fetch_optional(query)
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [SqliteTypeInfo],
    ) -> BoxFuture<'e, Result<SqliteStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        (&mut self.lease).prepare_with(sql, parameters)
    }

    #[cfg(feature = "macros")]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Sqlite>, sqlx::Error>>
    where
        'c: 'e,
    {
        (&mut self.lease).describe(sql)
    }
}

#[cfg(test)]
#[path = "tx_test.rs"]
mod tests;
