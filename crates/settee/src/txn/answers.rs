//! How the rule of `settee_core::txn` speaks to the outside: its answers as replies, and replies of participants as outcomes.
//!
//! What every coordinator has in common: the one of `settee-server`, and the one of `settee::testing`. Left out: how a
//! transaction is looked up and kept, in which they differ.

use settee_core::context::Criticality;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::{BranchId, Xid};
use settee_core::trace::TraceContext;
use settee_core::txn::{Answer, Effect, IllegalEvent, Outcome, State, Transaction};
use settee_core::{Context, Error};

use super::control::{Decided, Inquiry};
use super::protocol::PhaseTwoAnswer;
use crate::rpc::{Fault, Reply};

/// What the rule answers to whoever caused the event.
#[must_use]
pub fn answer_of(effects: &[Effect]) -> Option<Answer> {
    effects.iter().find_map(|effect| match effect {
        Effect::Answer(answer) => Some(*answer),
        _ => None,
    })
}

/// The reply to a begin.
///
/// # Errors
/// `Conflict`: not begun because it is decided, or unknown because it may have been.
pub fn begun(xid: Xid, answer: Option<Answer>) -> Result<(), Error> {
    match answer {
        Some(Answer::Begun) => Ok(()),
        Some(Answer::Decided(decision, cause)) => {
            let message = format!("begin {xid}: it has been decided {decision} because of {cause}");
            Err(Error::new(ErrorKind::Conflict, codes::DECIDED_OTHERWISE, message))
        }
        _ => Err(parked(xid)),
    }
}

/// The reply to a wish for a decision.
///
/// # Errors
/// `Conflict`, unknown: it may have been decided and forgotten.
pub fn decided(xid: Xid, answer: Option<Answer>) -> Result<Decided, Error> {
    match answer {
        Some(Answer::Decided(decision, cause)) => Ok(Decided { decision, cause }),
        _ => Err(parked(xid)),
    }
}

/// The reply to a question, about a branch or about the whole.
#[must_use]
pub fn inquiry(transaction: &Transaction, branch: Option<&BranchId>, answer: Option<Answer>) -> Inquiry {
    match answer {
        Some(Answer::Decided(decision, cause)) => {
            let register = transaction.decision();
            let verdict = branch.and_then(|branch| register.map(|register| register.verdict_for(branch)));
            Inquiry::Decided(Decided { decision: verdict.unwrap_or(decision), cause })
        }
        Some(Answer::Undecided) => Inquiry::Undecided,
        _ => Inquiry::Parked,
    }
}

/// The reply to a wait for the end, when there is no more to wait for.
#[must_use]
pub fn ended(transaction: &Transaction, answer: Option<Answer>) -> Inquiry {
    match transaction.state() {
        // Decided perhaps, and not carried out: whoever waits for the end must not take the one for the other.
        state if state.is_parked() => Inquiry::Parked,
        _ => inquiry(transaction, None, answer),
    }
}

/// The error of an event that contradicts the state; nothing was changed.
#[must_use]
pub fn illegal(xid: Xid, illegal: &IllegalEvent) -> Error {
    let message = format!("transaction {xid}: {illegal}");
    match illegal {
        IllegalEvent::NotInState { state: State::Absent, .. } => no_record(xid),
        IllegalEvent::NotInState { .. } => Error::new(ErrorKind::Conflict, codes::DECIDED_OTHERWISE, message),
        IllegalEvent::TooLarge { .. } => Error::new(ErrorKind::Invalid, codes::TRANSACTION_TOO_LARGE, message),
        IllegalEvent::NoBranch { .. } | IllegalEvent::ListedTwice { .. } | IllegalEvent::Missing(_) => {
            Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, message)
        }
    }
}

/// The error for a transaction that nobody knows.
#[must_use]
pub fn no_record(xid: Xid) -> Error {
    Error::new(ErrorKind::NotFound, codes::NO_TRANSACTION, format!("find transaction {xid}: there is no record of it"))
}

fn parked(xid: Xid) -> Error {
    let message = format!("transaction {xid} may have been decided and forgotten: an operator must say");
    Error::new(ErrorKind::Conflict, codes::PARKED, message).unknown()
}

/// In what phase two is sent: it belongs to the trace of its transaction, and user traffic must not starve it.
#[must_use]
pub fn phase_two_context(trace: Option<TraceContext>) -> Context {
    let root = Context::root("settee");
    Context { trace: trace.unwrap_or(root.trace), criticality: Criticality::Control, ..root }
}

/// What a reply to phase two means. Only a violated fence is final; everything else is sent again.
#[must_use]
pub fn outcome(reply: Reply<PhaseTwoAnswer>) -> Outcome {
    let error = match reply {
        Ok(answer) => return Outcome::Done(answer.kind),
        Err(Fault::Refused(never)) => match never {},
        Err(Fault::Failed(error)) => error,
    };
    // They are stored, so they are bounded.
    const CHARACTERS: usize = 500;
    let told = error.to_string().chars().take(CHARACTERS).collect();
    if *error.code() == codes::FENCE_VIOLATION { Outcome::Refused(told) } else { Outcome::Unknown(told) }
}
