//! How a call ended, as the driver knows it: who waits knows the call's name, and only makes an error of it if need be.

use settee_core::Error;
use settee_core::error::{ErrorKind, codes};

use super::{Outgoing, Received, lost, name};

/// How a call ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It was answered.
    Answered(Result<Received, Error>),
    /// Its deadline passed. `unknown`: its frame may have reached the peer.
    Late { unknown: bool },
    /// The connection broke. `unknown`: its frame may have reached the peer.
    Lost { unknown: bool },
}

impl Ended {
    /// What the caller gets.
    pub(super) fn result(self, outgoing: &Outgoing<'_>) -> Result<Received, Error> {
        let (error, unknown) = match self {
            Self::Answered(result) => return result,
            Self::Late { unknown } => {
                let message = format!("call {}: no answer before the deadline", name(outgoing));
                (Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, message), unknown)
            }
            Self::Lost { unknown } => (lost(&name(outgoing)), unknown),
        };
        Err(if unknown { error.unknown() } else { error })
    }
}
