//! Who owns the shards, and how their owner writes. The only place that knows about owners: transactions, messages and jobs are
//! state machines placed on top of it.
//!
//! In the embedded form one server owns all shards. Every start takes the next epoch, conditional on the previous one, so a
//! server that lost its folder to another can change nothing.

mod lane;
mod ownership;
mod scan;

pub(crate) use scan::scan;
pub use settee_core::shard::Change;

use std::sync::Arc;

use bytes::Bytes;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::{FencingToken, ShardId};
use settee_core::planted::Bug;
use settee_core::port::Kv;
use settee_core::shard::{LANES, Position, lane_of};
use settee_core::{Error, env};
use tokio::sync::watch;

use self::lane::LaneDriver;
use crate::gauge::Gauge;

/// All shards of this server. Cheap to clone.
#[derive(Clone)]
pub struct Shards(Arc<Inner>);

struct Inner {
    token: FencingToken,
    lanes: Vec<LaneDriver>,
    lose: Arc<watch::Sender<bool>>,
}

/// A promise that everything submitted before it is, or will be known to be, durable.
#[must_use = "an answer leaves only after its ticket is committed"]
pub struct Ticket {
    position: Position,
    progress: watch::Receiver<Progress>,
}

/// How far a lane has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    committed: Position,
    lost: bool,
}

impl Shards {
    /// Takes every shard of the store, under the next epoch.
    ///
    /// # Errors
    /// What the store reports; `Conflict` (`SHD0001`) when another server took the shards at the same moment.
    ///
    /// # Cancel safety
    /// The shards may have been taken; whoever opens them next takes the next epoch.
    pub async fn open(kv: Arc<dyn Kv>) -> Result<Self, Error> {
        let owner = ownership::take(&*kv).await?;
        let lose = Arc::new(watch::Sender::new(false));
        let lanes = (0..LANES).map(|index| LaneDriver::start(kv.clone(), owner.lane(index), lose.clone())).collect();
        Ok(Self(Arc::new(Inner { token: owner.token, lanes, lose })))
    }

    /// The fencing token of this ownership of `shard`.
    #[must_use]
    pub fn token(&self, _shard: ShardId) -> FencingToken {
        self.0.token
    }

    /// Queues a change behind everything that was submitted for its shard. Call it under the lock under which the state was
    /// decided, so that the order of decisions is the order of writes.
    pub fn submit(&self, shard: ShardId, change: Change) -> Ticket {
        self.lane(shard).submit(change)
    }

    /// A ticket for everything that was submitted for `shard` so far: an answer to a read waits for what it observed (P4).
    pub fn observe(&self, shard: ShardId) -> Ticket {
        self.lane(shard).observe()
    }

    /// Waits until everything that was submitted so far, for whichever shard, is durable: an answer about many shards.
    ///
    /// # Errors
    /// As [`Ticket::committed`].
    ///
    /// # Cancel safety
    /// The writes go on.
    pub(crate) async fn all_committed(&self) -> Result<(), Error> {
        let tickets: Vec<_> = self.0.lanes.iter().map(LaneDriver::observe).collect();
        for ticket in tickets {
            ticket.committed().await?;
        }
        Ok(())
    }

    /// Whether new work for `shard` should be let in.
    ///
    /// # Errors
    /// `Limited` when too many writes wait, `Full` (`STO0001`) while the store has no room; nothing was done.
    pub fn admit(&self, shard: ShardId) -> Result<(), Error> {
        self.lane(shard).admit()
    }

    /// What waits to be written.
    pub(crate) fn gauge(&self) -> Gauge {
        Gauge::fullest("bytes waiting in a lane", self.0.lanes.iter().map(LaneDriver::waiting))
    }

    /// Waits until ownership is lost; the process should then end.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn lost(&self) {
        let mut lost = self.0.lose.subscribe();
        let _its_sender_is_held_here = lost.wait_for(|lost| *lost).await;
    }

    /// Ends the ownership from within: this server stops, or something else that it needs has stopped for good. Nothing more is
    /// written; what was submitted and is not known to be durable is unknown.
    pub(crate) fn lose(&self) {
        self.0.lose.send_replace(true);
    }

    fn lane(&self, shard: ShardId) -> &LaneDriver {
        &self.0.lanes[lane_of(shard)]
    }
}

impl Ticket {
    /// Waits until everything up to here is durable.
    ///
    /// # Errors
    /// Ownership was lost first: whether the write happened is Unknown, and nothing may be answered as done.
    ///
    /// # Cancel safety
    /// The write goes on.
    pub async fn committed(mut self) -> Result<(), Error> {
        if Bug::AnswersBeforeItsGroup.is_planted() {
            return Ok(());
        }
        let position = self.position;
        let reached = self.progress.wait_for(|progress| progress.lost || progress.committed >= position).await;
        match reached {
            Ok(progress) if progress.committed >= position => Ok(()),
            _ => {
                Err(Error::new(ErrorKind::NotOwner, codes::WRITE_UNKNOWN, "write: the ownership of the shard was lost").unknown())
            }
        }
    }

    /// The later of two tickets of one shard.
    pub fn latest(self, other: Self) -> Self {
        if other.position > self.position { other } else { self }
    }
}

/// A key of `component` in `shard`: `txn/7f/...`.
#[must_use]
pub fn key(component: &str, shard: ShardId, rest: &[u8]) -> Bytes {
    [component.as_bytes(), b"/", shard.to_string().as_bytes(), b"/", rest].concat().into()
}

/// Starts a task that ends with the ownership.
pub(crate) fn spawn_owned(shards: &Shards, work: impl Future<Output = ()> + Send + 'static) {
    let shards = shards.clone();
    env::spawn(async move {
        tokio::select! {
            () = shards.lost() => {}
            () = work => {}
        }
    });
}

#[cfg(test)]
mod shard_test;
