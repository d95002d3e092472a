//! Reading outside of transactions: a lent connection that can only read, and never waits for the writer.

use std::fmt;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sqlx::sqlite::{SqliteQueryResult, SqliteRow, SqliteStatement, SqliteTypeInfo};
use sqlx::{Either, Execute, Executor, SqlStr, Sqlite};

use crate::slots::Lease;

/// A connection that reads what is committed; each statement sees one state of the database. A write through it is refused.
///
/// ```
/// # async fn example(database: settee_sqlx::Database) -> Result<i64, Box<dyn std::error::Error>> {
/// let balance = sqlx::query_scalar("SELECT minor FROM account WHERE id = ?").bind("CH93");
/// Ok(balance.fetch_one(&mut database.read().await?).await?)
/// # }
/// ```
pub struct Read<Db: sqlx::Database = Sqlite>(pub(crate) Lease<Db>);

impl<Db: sqlx::Database> fmt::Debug for Read<Db> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Read({})", self.0.slots.place.display())
    }
}

impl<'c> Executor<'c> for &'c mut Read<Sqlite> {
    type Database = Sqlite;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<SqliteQueryResult, SqliteRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        (&mut self.0).fetch_many(query)
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<SqliteRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        (&mut self.0).fetch_optional(query)
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [SqliteTypeInfo],
    ) -> BoxFuture<'e, Result<SqliteStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        (&mut self.0).prepare_with(sql, parameters)
    }

    #[cfg(feature = "macros")]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Sqlite>, sqlx::Error>>
    where
        'c: 'e,
    {
        (&mut self.0).describe(sql)
    }
}
