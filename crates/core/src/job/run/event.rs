//! What happens to a run, and what is to be done about it.

use serde::{Deserialize, Serialize};

use super::{Assignment, Run, SkipCause, Worker};
use crate::error::Certainty;
use crate::id::FencingToken;
use crate::time::Timestamp;

/// What a worker reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The handler returned this, as JSON text.
    Done {
        /// JSON text.
        result: String,
    },
    /// The handler failed, panicked or took too long.
    Failed {
        /// Why.
        cause: String,
        /// Whether it had an effect, as far as the handler's error tells.
        certainty: Certainty,
    },
}

/// What happens to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker is named for it.
    Assign(Assignment),
    /// Its time has come: the worker is asked, under this token.
    Offer(FencingToken),
    /// An offer certainly did not reach the handler. `again` as in its [`Effect::Send`].
    NotTaken {
        /// Who was asked.
        worker: Worker,
        /// For which attempt.
        attempt: u32,
        /// Whether the attempt had been offered before.
        again: bool,
    },
    /// An offer ended without an answer.
    Lost {
        /// Who was asked.
        worker: Worker,
        /// For which attempt.
        attempt: u32,
    },
    /// The worker answered.
    Answered {
        /// Who.
        worker: Worker,
        /// For which attempt.
        attempt: u32,
        /// What.
        answer: Answer,
    },
    /// This worker is dead, with evidence.
    Died(Worker),
    /// The worker lives but has not answered long after the time the attempt may take.
    Silent {
        /// Who.
        worker: Worker,
        /// For which attempt.
        attempt: u32,
    },
    /// It is left out.
    Skip(SkipCause),
}

/// What the scheduler does about a change, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write the run. What follows waits until everything before it is durable, this write may still be under way.
    Save,
    /// Ask the worker.
    Send {
        /// Whom, under which token.
        assignment: Assignment,
        /// For which attempt.
        attempt: u32,
        /// Whether this attempt may have been sent before.
        again: bool,
    },
    /// At this time, or when it becomes possible: name a worker, save, then offer.
    AssignAt(Timestamp),
    /// At this time, offer it to the same worker again.
    OfferAt(Timestamp),
    /// The slice has ended: what waits for the run may go on.
    Ended,
}

/// An event that the state does not allow: a fault of the scheduler.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IllegalEvent(Box<str>);

impl IllegalEvent {
    pub(super) fn new(run: &Run, event: &Event) -> Self {
        Self(format!("run {}: {event:?} is not possible in {:?}", run.id, run.state).into())
    }
}
