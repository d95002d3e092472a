//! What a participant's database must offer so that settee can fence it: [`LocalStore`] opens local transactions, and a
//! [`LocalTx`] keeps the fence row on the same connection as the business rows. `settee-sqlx` implements both.

use std::future::Future;

use bytes::Bytes;
use settee_core::id::{BranchId, Xid};
use settee_core::txn::fence::{Request, Row};
use settee_core::{Error, Timestamp};

use super::nested::Nested;

/// Bytes of order, hold and joins that a fence row keeps at most: larger data belongs into the participant's own rows.
pub const MAX_SAVED_BYTES: usize = 64 * 1024;

/// The participant's database. A cheap handle.
pub trait LocalStore: Clone + Send + Sync + 'static {
    /// A local transaction of it.
    type Tx: LocalTx;

    /// Opens a local transaction.
    ///
    /// # Errors
    /// Always of certainty `NotDone`.
    ///
    /// # Cancel safety
    /// Nothing stays open.
    fn begin(&self) -> impl Future<Output = Result<Self::Tx, Error>> + Send;

    /// One page of rows in state TRIED whose deadline is before `query.deadline_before`, in order of (xid, branch).
    ///
    /// # Errors
    /// Reading has no effect.
    fn overdue(&self, query: OverdueQuery) -> impl Future<Output = Result<Vec<FenceKey>, Error>> + Send;
}

/// A local transaction. Dropping it rolls it back.
pub trait LocalTx: Send + 'static {
    /// Upserts and locks the row of `claim`: made with `claim.request.initial_row()` if there is none, else unchanged. It must
    /// be the first statement, so that repeated and reordered requests queue at this row and nowhere else.
    ///
    /// # Errors
    /// The local transaction is to be rolled back then.
    fn fence(&mut self, claim: &FenceClaim) -> impl Future<Output = Result<FenceRow, Error>> + Send;

    /// Sets the state of a row that [`LocalTx::fence`] locked, and with `saved` what is kept in it.
    ///
    /// # Errors
    /// The local transaction is to be rolled back then.
    fn set_fence(&mut self, key: &FenceKey, row: Row, saved: Option<Bytes>) -> impl Future<Output = Result<(), Error>> + Send;

    /// Told, before a try runs, which branch it is, so that the handler can reach further participants through it. By default
    /// nobody keeps it, and the participant is the end of its path.
    fn enter(&mut self, branch: Nested) {
        drop(branch);
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// `NotDone` only if the database said that it rolled back; `Unknown` when the answer was lost.
    fn commit(self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Takes everything back.
    ///
    /// # Errors
    /// The database could not be told; it rolls back by itself when it misses the connection.
    fn rollback(self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Which row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FenceKey {
    /// The transaction.
    pub xid: Xid,
    /// The branch of it.
    pub branch: BranchId,
}

/// A request's claim on its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceClaim {
    /// Which row.
    pub key: FenceKey,
    /// The service that it belongs to; its sweeper finds the row by it.
    pub service: &'static str,
    /// What is asked for.
    pub request: Request,
    /// When the transaction's time is over, by this participant's wall clock. Kept in a row that this claim makes.
    pub deadline: Timestamp,
}

/// What the row was before the claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceRow {
    /// Its state; `None` when the claim made it.
    pub before: Option<Row>,
    /// What the try saved; empty if there was none.
    pub saved: Bytes,
}

/// Which overdue rows to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverdueQuery {
    /// Of this service.
    pub service: &'static str,
    /// Rows whose deadline is before this moment.
    pub deadline_before: Timestamp,
    /// Rows behind this one; `None`: from the first.
    pub after: Option<FenceKey>,
    /// Rows at most.
    pub limit: usize,
}
