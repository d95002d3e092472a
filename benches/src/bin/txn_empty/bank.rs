//! The participants: settee's own protocol over fences in memory, with a handler that does nothing.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use settee::rpc::{CallOptions, RouteKey};
use settee::txn::{
    Attempt, Attempted, FenceClaim, FenceKey, FenceRow, LocalStore, LocalTx, OverdueQuery, PhaseTwo, PhaseTwoAnswer, TccClient,
    run_attempt, run_phase_two,
};
use settee::{Error, Never, Reply, tcc};
use settee_core::id::{BranchId, Xid};
use settee_core::port::BoxFuture;
use settee_core::txn::fence::Row;
use settee_server::txn::Participants;

/// A branch of which nothing is asked.
#[tcc("bench.Nothing")]
pub(crate) trait Nothing {
    /// The fences are in memory.
    type Tx: LocalTx;
    /// Holds nothing.
    async fn attempt(&self, tx: &mut Self::Tx, order: &()) -> Reply<()>;
    /// Uses nothing.
    async fn confirm(&self, tx: &mut Self::Tx, order: &(), hold: &()) -> Reply<()>;
    /// Releases nothing.
    async fn cancel(&self, tx: &mut Self::Tx, order: &(), hold: &()) -> Reply<()>;
}

struct Idle;

impl Nothing for Idle {
    type Tx = FenceTx;

    async fn attempt(&self, _: &mut FenceTx, _: &()) -> Reply<()> {
        Ok(())
    }

    async fn confirm(&self, _: &mut FenceTx, _: &(), _: &()) -> Reply<()> {
        Ok(())
    }

    async fn cancel(&self, _: &mut FenceTx, _: &(), _: &()) -> Reply<()> {
        Ok(())
    }
}

/// The fences of all branches; rows that ended are dropped, because no request comes again here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fences(Arc<Mutex<HashMap<(Xid, BranchId), Fence>>>);

#[derive(Clone, Debug)]
struct Fence {
    row: Row,
    saved: Bytes,
}

impl LocalStore for Fences {
    type Tx = FenceTx;

    async fn begin(&self) -> Result<FenceTx, Error> {
        Ok(FenceTx { fences: self.clone(), change: None })
    }

    async fn overdue(&self, _: OverdueQuery) -> Result<Vec<FenceKey>, Error> {
        Ok(Vec::new())
    }
}

/// A local transaction: at most one change, made when it commits.
pub(crate) struct FenceTx {
    fences: Fences,
    change: Option<(FenceKey, Fence)>,
}

impl LocalTx for FenceTx {
    async fn fence(&mut self, claim: &FenceClaim) -> Result<FenceRow, Error> {
        let key = (claim.key.xid, claim.key.branch.clone());
        let found = self.fences.0.lock().get(&key).cloned();
        if found.is_none() {
            self.change = Some((claim.key.clone(), Fence { row: claim.request.initial_row(), saved: Bytes::new() }));
        }
        Ok(FenceRow { before: found.as_ref().map(|fence| fence.row), saved: found.map(|fence| fence.saved).unwrap_or_default() })
    }

    async fn set_fence(&mut self, key: &FenceKey, row: Row, saved: Option<Bytes>) -> Result<(), Error> {
        self.change = Some((key.clone(), Fence { row, saved: saved.unwrap_or_default() }));
        Ok(())
    }

    async fn commit(self) -> Result<(), Error> {
        let Some((key, fence)) = self.change else { return Ok(()) };
        let (mut fences, key) = (self.fences.0.lock(), (key.xid, key.branch));
        match fence.row {
            Row::Confirmed | Row::Cancelled => fences.remove(&key),
            Row::Tried | Row::Suppressed => fences.insert(key, fence),
        };
        Ok(())
    }

    async fn rollback(self) -> Result<(), Error> {
        Ok(())
    }
}

/// Both sides' way to the participants, in process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bank(Fences);

impl TccClient for Bank {
    type Order = ();
    type Hold = ();
    type Refusal = Never;

    fn service(&self) -> &'static str {
        "bench.Nothing"
    }

    fn route(&self, (): &()) -> Option<RouteKey> {
        None
    }

    async fn attempt(&self, attempt: &Attempt<()>, _: CallOptions) -> Reply<Attempted<()>> {
        run_attempt::<NothingTcc<Idle>, _>(&self.0, &Idle, attempt.clone()).await
    }
}

impl Participants for Bank {
    fn phase_two<'a>(&'a self, _: &'a str, _: Option<RouteKey>, message: PhaseTwo) -> BoxFuture<'a, Reply<PhaseTwoAnswer>> {
        Box::pin(async move { run_phase_two::<NothingTcc<Idle>, _>(&self.0, &Idle, &message).await })
    }
}
