//! The two registers of a transaction, and the state that follows from them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::branch::{Branch, BranchSummary, TryState};
use crate::id::{BranchId, FencingToken, Xid};
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// What a transaction was decided to be. There are no others, and it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Decision {
    /// Every branch is confirmed.
    Commit,
    /// Every branch is cancelled.
    Abort,
}

/// Why it was decided so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Cause {
    /// The application asked for it.
    Application,
    /// The deadline passed before anybody decided.
    Deadline,
    /// The application asked for COMMIT, and a branch's try was UNKNOWN.
    BranchUnknown,
    /// The application asked for COMMIT, and a branch had refused its try.
    Refused,
    /// Somebody asked, or decided, and it had never begun.
    Presumed,
    /// An operator declared it, with evidence.
    Operator,
}

/// Where a transaction stands: derived from its registers, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// There is no record of it.
    Absent,
    /// Begun; its tries are running.
    Active,
    /// Decided COMMIT; branches are being confirmed.
    Committing,
    /// Every branch is confirmed.
    Committed,
    /// Decided ABORT; branches are being cancelled.
    Aborting,
    /// Every branch is cancelled; also the tombstone of what never began.
    Aborted,
    /// Decided COMMIT, and a branch waits for an operator.
    CommitParked,
    /// Decided ABORT, and a branch waits for an operator.
    AbortParked,
    /// Somebody asked, and it may have been decided and forgotten: only an operator can say.
    UnknownParked,
    /// An operator ended it, with evidence.
    ClosedByOperator,
}

impl State {
    /// Whether nothing will happen to it any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Committed | Self::Aborted | Self::ClosedByOperator)
    }

    /// Whether it waits for an operator.
    #[must_use]
    pub fn is_parked(self) -> bool {
        matches!(self, Self::CommitParked | Self::AbortParked | Self::UnknownParked)
    }

    /// The name that operators read, such as `COMMIT_PARKED`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "ABSENT",
            Self::Active => "ACTIVE",
            Self::Committing => "COMMITTING",
            Self::Committed => "COMMITTED",
            Self::Aborting => "ABORTING",
            Self::Aborted => "ABORTED",
            Self::CommitParked => "COMMIT_PARKED",
            Self::AbortParked => "ABORT_PARKED",
            Self::UnknownParked => "UNKNOWN_PARKED",
            Self::ClosedByOperator => "CLOSED_BY_OPERATOR",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Commit => "COMMIT",
            Self::Abort => "ABORT",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Application => "APPLICATION",
            Self::Deadline => "DEADLINE",
            Self::BranchUnknown => "BRANCH_UNKNOWN",
            Self::Refused => "REFUSED",
            Self::Presumed => "PRESUMED",
            Self::Operator => "OPERATOR",
        })
    }
}

/// The first register: written once, with the branches it is about. From then on it is the truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRegister {
    /// The transaction.
    pub xid: Xid,
    /// What was decided.
    pub decision: Decision,
    /// Why.
    pub cause: Cause,
    /// Every branch that joined, in the order in which the application listed them. Frozen.
    pub branches: Vec<BranchSummary>,
    /// When.
    pub at: Timestamp,
    /// By which owner of the shard.
    pub owner: FencingToken,
    /// The number of this write among those of the transaction.
    pub version: u64,
}

impl DecisionRegister {
    /// What was decided for one branch. Of a COMMIT only the branches in its list are confirmed: any other, a try that
    /// came late or was never told of, is cancelled (P5).
    #[must_use]
    pub fn verdict_for(&self, branch: &BranchId) -> Decision {
        let is_listed = self.branches.iter().any(|listed| listed.branch == *branch && listed.state == TryState::Tried);
        // An operator who closes what was forgotten knows no list, and speaks for every branch.
        let speaks_for_all = self.cause == Cause::Operator;
        if is_listed || speaks_for_all { self.decision } else { Decision::Abort }
    }
}

/// The second register: how far the transaction has got. Written again and again; losing its last version loses nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The transaction.
    pub xid: Xid,
    /// What the application said at its begin. `None`: no begin ever arrived.
    pub begun: Option<Begun>,
    /// Phase two, branch by branch. Empty before the decision.
    pub branches: BTreeMap<BranchId, Branch>,
    /// How an operator ended it, if one did.
    pub closing: Option<Closing>,
    /// When it became terminal.
    pub ended_at: Option<Timestamp>,
    /// The owner that wrote this.
    pub owner: FencingToken,
    /// The number of the last write among those of the transaction.
    pub version: u64,
}

/// What the application said when it began a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The business operation, such as `transfer`.
    pub name: String,
    /// The business key that people search for, such as an end-to-end id.
    pub reference: Option<String>,
    /// The application that began it.
    pub application: String,
    /// How long it may stay undecided.
    pub timeout: Duration,
    /// When it began.
    pub at: Timestamp,
    /// The trace it belongs to: phase two is part of it, also after another owner took over.
    pub trace: Option<TraceContext>,
}

/// How an operator ended a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Who.
    pub user: String,
    /// On what evidence.
    pub evidence: String,
    /// When.
    pub at: Timestamp,
}
