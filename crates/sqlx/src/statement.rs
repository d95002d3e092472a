//! Running statements on a lent connection, for [`Tx`](crate::Tx) and [`Read`](crate::Read).
//!
//! ```text
//! in doubt? -> probe -> ended: refuse          fault? -> busy | failed: refuse, unknown: run, then lose the answer
//!           -> run: streamed in production, inline to its end in simulation
//! ```
//! SQLite rolls a whole transaction back by itself when a disk fails or is full. A statement that came after would be committed
//! on its own, without the fence. So after every statement that failed or was left halfway the next one asks first.

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use sqlx::sqlite::{SqliteQueryResult, SqliteRow, SqliteStatement, SqliteTypeInfo};
use sqlx::{Either, Execute, Executor, SqlStr, Sqlite};

use crate::faults::{Injected, StatementFault};
use crate::slots::Lease;

type Step = Either<SqliteQueryResult, SqliteRow>;

/// What becomes of the answer of a statement that runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Told,
    Lost,
}

impl Lease<Sqlite> {
    /// To be called before a statement: whether it may run.
    async fn admit(&mut self) -> Result<Answer, sqlx::Error> {
        self.check_open().await?;
        match self.slots.faults.as_ref().and_then(|faults| faults.before_statement()) {
            None => Ok(Answer::Told),
            Some(StatementFault::Unknown) => Ok(Answer::Lost),
            Some(StatementFault::Busy) => Err(Injected::busy()),
            Some(StatementFault::Failed) => {
                self.fail().await;
                Err(Injected::failed())
            }
        }
    }

    /// Whether the transaction is still there. `BEGIN` tells without changing anything: it is refused within one.
    pub(crate) async fn check_open(&mut self) -> Result<(), sqlx::Error> {
        if self.ended {
            return Err(rolled_back());
        }
        if !self.open || !self.in_doubt {
            return Ok(());
        }
        let slots = self.slots.clone();
        match slots.run(self.connection().execute("BEGIN")).await {
            Err(error) if error.to_string().contains("within a transaction") => {
                self.in_doubt = false;
                Ok(())
            }
            _ => {
                self.ended = true;
                Err(rolled_back())
            }
        }
    }

    /// An injected failure: the database rolls back behind the back of everybody, as SQLite does when its disk fails.
    async fn fail(&mut self) {
        if self.open {
            self.in_doubt = true;
            let slots = self.slots.clone();
            let _gone_either_way = slots.run(self.connection().execute("ROLLBACK")).await;
        }
    }

    /// Whether rows are collected before they are handed out.
    fn is_inline(&self) -> bool {
        self.slots.simulated || self.slots.faults.is_some()
    }
}

impl<'c> Executor<'c> for &'c mut Lease<Sqlite> {
    type Database = Sqlite;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        let steps = async move {
            let answer = self.admit().await?;
            self.in_doubt = true;
            if !self.is_inline() {
                return Ok(streamed(self, query));
            }
            let slots = self.slots.clone();
            let steps: Vec<_> = slots.run(self.connection().fetch_many(query).collect()).await;
            self.in_doubt = answer == Answer::Lost || steps.last().is_some_and(Result::is_err);
            match answer {
                Answer::Told => Ok(stream::iter(steps).boxed()),
                Answer::Lost => Err(Injected::lost()),
            }
        };
        stream::once(steps).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<SqliteRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        Box::pin(async move {
            let answer = self.admit().await?;
            self.in_doubt = true;
            let slots = self.slots.clone();
            let row = slots.run(self.connection().fetch_optional(query)).await;
            self.in_doubt = answer == Answer::Lost || row.is_err();
            if answer == Answer::Lost { Err(Injected::lost()) } else { row }
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [SqliteTypeInfo],
    ) -> BoxFuture<'e, Result<SqliteStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(async move {
            let slots = self.slots.clone();
            slots.run(self.connection().prepare_with(sql, parameters)).await
        })
    }

    #[cfg(feature = "macros")]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Sqlite>, sqlx::Error>>
    where
        'c: 'e,
    {
        self.connection().describe(sql)
    }
}

/// Rows as they come. The doubt is over when the last one was read, and stays when the reader leaves before.
fn streamed<'e, 'q: 'e, E>(lease: &'e mut Lease<Sqlite>, query: E) -> BoxStream<'e, Result<Step, sqlx::Error>>
where
    E: 'q + Execute<'q, Sqlite>,
{
    let (connection, in_doubt) = lease.connection_and_doubt();
    let steps = connection.fetch_many(query);
    stream::unfold((steps, in_doubt, false), |(mut steps, in_doubt, failed)| async move {
        let Some(step) = steps.next().await else {
            *in_doubt = failed;
            return None;
        };
        let failed = failed || step.is_err();
        Some((step, (steps, in_doubt, failed)))
    })
    .boxed()
}

fn rolled_back() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other("it rolled this transaction back after a failed statement; begin another"))
}
