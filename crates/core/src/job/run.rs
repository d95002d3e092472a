//! The life of one run, or of one slice of it.
//!
//! ```text
//!            Assign           Offer               Answered
//!  PLANNED ---------> PLANNED -------> DISPATCHED ---------> SUCCEEDED | FAILED
//!     |     (worker named)  ^              |   |
//!     | Skip                +--------------+   +-- Died, Silent, Answered without knowing --> UNKNOWN
//!     v                  NotTaken (certainly); retry and
//!  SKIPPED               Died of an idempotent run: attempt + 1
//! ```
//! The record names the worker before the worker is asked. Whoever takes over offers the run to that worker only, until it answers
//! or is dead: workers refuse repeated run ids, but each only its own (`PROTOCOLS.md` P8). A run that may be repeated then goes
//! to another worker as the next attempt; one that may not ends UNKNOWN, never elsewhere.

mod event;
mod id;

pub use event::{Answer, Effect, Event, IllegalEvent};
pub use id::{MAX_NAME, ParseRunIdError, RunId, check_name};

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::millis;
use crate::error::Certainty;
use crate::id::FencingToken;
use crate::planted::Bug;
use crate::time::Timestamp;

/// Before a run is offered to its worker again.
pub const OFFER_AGAIN: Duration = Duration::from_millis(500);

/// Before a run that a worker certainly did not take is given to another: time for the list of workers to follow.
const ASSIGN_AGAIN: Duration = Duration::from_millis(100);

/// The longest wait before a retry, however often it failed.
const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// Doublings of the backoff that are counted: more would pass the longest wait anyway.
const MAX_DOUBLINGS: u32 = 16;

/// One process that serves a job: its address, and which process at that address (the publisher of its publication).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Worker {
    /// Where it listens.
    pub address: SocketAddr,
    /// The number that it drew at its start; a process that comes back at the same address has another one.
    pub publisher: u64,
}

impl fmt::Display for Worker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(out)
    }
}

/// How often a run is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts at most, the first included; 0 counts as 1. Default 3.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles up to five minutes. Default 1 s.
    #[serde(rename = "backoff_ms", with = "millis")]
    pub backoff: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, backoff: Duration::from_secs(1) }
    }
}

/// What a run keeps of its job's definition: it ends by the rules under which it was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPolicy {
    /// Whether it may run more than once. If not, it runs at most once, and its outcome may stay unknown.
    pub idempotent: bool,
    /// How often it is tried after a failure.
    pub retry: Retry,
    /// How long one attempt may take at its worker.
    #[serde(rename = "timeout_ms", with = "millis")]
    pub timeout: Duration,
}

/// A worker that was named for an attempt, and under which ownership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The worker.
    pub worker: Worker,
    /// The token of the owner that named it, or that offered it last.
    pub token: FencingToken,
}

/// One slice of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Which.
    pub id: RunId,
    /// How many slices the run has; 1 is the whole.
    pub of: u32,
    /// The rules it ends by.
    pub policy: RunPolicy,
    /// What the one who triggered it attached.
    pub reference: Option<String>,
    /// The attempt that is meant by `state`, counted from 1.
    pub attempt: u32,
    /// How far it is.
    pub state: RunState,
    /// Whether the named worker may have received this attempt. What was loaded is in doubt: a predecessor may have sent it.
    #[serde(skip, default = "in_doubt")]
    pub doubt: bool,
}

fn in_doubt() -> bool {
    !Bug::ForgetsDoubt.is_planted()
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It waits: for its due time, for a worker, or for its next attempt.
    Planned {
        /// The worker named for it, if one was.
        assignment: Option<Assignment>,
        /// Not to be offered before.
        not_before: Timestamp,
    },
    /// It was offered to its worker.
    Dispatched(Assignment),
    /// The worker reported success.
    Succeeded {
        /// Who.
        by: Assignment,
        /// The result, JSON text.
        result: String,
    },
    /// The worker reported failure and knows what its handler did before, and no attempt is left: the cause says it.
    Failed {
        /// Who.
        by: Assignment,
        /// Why.
        cause: String,
    },
    /// The worker is dead or silent, or its handler could not tell: whether the run happened, wholly or partly, nobody knows.
    Unknown {
        /// Who was asked.
        by: Assignment,
        /// Why nobody knows.
        cause: String,
    },
    /// It was left out.
    Skipped(SkipCause),
}

