//! Xids without asking: leased counters of several shards, used in turn, so that one busy application loads many lanes.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::Xid;
use settee_core::{Error, Instant, env};

use super::control::{LeaseXids, TransactionControl, XidRange};

/// Ranges held at once, each of a random shard: as many as a server has lanes.
const RANGES: usize = 8;

/// Counters of one range. A lost process wastes what is left, of 2^48 a shard.
const COUNT: u32 = 512;

/// The ranges that a process holds.
#[derive(Debug, Default)]
pub(super) struct Leases {
    ranges: Mutex<VecDeque<Leased>>,
    /// One lease at a time: those that wait find its range instead of asking for their own.
    refill: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Leased {
    range: XidRange,
    used: u32,
    expires: Instant,
}

impl Leases {
    /// An xid of the next range, if one is left. No waiting.
    fn take(&self) -> Option<Xid> {
        let mut ranges = self.ranges.lock();
        let now = Instant::now();
        while let Some(mut leased) = ranges.pop_front() {
            if leased.used >= leased.range.count || leased.expires <= now {
                continue;
            }
            let counter = leased.range.first.saturating_add(u64::from(leased.used));
            let xid = Xid::new(leased.range.shard, leased.range.generation, counter, env::random_u64());
            leased.used += 1;
            ranges.push_back(leased);
            return Some(xid);
        }
        None
    }

    /// Whether more should be leased in the background.
    pub(super) fn is_low(&self) -> bool {
        self.ranges.lock().len() < RANGES
    }

    /// An xid; waits only when there is no range at all.
    ///
    /// # Errors
    /// Those of the call, and `Internal` (`RPC0008`) when what is lent cannot be used: asking again at once would end nowhere.
    pub(super) async fn next<C: TransactionControl>(&self, control: &C) -> Result<Xid, Error> {
        loop {
            if let Some(xid) = self.take() {
                return Ok(xid);
            }
            let _turn = self.refill.lock().await;
            if self.ranges.lock().is_empty() {
                self.lease(control).await?;
            }
        }
    }

    /// Leases until there are enough; gives up at the first failure, because the next use tries again.
    pub(super) async fn refill<C: TransactionControl>(&self, control: &C) {
        let Ok(_turn) = self.refill.try_lock() else { return };
        for _ in 0..RANGES {
            if !self.is_low() || self.lease(control).await.is_err() {
                return;
            }
        }
    }

    async fn lease<C: TransactionControl>(&self, control: &C) -> Result<(), Error> {
        let asked_at = Instant::now();
        let range = control.lease(LeaseXids { count: COUNT }).await?;
        let expires = asked_at + Duration::from_millis(range.valid_ms);
        if range.count == 0 || expires <= Instant::now() {
            return Err(useless(&range));
        }
        self.ranges.lock().push_back(Leased { range, used: 0, expires });
        Ok(())
    }
}

fn useless(range: &XidRange) -> Error {
    let XidRange { count, valid_ms, .. } = range;
    let text = format!("lease xids: {count} counters were lent for {valid_ms} ms, and none of them can be used any more");
    Error::new(ErrorKind::Internal, codes::BAD_REPLY, text)
}
