//! The words about one branch: what became of its try, and how far phase two has got.

use serde::{Deserialize, Serialize};

use crate::id::BranchId;
use crate::time::Timestamp;

/// What the beginner knows of a branch's try when it asks for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TryState {
    /// The participant said that its try is durable.
    Tried,
    /// It was sent, and no answer came: it may have happened. It forbids COMMIT and can only be cancelled.
    Unknown,
    /// The participant refused, and rolled everything back.
    Refused,
}

/// One branch, as the decision lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchSummary {
    /// Which one.
    pub branch: BranchId,
    /// The service that takes phase two. Addressed by name, never by connection: instances come and go.
    pub service: String,
    /// The routing key, where only some instances hold the branch's data.
    pub route: Option<String>,
    /// What became of its try.
    pub state: TryState,
}

impl BranchSummary {
    /// Bytes that count against [`MAX_CONTEXT_BYTES`](super::MAX_CONTEXT_BYTES).
    #[must_use]
    pub fn size(&self) -> usize {
        self.branch.as_str().len() + self.service.len() + self.route.as_ref().map_or(0, String::len)
    }
}

/// How far phase two of one branch has got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Branch {
    /// Not finished: it is sent again until it is answered.
    Open {
        /// How often it was sent by this owner, or since an operator resumed it.
        attempts: u32,
        /// What went wrong with the last attempt.
        trouble: Option<String>,
    },
    /// The participant carried the decision out.
    Done {
        /// How.
        how: Done,
        /// When that became known.
        at: Timestamp,
    },
    /// Automation has stopped for this branch: an operator is needed.
    Parked {
        /// Why.
        why: String,
        /// How often it was sent before.
        attempts: u32,
        /// When it was given up.
        at: Timestamp,
    },
}

impl Branch {
    /// A branch that was never sent.
    pub const NEW: Self = Self::Open { attempts: 0, trouble: None };

    /// Whether it is still to be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Whether it waits for an operator.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        matches!(self, Self::Parked { .. })
    }

    /// Whether it is finished.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// How a participant carried out phase two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// It ran the business operation now.
    Real,
    /// It was told to cancel what it had never tried: the try, should it still come, is suppressed.
    Empty,
    /// It had done so before.
    Already,
}

/// What came back from sending phase two to a participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable there.
    Done(Done),
    /// The participant will never do it: its fence contradicts the decision. Parks at once.
    Refused(String),
    /// No answer, or a failure that may pass. Sent again.
    Unknown(String),
}
