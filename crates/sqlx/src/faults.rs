//! Faults of a database, injected at every step: what a simulation sets so that services meet them before production does.
//!
//! An injected error looks to the service as SQLite's own would, code included. Production sets none.

use std::borrow::Cow;
use std::fmt;

use sqlx::error::{DatabaseError, ErrorKind};

use crate::failure::{BUSY, IO_ERROR};

/// Decides what goes wrong. Asked before every statement and at every commit, so it must be quick.
pub trait SqlFaults: Send + Sync + 'static {
    /// What happens to the next statement; `BEGIN` is one, `COMMIT` is not. `None`: it runs.
    fn before_statement(&self) -> Option<StatementFault>;

    /// What happens to the next commit. `None`: it is made.
    fn at_commit(&self) -> Option<CommitFault>;
}

/// What goes wrong with a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementFault {
    /// It does not run: another process holds the lock.
    Busy,
    /// It does not run: the disk fails, and the database rolls the whole transaction back, as SQLite does then.
    Failed,
    /// It runs, and its answer is lost.
    Unknown,
}

/// What goes wrong with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// It is rolled back, and the database says so.
    NotDone,
    /// It is made, and its answer is lost.
    DoneUnknown,
    /// It is rolled back, and nobody says so.
    LostUnknown,
}

/// An injected error, in the form of SQLite's own.
#[derive(Debug)]
pub(crate) struct Injected {
    code: i32,
    message: &'static str,
}

impl Injected {
    pub(crate) fn busy() -> sqlx::Error {
        sqlx::Error::database(Self { code: BUSY, message: "database is locked (injected)" })
    }

    pub(crate) fn failed() -> sqlx::Error {
        sqlx::Error::database(Self { code: IO_ERROR, message: "disk I/O error (injected)" })
    }

    pub(crate) fn lost() -> sqlx::Error {
        sqlx::Error::database(Self { code: IO_ERROR, message: "the answer was lost (injected)" })
    }
}

impl fmt::Display for Injected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "(code: {}) {}", self.code, self.message)
    }
}

impl std::error::Error for Injected {}

impl DatabaseError for Injected {
    fn message(&self) -> &str {
        self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}
