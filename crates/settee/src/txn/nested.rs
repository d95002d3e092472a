//! A participant that is itself a caller: what it tries elsewhere becomes part of the same transaction.
//!
//! Its joins ride back with its own answer and are saved in its fence row, so that a repeated try returns them too (P5).

use std::future::Future;
use std::sync::Arc;

use settee_core::Instant;
use settee_core::id::{BranchId, Xid};
use settee_core::txn::BranchSummary;

use super::joins::{Call, Joins};
use super::tcc::TccClient;
use crate::rpc::Reply;

/// The branch that a participant is trying, handed to its local transaction with [`LocalTx::enter`](super::LocalTx::enter).
/// It can be joined until the try returns; work that outlives it cannot.
#[derive(Clone, Debug)]
pub struct Nested(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    xid: Xid,
    branch: BranchId,
    deadline: Instant,
    joins: Joins,
}

impl Nested {
    pub(super) fn new(xid: Xid, branch: BranchId, deadline: Instant) -> Self {
        Self(Arc::new(Inner { xid, branch, deadline, joins: Joins::default() }))
    }

    /// The transaction.
    #[must_use]
    pub fn xid(&self) -> Xid {
        self.0.xid
    }

    /// The branch that is being tried here.
    #[must_use]
    pub fn branch(&self) -> &BranchId {
        &self.0.branch
    }

    /// Tries a branch below this one. The calls must come in the same order when this try is repeated, because their numbers
    /// name the branches.
    ///
    /// # Errors
    /// As [`GlobalTransaction::attempt`](super::GlobalTransaction::attempt).
    ///
    /// # Cancel safety
    /// A try that is dropped counts as unknown: the transaction can then only abort.
    pub fn attempt<'a, C: TccClient>(
        &'a self,
        client: &'a C,
        order: C::Order,
    ) -> impl Future<Output = Reply<C::Hold, C::Refusal>> + Send + 'a {
        let Inner { xid, branch, deadline, joins } = &*self.0;
        let call = Call { xid: *xid, branch: branch.child(joins.next_call()), deadline: *deadline };
        joins.attempt(call, client, order)
    }

    /// What joined; nothing more can.
    pub(super) fn close(&self) -> Vec<BranchSummary> {
        self.0.joins.close()
    }
}
