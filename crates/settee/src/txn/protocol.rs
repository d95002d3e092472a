//! What a beginner and the coordinator say to a participant: the arguments and answers of the two methods that every
//! `#[tcc]` service has on the wire. Both are idempotent: the participant's fence sees to it.

use serde::{Deserialize, Serialize};
use settee_core::id::{BranchId, FencingToken, Xid};
use settee_core::txn::{BranchSummary, Decision, Done};

use crate::rpc::MethodDescriptor;

/// Phase one: `attempt(Attempt<Order>) -> Attempted<Hold>`.
pub const ATTEMPT: MethodDescriptor = MethodDescriptor { idempotent: true, ..MethodDescriptor::new("attempt") };

/// Phase two: `phase_two(PhaseTwo) -> PhaseTwoAnswer`.
pub const PHASE_TWO: MethodDescriptor = MethodDescriptor { idempotent: true, ..MethodDescriptor::new("phase_two") };

/// The methods of every `#[tcc]` service, in the order in which [`ParticipantServer`](super::ParticipantServer) serves them.
pub const METHODS: &[MethodDescriptor] = &[ATTEMPT, PHASE_TWO];

/// Phase one of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt<Order> {
    /// The transaction.
    pub xid: Xid,
    /// The branch of it.
    pub branch: BranchId,
    /// Milliseconds until the transaction's deadline, when this was sent. Relative, because clocks differ.
    pub remaining_ms: u64,
    /// What to try.
    pub order: Order,
}

/// The answer of a try that is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempted<Hold> {
    /// What is held until phase two.
    pub hold: Hold,
    /// The branches that the participant itself began on the way: they join the caller's list (P5).
    #[serde(default)]
    pub joins: Vec<BranchSummary>,
}

/// Phase two of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTwo {
    /// The transaction.
    pub xid: Xid,
    /// The branch of it.
    pub branch: BranchId,
    /// What was decided.
    pub decision: Decision,
    /// The owner that sends it; for the log, because the fence makes a stale one harmless.
    pub token: FencingToken,
}

/// The answer of phase two that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTwoAnswer {
    /// How it was carried out.
    pub kind: Done,
}
