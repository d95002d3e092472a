//! What an engine implements: [`Kv`] (ordered keys, revisions, compare-and-commit, watch), [`Log`] (append, read, trim) and
//! [`Disk`] (what the embedded engine writes through). Object-safe, held as `Arc<dyn _>`.
//!
//! Every error is a [`StoreError`] and says whether the write happened.

mod disk;
mod kv;
mod log;

pub use disk::{Disk, DiskFile, DiskLock};
pub use kv::{Commit, Compare, Event, Kv, Outcome, Page, Range, Versioned, Watch, Write};
pub use log::{Append, Appended, Log, ReadLimit, Record, StreamName};

use std::future::Future;
use std::pin::Pin;

use crate::error::{Certainty, Code, Error, ErrorKind, codes};

/// A boxed future, as object-safe traits return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why an engine could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    certainty: Certainty,
    message: String,
}

/// What class of failure a [`StoreError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// The engine cannot be reached, or did not answer.
    Unavailable,
    /// No room is left; the engine takes writes again by itself once there is.
    Full,
    /// Stored data is not what was written; the message names the place.
    Damaged,
    /// The data was written by a newer version.
    Newer,
    /// Another process holds the folder.
    Locked,
    /// The folder cannot be written.
    ReadOnly,
    /// A sync failed: what is on disk is not known, and the engine has stopped for good.
    Poisoned,
    /// The history that was asked for is gone; read the present state and start over.
    Compacted,
    /// The request is over a limit of the engine.
    Limit,
}

impl StoreError {
    /// A failure of what certainly did not happen.
    pub fn not_done(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, certainty: Certainty::NotDone, message: message.into() }
    }

    /// A failure of what may have happened.
    pub fn unknown(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, certainty: Certainty::Unknown, message: message.into() }
    }

    /// The class of the failure.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether the write happened.
    #[must_use]
    pub fn certainty(&self) -> Certainty {
        self.certainty
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let (kind, code) = public(error.kind);
        Error::new(kind, code, error.message.clone()).with_certainty(error.certainty).caused_by(error)
    }
}

fn public(kind: StoreErrorKind) -> (ErrorKind, Code) {
    match kind {
        StoreErrorKind::Unavailable => (ErrorKind::Unavailable, codes::STORE_UNAVAILABLE),
        StoreErrorKind::Full => (ErrorKind::Full, codes::STORE_FULL),
        StoreErrorKind::Damaged => (ErrorKind::Damaged, codes::STORE_DAMAGED),
        StoreErrorKind::Newer => (ErrorKind::Unsupported, codes::STORE_NEWER),
        StoreErrorKind::Locked => (ErrorKind::Conflict, codes::STORE_LOCKED),
        StoreErrorKind::ReadOnly => (ErrorKind::Denied, codes::STORE_READ_ONLY),
        StoreErrorKind::Poisoned => (ErrorKind::Closed, codes::STORE_POISONED),
        StoreErrorKind::Compacted => (ErrorKind::Conflict, codes::STORE_COMPACTED),
        StoreErrorKind::Limit => (ErrorKind::Invalid, codes::STORE_LIMIT),
    }
}
