//! Global transactions: try everywhere, then confirm everywhere or cancel everywhere, whatever crashes in between.
//!
//! - A caller holds a [`Transactions`], begins a [`GlobalTransaction`], tries branches through it and commits.
//! - A participant is a `#[tcc]` trait ([`Tcc`]) over its own database ([`LocalStore`]); [`ParticipantServer`] fences it.
//! - The coordinator is reached through [`TransactionControl`]; it lives in `settee-server`.
//!
//! The rules are in `settee_core::txn`; [`answers`] is how a coordinator puts them into words. A transaction is never ambient: a
//! branch is reached only through the explicit value, because a spawned task that lost its surroundings would try outside of its
//! transaction.

pub mod answers;

mod control;
mod drive;
mod global;
mod joins;
mod lease;
mod nested;
mod order;
mod participant;
mod protocol;
mod store;
mod sweep;
mod tcc;
mod transactions;

pub use control::{
    Begin, BranchProgress, BranchView, Close, ClosingView, Decide, Decided, DecisionView, Inquire, Inquiry, LeaseXids,
    ListTransactions, Resume, TransactionControl, TransactionControlClient, TransactionControlServer, TransactionPage,
    TransactionStats, TransactionSummary, TransactionView, XidRange,
};
pub use drive::{run_attempt, run_phase_two};
pub use global::GlobalTransaction;
pub use nested::Nested;
pub use order::{ListOrder, ListPosition};
pub use participant::{Participant, ParticipantServer};
pub use protocol::{ATTEMPT, Attempt, Attempted, METHODS, PHASE_TWO, PhaseTwo, PhaseTwoAnswer};
pub use settee_core::id::{BranchId, Xid};
pub use settee_core::txn::{BranchSummary, Cause, Decision, Done, State, TryState};
pub use store::{FenceClaim, FenceKey, FenceRow, LocalStore, LocalTx, MAX_SAVED_BYTES, OverdueQuery};
pub use sweep::{SWEEP_EVERY, SWEEP_GRACE};
pub use tcc::{Payload, Tcc, TccClient};
pub use transactions::Transactions;

#[cfg(test)]
mod global_test;
#[cfg(test)]
pub(crate) mod participant_test;
