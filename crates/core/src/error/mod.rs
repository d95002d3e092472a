//! One error type for everything that crosses a public boundary.
//!
//! In money code "did it happen?" has three answers, so every [`Error`] carries a [`Certainty`]. Callers ask questions
//! ([`Error::kind`], [`Error::certainty`], [`Error::is_retryable`]); the wording is not an interface, the [`Code`] is.
//!
//! A certainty is about one operation. A handler that passes on the error of a call with `?` has asked for something else than
//! its caller has: what that call left undone, the handler may have done before it. So clients mark what they return
//! ([`Error::of_step`]), and whoever ran the handler reads the mark ([`Error::of_whole`]).

mod code;

pub use code::{Code, codes};

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whether what was asked for happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// It certainly did not happen, and will not happen later: trying again is safe.
    NotDone,
    /// It happened; only what came after failed.
    Done,
    /// Nobody can tell yet. Ask, or repeat under the same identity; never treat it as failed.
    Unknown,
}

/// What class of failure an [`Error`] is. New kinds may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong; repeating it changes nothing.
    Invalid,
    /// What was named does not exist.
    NotFound,
    /// The caller may not do this.
    Denied,
    /// It contradicts what is already recorded.
    Conflict,
    /// A rule or a limit refused it for now; see [`Error::retry_after`].
    Limited,
    /// Nobody who could serve it can be reached.
    Unavailable,
    /// The deadline passed.
    DeadlineExceeded,
    /// The one who was asked no longer owns this; another does.
    NotOwner,
    /// The storage has no room; nothing was written.
    Full,
    /// Stored or received data is not what was written.
    Damaged,
    /// This version cannot do it.
    Unsupported,
    /// The component is shutting down.
    Closed,
    /// A fault in settee or in the service's own code.
    Internal,
}

/// A failure: what was attempted, whether it happened, and whether trying again can help.
///
/// ```
/// use settee_core::error::{Certainty, Error, ErrorKind, codes};
///
/// let error = Error::new(ErrorKind::Unavailable, codes::NO_INSTANCE, "call pay.Account.balance: no instance is known");
/// assert_eq!(error.certainty(), Certainty::NotDone);
/// assert!(error.is_retryable());
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    certainty: Certainty,
    is_of_step: bool,
    code: Code,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything in settee that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of what certainly did not happen. Use [`Error::unknown`] when that is not sure.
    pub fn new(kind: ErrorKind, code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            certainty: Certainty::NotDone,
            is_of_step: false,
            code,
            message: message.into(),
            retry_after: None,
            source: None,
        }))
    }

    /// A fault in settee or in the service's own code, whose effect is unknown.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        Self::new(ErrorKind::Internal, codes::INTERNAL, source.to_string()).unknown().caused_by(source)
    }

    /// The same error, of something that may have happened.
    #[must_use]
    pub fn unknown(self) -> Self {
        self.with_certainty(Certainty::Unknown)
    }

    /// The same error with another certainty, which is that of whoever says so: it is no longer [of a step](Error::of_step).
    #[must_use]
    pub fn with_certainty(mut self, certainty: Certainty) -> Self {
        self.0.certainty = certainty;
        self.0.is_of_step = false;
        self
    }

    /// The same error, given to somebody for whom the operation that failed was one step of several: a handler that called
    /// another service, say. Its certainty remains that of the step.
    #[must_use]
    pub fn of_step(mut self) -> Self {
        self.0.is_of_step = true;
        self
    }

    /// The same error as the outcome of everything that was to be done: if it is that of a step, whether the whole happened is
    /// unknown. A handler that knows better says so with [`Error::with_certainty`].
    ///
    /// ```
    /// use settee_core::error::{Certainty, Error, ErrorKind, codes};
    ///
    /// let no_instance = || Error::new(ErrorKind::Unavailable, codes::NO_INSTANCE, "call pay.Notify.tell: no instance is known");
    /// let passed_on = no_instance().of_step().of_whole();
    /// assert_eq!(passed_on.certainty(), Certainty::Unknown, "the handler may have moved money before it called");
    ///
    /// let stated = no_instance().of_step().with_certainty(Certainty::NotDone).of_whole();
    /// assert_eq!(stated.certainty(), Certainty::NotDone, "the handler says that it had done nothing");
    /// ```
    #[must_use]
    pub fn of_whole(self) -> Self {
        if self.0.is_of_step { self.unknown() } else { self }
    }

    /// The same error, with when trying again can help at the earliest.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The same error, with its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The class of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether what was asked for happened.
    #[must_use]
    pub fn certainty(&self) -> Certainty {
        self.0.certainty
    }

    /// The stable code, which has a page in `docs/operations/errors/`.
    #[must_use]
    pub fn code(&self) -> &Code {
        &self.0.code
    }

    /// What was attempted and with what: lowercase, no final stop.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// When trying again can help at the earliest, where the one who refused said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the same request, repeated unchanged, is safe and can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let may_pass = matches!(
            self.0.kind,
            ErrorKind::Limited | ErrorKind::Unavailable | ErrorKind::NotOwner | ErrorKind::Full | ErrorKind::Closed
        );
        may_pass && self.0.certainty == Certainty::NotDone
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} [{}]", self.0.message, self.0.code)?;
        match self.0.certainty {
            Certainty::NotDone => Ok(()),
            Certainty::Done => write!(out, " (it was done)"),
            Certainty::Unknown => write!(out, " (whether it was done is unknown)"),
        }
    }
}

/// As [`Display`](fmt::Display): an error that leaves `main` is printed with this, and whoever started the process reads it.
impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_leaves_main_reads_as_a_sentence() {
        let error = Error::new(ErrorKind::Invalid, codes::UNKNOWN_KEY, "read the configuration: unknown key `databse`");
        assert_eq!(format!("{error:?}"), "read the configuration: unknown key `databse` [APP0001]");
    }

    #[test]
    fn an_unknown_outcome_is_never_called_retryable() {
        let error = Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, "call x");
        assert!(error.is_retryable());
        assert!(!error.unknown().is_retryable());
    }
}
