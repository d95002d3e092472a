//! What happens to a transaction, and what the coordinator must do about it.

use std::time::Duration;

use super::branch::{BranchSummary, Outcome};
use super::register::{Cause, Decision, State};
use super::{MAX_BRANCHES, MAX_CONTEXT_BYTES};
use crate::id::{BranchId, FencingToken};
use crate::trace::TraceContext;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An application begins it, perhaps again.
    Begin(Begin),
    /// An application asks for a decision, perhaps again. Deliver [`Event::DeadlinePassed`] first if it is due.
    Decide {
        /// What is wanted.
        decision: Decision,
        /// Every branch that may have joined.
        branches: Vec<BranchSummary>,
    },
    /// Its time is over by the owner's monotonic clock.
    DeadlinePassed,
    /// A participant, or a caller who got Unknown, asks what was decided.
    Inquired,
    /// A participant answered phase two, or did not.
    BranchAnswered {
        /// Which branch.
        branch: BranchId,
        /// What came back.
        outcome: Outcome,
    },
    /// The wait that [`Effect::RetryIn`] asked for is over.
    BranchRetryDue {
        /// Which branch.
        branch: BranchId,
    },
    /// An operator removed the obstacle: parked branches are tried again.
    OperatorResume,
    /// An operator ends it by hand.
    OperatorClose(Close),
    /// A new owner has loaded it.
    Restarted {
        /// The new owner.
        owner: FencingToken,
    },
}

impl Event {
    /// The name of the event, for errors.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Begin(_) => "begin",
            Self::Decide { .. } => "decide",
            Self::DeadlinePassed => "deadline passed",
            Self::Inquired => "inquired",
            Self::BranchAnswered { .. } => "branch answered",
            Self::BranchRetryDue { .. } => "branch retry due",
            Self::OperatorResume => "operator resume",
            Self::OperatorClose(_) => "operator close",
            Self::Restarted { .. } => "restarted",
        }
    }
}

/// What an application says at the begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The business operation.
    pub name: String,
    /// The business key that people search for.
    pub reference: Option<String>,
    /// The application.
    pub application: String,
    /// How long it may stay undecided, at most [`MAX_TIMEOUT`](super::MAX_TIMEOUT).
    pub timeout: Duration,
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
}

/// What an operator declares when ending a transaction by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Who.
    pub user: String,
    /// On what evidence; must not be empty.
    pub evidence: String,
    /// What participants that ask are told from now on. Only where none is recorded, and needed there.
    pub decision: Option<Decision>,
}

/// What the coordinator must do, in order. What comes behind a [`Effect::Persist`] waits until that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this register.
    Persist(Register),
    /// Answer whoever caused the event.
    Answer(Answer),
    /// Deliver [`Event::DeadlinePassed`] after this time.
    DeadlineIn(Duration),
    /// Send the decision to a branch's service.
    Send {
        /// Which branch.
        branch: BranchId,
        /// What was decided.
        decision: Decision,
        /// How often it was sent before, by this owner.
        attempt: u32,
    },
    /// Deliver [`Event::BranchRetryDue`] after this time, jitter added.
    RetryIn {
        /// Which branch.
        branch: BranchId,
        /// How long.
        wait: Duration,
    },
    /// Tell the operators.
    Alarm(Alarm),
    /// It is terminal: it may leave memory.
    End,
}

/// Which register to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// The decision, which must not exist yet.
    Decision,
    /// The progress.
    Progress,
}

/// What to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is begun and undecided.
    Begun,
    /// It is begun and undecided; ask again.
    Undecided,
    /// It is decided, and will never be decided otherwise.
    Decided(Decision, Cause),
    /// It may have been decided and forgotten; an operator must say.
    Parked,
    /// The operator's command was carried out.
    Ordered,
}

/// Why operators are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A branch was parked.
    BranchParked {
        /// Which one.
        branch: BranchId,
        /// Why.
        why: String,
    },
    /// Somebody asked for a transaction that may have been decided and forgotten.
    MayBeForgotten,
}

/// An event that contradicts the state; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllegalEvent {
    /// This event cannot happen in this state.
    #[error("apply {event} to a transaction that is {state}")]
    NotInState {
        /// The state.
        state: State,
        /// The event.
        event: &'static str,
    },
    /// The branch is not one of the decision's.
    #[error("apply an answer of branch {branch}: the decision does not list it")]
    NoBranch {
        /// Which.
        branch: BranchId,
    },
    /// More branches or a larger context than allowed.
    #[error(
        "a transaction of {branches} branches and {bytes} bytes of names, routes and ids: at most {MAX_BRANCHES} and \
         {MAX_CONTEXT_BYTES} are allowed"
    )]
    TooLarge {
        /// How many branches.
        branches: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// A branch is listed twice.
    #[error("decide with branch {branch} listed twice")]
    ListedTwice {
        /// Which.
        branch: BranchId,
    },
    /// What an operator must say is missing.
    #[error("close a transaction without {0}")]
    Missing(&'static str),
}
