//! The branches that one caller has tried, and what became of each (P5): the list that a decision is about.

use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::{BranchId, Xid};
use settee_core::txn::{BranchSummary, MAX_BRANCHES, TryState};
use settee_core::{Certainty, Error, Instant};

use super::protocol::{Attempt, Attempted};
use super::tcc::TccClient;
use crate::rpc::{CallOptions, Fault, Reply};

/// The list of one caller. Shared by calls that run at once.
#[derive(Debug, Default)]
pub(super) struct Joins(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    calls: u32,
    branches: Vec<BranchSummary>,
    /// The list was handed on: nothing can join any more.
    is_closed: bool,
}

/// One branch about to be tried.
pub(super) struct Call {
    pub(super) xid: Xid,
    pub(super) branch: BranchId,
    pub(super) deadline: Instant,
}

impl Joins {
    /// The number of the next call, counted from 1.
    pub(super) fn next_call(&self) -> u32 {
        let mut list = self.0.lock();
        list.calls += 1;
        list.calls
    }

    /// Closes the list and hands it on. A try that is still under way is listed as unknown.
    pub(super) fn close(&self) -> Vec<BranchSummary> {
        let mut list = self.0.lock();
        list.is_closed = true;
        std::mem::take(&mut list.branches)
    }

    /// Tries a branch. It is listed before it is sent, so that a lost answer can never be a forgotten branch.
    pub(super) async fn attempt<C: TccClient>(&self, call: Call, client: &C, order: C::Order) -> Reply<C::Hold, C::Refusal> {
        let Call { xid, branch, deadline } = call;
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(Fault::Failed(too_late(xid, &branch, client.service())));
        }
        let route = client.route(&order);
        self.list(BranchSummary {
            branch: branch.clone(),
            service: client.service().to_owned(),
            route: route.as_ref().map(|key| key.as_str().to_owned()),
            state: TryState::Unknown,
        })?;
        let attempt = Attempt { xid, branch: branch.clone(), remaining_ms: millis(remaining), order };
        let options = CallOptions { route, timeout: Some(remaining), ..CallOptions::default() };
        let reply = client.attempt(&attempt, options).await;
        self.note(&branch, &reply);
        reply.map(|attempted| attempted.hold)
    }

    fn list(&self, branch: BranchSummary) -> Result<(), Error> {
        let mut list = self.0.lock();
        if list.is_closed {
            let message = format!("try branch {}: what it would join has ended", branch.branch);
            return Err(Error::new(ErrorKind::Closed, codes::SUPPRESSED, message).of_step());
        }
        if list.branches.len() >= MAX_BRANCHES {
            let message = format!("try branch {} of a transaction that has {MAX_BRANCHES}", branch.branch);
            return Err(Error::new(ErrorKind::Invalid, codes::TRANSACTION_TOO_LARGE, message).of_step());
        }
        list.branches.push(branch);
        Ok(())
    }

    fn note<H, R>(&self, branch: &BranchId, reply: &Reply<Attempted<H>, R>) {
        let mut list = self.0.lock();
        // A closed list was handed on with this branch as unknown, which forbids COMMIT.
        if list.is_closed {
            return;
        }
        let state = match reply {
            Ok(_) => TryState::Tried,
            Err(Fault::Refused(_)) => TryState::Refused,
            Err(Fault::Failed(error)) if error.certainty() == Certainty::NotDone => {
                list.branches.retain(|listed| listed.branch != *branch);
                return;
            }
            Err(Fault::Failed(_)) => TryState::Unknown,
        };
        for listed in list.branches.iter_mut().filter(|listed| listed.branch == *branch) {
            listed.state = state;
        }
        if let Ok(attempted) = reply {
            list.branches.extend(attempted.joins.iter().cloned());
        }
    }
}

/// Whole milliseconds, for the wire.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn too_late(xid: Xid, branch: &BranchId, service: &str) -> Error {
    let message = format!("try branch {branch} of {xid} at {service}: the transaction's time is over");
    Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, message).of_step()
}
