//! The control plane of transactions: what applications, participants and operators say to the coordinator.
//!
//! The models here are what crosses the wire; what is stored are other types, in `settee_core::txn`.

use serde::{Deserialize, Serialize};
use settee_core::Timestamp;
use settee_core::id::{BranchId, FencingToken, Generation, ShardId, Xid};
use settee_core::trace::TraceId;
use settee_core::txn::{BranchSummary, Cause, Decision, Done, State, TryState};

use super::order::{ListOrder, ListPosition};
use crate::rpc::Reply;

/// The coordinator of global transactions.
#[crate::service("settee.Transactions")]
pub trait TransactionControl {
    /// Leases counters, of which the caller makes xids without asking again. A lost answer wastes them, nothing else.
    async fn lease(&self, request: LeaseXids) -> Reply<XidRange>;

    /// Begins a transaction; durable when answered. Refused with `DECIDED_OTHERWISE` if it has been decided already.
    #[rpc(idempotent)]
    async fn begin(&self, request: Begin) -> Reply<()>;

    /// Asks for a decision and answers the one that stands, which may be another: compare it. Durable when answered; phase two
    /// follows by itself.
    #[rpc(idempotent)]
    async fn decide(&self, request: Decide) -> Reply<Decided>;

    /// Tells what was decided. An xid that never began is decided ABORT before the answer.
    #[rpc(idempotent)]
    async fn inquire(&self, request: Inquire) -> Reply<Inquiry>;

    /// As [`inquire`](Self::inquire), but answers when phase two has ended everywhere, or [`Inquiry::Parked`] when it cannot end by
    /// itself. Waits as long as the caller's deadline allows.
    #[rpc(idempotent)]
    async fn ended(&self, xid: Xid) -> Reply<Inquiry>;

    /// Everything that is known of one transaction; fails with `NO_TRANSACTION` if nothing is.
    #[rpc(idempotent)]
    async fn show(&self, xid: Xid) -> Reply<TransactionView>;

    /// One page of transactions, in the order that is asked for.
    #[rpc(idempotent)]
    async fn list(&self, request: ListTransactions) -> Reply<TransactionPage>;

    /// How many transactions there are and were.
    #[rpc(idempotent)]
    async fn stats(&self) -> Reply<TransactionStats>;

    /// An operator removed the obstacle of a parked transaction: its branches are tried again.
    #[rpc(idempotent)]
    async fn resume(&self, request: Resume) -> Reply<()>;

    /// An operator ends a transaction by hand.
    async fn close(&self, request: Close) -> Reply<()>;
}

/// How many counters are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseXids {
    /// At least 1; the coordinator may give fewer.
    pub count: u32,
}

/// Counters of one shard that nobody else has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct XidRange {
    /// The shard of the xids.
    pub shard: ShardId,
    /// The life of the store.
    pub generation: Generation,
    /// The first counter.
    pub first: u64,
    /// How many.
    pub count: u32,
    /// For how many milliseconds they may be used: an old counter could be one that was forgotten (P6).
    pub valid_ms: u64,
}

/// The begin of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Its identity, of a leased counter.
    pub xid: Xid,
    /// The business operation, such as `transfer`.
    pub name: String,
    /// The business key that people will search for.
    pub reference: Option<String>,
    /// Milliseconds until it is aborted unless decided.
    pub timeout_ms: u64,
    /// The application that begins it.
    pub application: String,
}

/// A wish for a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decide {
    /// The transaction.
    pub xid: Xid,
    /// What is wanted.
    pub decision: Decision,
    /// Every branch that may have joined.
    pub branches: Vec<BranchSummary>,
}

/// The decision that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// What was decided.
    pub decision: Decision,
    /// Why.
    pub cause: Cause,
}

/// A question about a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inquire {
    /// The transaction.
    pub xid: Xid,
    /// The branch that a participant asks about: one that a COMMIT does not list is to be cancelled. `None`: the whole.
    pub branch: Option<BranchId>,
}

