//! Why the database could not do something, before it is known what that means for whoever asked.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use settee_core::port::{StoreError, StoreErrorKind};

use super::FILE;
use super::backend::Trouble;
use crate::embedded::folder::{advice, kind_of};

/// A failure without a certainty.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    kind: StoreErrorKind,
    message: String,
}

impl Failure {
    pub(super) fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn damaged(what: &str) -> Self {
        Self::new(StoreErrorKind::Damaged, what)
    }

    /// Whether the store must stop for good: opening the file again could hide what happened.
    pub(super) fn is_final(&self) -> bool {
        !matches!(self.kind, StoreErrorKind::Full | StoreErrorKind::Unavailable)
    }

    pub(super) fn not_done(&self) -> StoreError {
        StoreError::not_done(self.kind, self.text())
    }

    pub(super) fn unknown(&self) -> StoreError {
        StoreError::unknown(self.kind, self.text())
    }

    fn text(&self) -> String {
        match self.kind {
            // It passes, or somebody closed the store.
            StoreErrorKind::Unavailable => format!("{FILE}: {}", self.message),
            kind => format!("{FILE}: {}; {}", self.message, advice(kind)),
        }
    }

    /// What a call on the folder reported.
    pub(super) fn of_folder(attempt: &str, error: &io::Error) -> Self {
        Self::new(kind_of(error), format!("{attempt}: {error}"))
    }

    fn of_redb(error: &redb::Error) -> Self {
        let kind = match error {
            redb::Error::Io(io) if io.kind() != io::ErrorKind::InvalidData => StoreErrorKind::Unavailable,
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => StoreErrorKind::Unavailable,
            _ => StoreErrorKind::Damaged,
        };
        Self::new(kind, error.to_string())
    }

    /// redb checks what it stored, but asserts some of what it reads back: a panic is damage that it did not expect.
    fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Self::damaged(&format!("the database panicked: {text}"))
    }
}

/// Runs `work` on redb. What the file itself reported says more than what redb made of it, so that comes first.
pub(super) fn guarded<T>(trouble: &Trouble, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Failure> {
    let seen = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(error)) => Failure::of_redb(&error),
        Err(panic) => Failure::of_panic(panic.as_ref()),
    };
    Err(trouble.get().unwrap_or(seen))
}