/// Why a run was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipCause {
    /// Its due time was missed, and the misfire policy leaves it out.
    Misfire,
    /// An earlier run was still open, and the overlap policy leaves it out.
    Overlap,
}

/// A run after an event, and what is to be done about it.
pub type Step = (Run, Vec<Effect>);

impl Run {
    /// A run that waits for its due time and has no worker yet.
    #[must_use]
    pub fn planned(id: RunId, of: u32, policy: RunPolicy, reference: Option<String>) -> Self {
        let state = RunState::Planned { assignment: None, not_before: id.due };
        Self { id, of, policy, reference, attempt: 1, state, doubt: false }
    }

    /// A run that is left out from the start.
    #[must_use]
    pub fn skipped(id: RunId, policy: RunPolicy, cause: SkipCause) -> Self {
        Self { state: RunState::Skipped(cause), ..Self::planned(id, 1, policy, None) }
    }

    /// Whether nothing can happen to it any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !matches!(self.state, RunState::Planned { .. } | RunState::Dispatched(_))
    }

    /// When it may be offered, if not now. A wait that is longer than the rule imposes any was reckoned by a clock that was ahead and
    /// has been set back since: nothing but the due time is left of it.
    #[must_use]
    pub fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        let RunState::Planned { not_before, .. } = self.state else { return None };
        let longest = now.after(self.backoff().max(ASSIGN_AGAIN)).max(self.id.due);
        let until = if not_before > longest { self.id.due } else { not_before };
        (now < until).then_some(until)
    }

    /// Whether it certainly was never offered in any attempt, so that it may be cancelled without a trace.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        matches!(self.state, RunState::Planned { assignment, .. } if self.attempt == 1 && !(self.doubt && assignment.is_some()))
    }

    /// The worker named last, and under which ownership.
    #[must_use]
    pub fn assignment(&self) -> Option<Assignment> {
        match self.state {
            RunState::Planned { assignment, .. } => assignment,
            RunState::Dispatched(by) => Some(by),
            RunState::Succeeded { by, .. } | RunState::Failed { by, .. } | RunState::Unknown { by, .. } => Some(by),
            RunState::Skipped(_) => None,
        }
    }

    /// The run after `event`, and what the scheduler does about it.
    ///
    /// A report of another worker or attempt than the present one changes nothing, nor does any report once the run is over.
    ///
    /// # Errors
    /// [`IllegalEvent`] when the scheduler does what the state does not allow.
    pub fn apply(&self, event: Event, now: Timestamp) -> Result<Step, IllegalEvent> {
        use RunState::{Dispatched, Planned};
        Ok(match (&self.state, event) {
            (Planned { assignment, not_before }, Event::Assign(named)) if !(self.doubt && assignment.is_some()) => {
                let state = Planned { assignment: Some(named), not_before: *not_before };
                (Self { state, doubt: false, ..self.clone() }, vec![Effect::Save])
            }
            (Planned { assignment: Some(named), .. }, Event::Offer(token)) => self.offered(Assignment { token, ..*named }),
            (Dispatched(named), Event::Offer(token)) => self.offered(Assignment { token, ..*named }),
            (Planned { .. }, Event::Skip(cause)) if self.is_untouched() => self.over(RunState::Skipped(cause)),
            (_, event @ (Event::Assign(_) | Event::Offer(_) | Event::Skip(_))) => return Err(IllegalEvent::new(self, &event)),

            (Dispatched(by), Event::Answered { worker, attempt, answer }) if self.is_current(by, worker, attempt) => {
                self.answered(*by, answer, now)
            }
            (Dispatched(by), Event::NotTaken { worker, attempt, again }) if self.is_current(by, worker, attempt) => {
                if again {
                    self.offer_later(now)
                } else {
                    self.unassigned(now.after(ASSIGN_AGAIN))
                }
            }
            (Dispatched(by), Event::Lost { worker, attempt }) if self.is_current(by, worker, attempt) => self.offer_later(now),
            (Dispatched(by), Event::Silent { worker, attempt }) if self.is_current(by, worker, attempt) => {
                self.unknown(*by, format!("{worker} lives but did not answer"))
            }
            (Dispatched(by), Event::Died(worker)) if by.worker == worker => self.orphaned(*by, now),
            (Planned { assignment: Some(by), .. }, Event::Died(worker)) if by.worker == worker => {
                if self.doubt {
                    self.orphaned(*by, now)
                } else {
                    self.unassigned(now)
                }
            }
            // A late, old or foreign report.
            (_, _) => (self.clone(), Vec::new()),
        })
    }

    fn is_current(&self, by: &Assignment, worker: Worker, attempt: u32) -> bool {
        by.worker == worker && self.attempt == attempt
    }

    fn offered(&self, assignment: Assignment) -> Step {
        let run = Self { state: RunState::Dispatched(assignment), doubt: true, ..self.clone() };
        (run, vec![Effect::Save, Effect::Send { assignment, attempt: self.attempt, again: self.doubt }])
    }

    fn offer_later(&self, now: Timestamp) -> Step {
        (self.clone(), vec![Effect::OfferAt(now.after(OFFER_AGAIN))])
    }

    /// No worker has seen this attempt, so any other may take it.
    fn unassigned(&self, from: Timestamp) -> Step {
        let not_before = from.max(self.id.due);
        let state = RunState::Planned { assignment: None, not_before };
        (Self { state, doubt: false, ..self.clone() }, vec![Effect::Save, Effect::AssignAt(not_before)])
    }

    fn answered(&self, by: Assignment, answer: Answer, now: Timestamp) -> Step {
        match answer {
            Answer::Done { result } => self.over(RunState::Succeeded { by, result }),
            Answer::Failed { certainty, .. } if self.may_retry(certainty) => self.next_attempt(now.after(self.backoff())),
            Answer::Failed { cause, certainty: Certainty::Unknown } => self.unknown(by, cause),
            Answer::Failed { cause, .. } => self.over(RunState::Failed { by, cause }),
        }
    }

    fn may_retry(&self, certainty: Certainty) -> bool {
        let harmless = self.policy.idempotent || certainty == Certainty::NotDone || Bug::RepeatsRuns.is_planted();
        harmless && self.attempt < self.policy.retry.attempts
    }

    /// The worker is dead, and may have received it.
    fn orphaned(&self, by: Assignment, now: Timestamp) -> Step {
        match self.may_retry(Certainty::Unknown) {
            true => self.next_attempt(now.max(self.id.due)),
            false => self.unknown(by, format!("{} died and had not answered", by.worker)),
        }
    }

    fn next_attempt(&self, not_before: Timestamp) -> Step {
        let state = RunState::Planned { assignment: None, not_before };
        let run = Self { state, attempt: self.attempt.saturating_add(1), doubt: false, ..self.clone() };
        (run, vec![Effect::Save, Effect::AssignAt(not_before)])
    }

    fn unknown(&self, by: Assignment, cause: String) -> Step {
        self.over(RunState::Unknown { by, cause })
    }

    fn over(&self, state: RunState) -> Step {
        (Self { state, ..self.clone() }, vec![Effect::Save, Effect::Ended])
    }

    fn backoff(&self) -> Duration {
        let doublings = self.attempt.saturating_sub(1).min(MAX_DOUBLINGS);
        self.policy.retry.backoff.saturating_mul(1 << doublings).min(MAX_BACKOFF)
    }
}

#[cfg(test)]
#[path = "run_test.rs"]
mod tests;