/// What was decided, if it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inquiry {
    /// Not yet: ask again. It will be, at the latest soon after the deadline.
    Undecided,
    /// For ever.
    Decided(Decided),
    /// It may have been decided and forgotten; an operator must say. Of [`ended`](TransactionControl::ended) also: it was decided
    /// and cannot be carried out; an operator must end it.
    Parked,
}

/// Everything about one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionView {
    /// What the list shows of it.
    pub summary: TransactionSummary,
    /// The application that began it.
    pub application: Option<String>,
    /// How long it was allowed to stay undecided.
    pub timeout_ms: Option<u64>,
    /// The trace it belongs to.
    pub trace: Option<TraceId>,
    /// The decision, once there is one.
    pub decision: Option<DecisionView>,
    /// The branches of the decision, in the order in which the application listed them.
    pub branches: Vec<BranchView>,
    /// How an operator ended it.
    pub closing: Option<ClosingView>,
    /// The owner of the shard that wrote it last.
    pub owner: FencingToken,
    /// How often it was written.
    pub version: u64,
}

/// A decision and who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionView {
    /// What was decided, and why.
    pub decided: Decided,
    /// When.
    pub at: Timestamp,
    /// By which owner of the shard.
    pub owner: FencingToken,
}

/// One branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchView {
    /// Which one.
    pub branch: BranchId,
    /// The service that takes phase two.
    pub service: String,
    /// The routing key of its data.
    pub route: Option<String>,
    /// What the application knew of its try.
    pub tried: TryState,
    /// How far phase two is.
    pub progress: BranchProgress,
}

/// How far phase two of a branch is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BranchProgress {
    /// It is being sent.
    Open {
        /// How often it was, by this owner.
        attempts: u32,
        /// What the last attempt met.
        trouble: Option<String>,
    },
    /// It is durable at the participant.
    Done {
        /// How.
        how: Done,
        /// When that became known.
        at: Timestamp,
    },
    /// It waits for an operator.
    Parked {
        /// Why.
        why: String,
        /// How often it was sent.
        attempts: u32,
        /// Since when.
        at: Timestamp,
    },
}

/// How an operator ended a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosingView {
    /// Who.
    pub user: String,
    /// On what evidence.
    pub evidence: String,
    /// When.
    pub at: Timestamp,
}

/// Which transactions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListTransactions {
    /// Only in this state.
    #[serde(default)]
    pub state: Option<State>,
    /// Only in one of these states or in [`state`](Self::state), if either says something.
    #[serde(default)]
    pub states: Vec<State>,
    /// Only with exactly this reference.
    #[serde(default)]
    pub reference: Option<String>,
    /// In which order. Default: by xid.
    #[serde(default)]
    pub order: ListOrder,
    /// Only behind this one: [`TransactionPage::next`] of the page before.
    #[serde(default)]
    pub after: Option<ListPosition>,
    /// At most this many; the coordinator may give fewer.
    pub limit: u32,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionSummary {
    /// Its identity.
    pub xid: Xid,
    /// Where it stands.
    pub state: State,
    /// The business operation; `None` when no begin ever arrived.
    pub name: Option<String>,
    /// The business key.
    pub reference: Option<String>,
    /// When it began.
    pub begun_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it was decided as it was.
    pub cause: Option<Cause>,
}

/// One page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionPage {
    /// The transactions, in the order that was asked for. May be empty although there is a next page.
    pub transactions: Vec<TransactionSummary>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<ListPosition>,
}

/// How many there are and were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionStats {
    /// Decided COMMIT, since the store was made.
    pub committed: u64,
    /// Decided ABORT, since the store was made.
    pub aborted: u64,
    /// Waiting for an operator now.
    pub parked: u64,
    /// Not ended now; the parked ones included.
    pub open: u64,
}

/// An operator's command to try again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The transaction.
    pub xid: Xid,
    /// Who commands it.
    pub user: String,
}

/// An operator's command to end a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// The transaction.
    pub xid: Xid,
    /// Who commands it.
    pub user: String,
    /// On what evidence; must not be empty.
    pub evidence: String,
    /// What participants are told, for a transaction of which no decision is known.
    pub decision: Option<Decision>,
}
