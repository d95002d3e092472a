//! The rules of a global transaction: pure, total, without IO. The coordinator in `settee-server` performs their effects.
//!
//! A transaction is **two registers**. The [`DecisionRegister`] is written once, together with the list of branches it is
//! about; it is the truth. [`Progress`] beside it says how far that decision has been carried out, and may be lost and
//! found again by asking the participants, whose [`fence`] makes every repetition harmless. The [`State`] is derived from both.
//!
//! ```text
//!                     Begin                Decide COMMIT,             every branch
//!   ABSENT ───────────────────> ACTIVE ──── every branch TRIED ─> COMMITTING ── confirmed ──> COMMITTED
//!     │                           │                                 │   ^
//!     │ Inquired, Decide          │ Decide ABORT, DeadlinePassed,   │   │ OperatorResume
//!     │ (nothing can have been    │ Decide COMMIT with a branch     v   │
//!     │  forgotten)               │ UNKNOWN or REFUSED          COMMIT_PARKED ──OperatorClose──┐
//!     │                           v           every branch                                     v
//!     └──────────────────────> ABORTING ────── cancelled ──────> ABORTED           CLOSED_BY_OPERATOR
//!     │                           │   ^                                                        ^
//!     │                           v   │ OperatorResume                                         │
//!     │                        ABORT_PARKED ──────────────────────OperatorClose────────────────┤
//!     │ (it may have been decided and forgotten)                                               │
//!     └──────────────────────> UNKNOWN_PARKED ──OperatorClose with the decision────────────────┘
//! ```
//!
//! | event | ABSENT | ACTIVE | COMMITTING, ABORTING and their PARKED | COMMITTED, ABORTED, CLOSED | UNKNOWN_PARKED |
//! |---|---|---|---|---|---|
//! | `Begin` | ACTIVE, or parked | answer begun | answer the decision | answer the decision | answer parked |
//! | `Decide` | ABORT, or parked | the decision | answer the decision | answer the decision | answer parked |
//! | `DeadlinePassed` | illegal | ABORT | nothing | nothing | nothing |
//! | `Inquired` | ABORT, or parked | answer undecided | answer the decision | answer the decision | answer parked |
//! | `BranchAnswered` | illegal | illegal | note it; end, retry or park | nothing | illegal |
//! | `BranchRetryDue` | illegal | illegal | send, if still open | nothing | illegal |
//! | `OperatorResume` | illegal | illegal | send what is parked | illegal | illegal |
//! | `OperatorClose` | illegal | illegal | CLOSED | illegal | CLOSED, if it names a decision |
//! | `Restarted` | illegal | the deadline's rest | send what is open | leave memory | nothing |
//!
//! A transaction is parked as soon as one branch is; the others are driven on. Effects are in order, and what comes behind a
//! [`Effect::Persist`] waits until that is durable.

mod absence;
mod branch;
mod event;
pub mod fence;
mod register;
mod retry;
mod transaction;

pub use absence::Absence;
pub use branch::{Branch, BranchSummary, Done, Outcome, TryState};
pub use event::{Alarm, Answer, Begin, Close, Effect, Event, IllegalEvent, Register};
pub use register::{Begun, Cause, Closing, Decision, DecisionRegister, Progress, State};
pub use retry::{ATTEMPT_BUDGET, ATTEMPT_TIMEOUT, retry_wait};
pub use transaction::{DamagedRegisters, Transaction};

use std::time::Duration;

/// Branches of one transaction at most. More than this is a batch: split it, so that one of them can fail alone.
pub const MAX_BRANCHES: usize = 1_024;

/// Bytes of names, reference, branch ids, services and routes of one transaction at most: a decision must fit well into one
/// group of the store's 1 MB, beside others. Larger data belongs to the participants; pass a reference to it.
pub const MAX_CONTEXT_BYTES: usize = 64 * 1024;

/// The longest time a transaction may stay undecided. What holds money for longer is a saga, not a try.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// What a transaction is given, after a restart of its owner, even when its time is nearly over: callers whose commit waited
/// for the fail-over get through.
pub const RESTART_GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod transaction_test;
