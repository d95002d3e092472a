//! What a method returns: a value, a refusal, or a failure, and never one mistaken for another.
//!
//! A refusal is a business "no" (insufficient funds). It is not a `std::error::Error`, so `?` cannot turn it into an internal
//! failure; `?` does work on every error type, which becomes [`Fault::Failed`].
//!
//! What `?` passes on is the failure of a step. Whether the *handler* did what it was asked for is then unknown to its caller, who
//! repeats it only if it is declared idempotent. A handler that knows that it did nothing says so:
//!
//! ```
//! # use settee::{Certainty, Error, Reply};
//! # async fn balance() -> Reply<u64> { Ok(1) }
//! async fn quote() -> Reply<u64> {
//!     let nothing_done = |fault| Error::from(fault).with_certainty(Certainty::NotDone);
//!     Ok(balance().await.map_err(nothing_done)? * 2)
//! }
//! ```

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use settee_core::Error;

/// The result of a method: the value, or why there is none. `R` is the method's refusal; [`Never`] where it has none.
pub type Reply<T, R = Never> = Result<T, Fault<R>>;

/// Why a method gave no value.
pub enum Fault<R> {
    /// The service understood and said no. The answer is final and says why.
    Refused(R),
    /// The call failed; [`Error::certainty`] says whether it happened.
    Failed(Error),
}

/// A business "no", with a code that callers can branch on. Derived by [`refusal`](macro@crate::refusal).
pub trait Refusal: Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static {
    /// The stable code of this refusal, such as `AM04`.
    fn code(&self) -> &str;

    /// The same refusal, told the code that travelled beside it; empty where the peer sent none. One that knows its code by its
    /// variant has no use for it. This is for callers who learn only at run time which service they call.
    #[must_use]
    fn with_code(self, _code: String) -> Self
    where
        Self: Sized,
    {
        self
    }
}

/// The refusal of a method that never refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {}

/// A refusal, ready to be returned.
///
/// ```
/// # use settee::{Reply, refuse};
/// # #[derive(Debug)] enum No { Funds }
/// fn debit(available: u64, amount: u64) -> Reply<u64, No> {
///     available.checked_sub(amount).ok_or_else(|| refuse(No::Funds))
/// }
/// assert!(debit(1, 2).is_err());
/// ```
pub fn refuse<R>(refusal: R) -> Fault<R> {
    Fault::Refused(refusal)
}

impl<R> Fault<R> {
    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<&R> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Failed(_) => None,
        }
    }

    /// The same fault, a failure changed by `change`.
    pub(crate) fn map_failure(self, change: impl FnOnce(Error) -> Error) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal),
            Self::Failed(error) => Self::Failed(change(error)),
        }
    }

    /// The failure, if it is one.
    pub fn failure(&self) -> Option<&Error> {
        match self {
            Self::Refused(_) => None,
            Self::Failed(error) => Some(error),
        }
    }
}

impl<R: fmt::Debug> fmt::Display for Fault<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(out, "refused: {refusal:?}"),
            Self::Failed(error) => error.fmt(out),
        }
    }
}

/// As [`Display`](fmt::Display): a fault that leaves `main` is printed with this.
impl<R: fmt::Debug> fmt::Debug for Fault<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl<R, E: std::error::Error + Send + Sync + 'static> From<E> for Fault<R> {
    /// An [`Error`] stays as it is; any other error becomes an internal one of unknown outcome.
    fn from(error: E) -> Self {
        let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(error);
        Self::Failed(match boxed.downcast::<Error>() {
            Ok(error) => *error,
            Err(other) => Error::internal(other),
        })
    }
}

impl From<Fault<Never>> for Error {
    fn from(fault: Fault<Never>) -> Self {
        match fault {
            Fault::Refused(never) => match never {},
            Fault::Failed(error) => error,
        }
    }
}

impl Refusal for Never {
    fn code(&self) -> &str {
        match *self {}
    }
}

impl Serialize for Never {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        match *self {}
    }
}

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("a refusal came from a method that has none"))
    }
}

#[cfg(test)]
mod tests {
    use settee_core::error::{ErrorKind, codes};

    use super::*;

    #[test]
    fn the_question_mark_keeps_what_is_known_about_an_error() {
        fn failing() -> Reply<(), Never> {
            Err(Error::new(ErrorKind::Limited, codes::RATE_LIMITED, "call x"))?;
            Ok(())
        }
        let error = Error::from(failing().unwrap_err());
        assert_eq!((error.kind(), error.code()), (ErrorKind::Limited, &codes::RATE_LIMITED));
    }

    #[test]
    fn a_foreign_error_is_internal_and_its_outcome_unknown() {
        let fault: Fault<Never> = std::io::Error::other("disk").into();
        let error = Error::from(fault);
        assert_eq!((error.kind(), error.certainty()), (ErrorKind::Internal, settee_core::Certainty::Unknown));
    }
}
