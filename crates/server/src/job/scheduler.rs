//! The handle of the coordinator, and its two kinds of tasks: one timer, and one short-lived task an offer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use settee::rpc::Channels;
use settee_core::port::Kv;
use settee_core::shutdown::Shutdown;
use settee_core::{Error, Instant, Timestamp, env};
use tokio::sync::Notify;

use super::entry::HISTORY;
use super::load::load;
use super::memory::{Memory, Sending};
use super::offer::dispatch;
use super::plan::{MAX_OPEN, MAX_UNTOUCHED};
use crate::gauge::Gauge;
use crate::shard::{Shards, spawn_owned};

/// How often the wall clock is looked at, however far the next due time is: a clock that jumps makes a run late by this at most.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(1);

/// Runs of a job in memory at most: those that have ended, are open, and are planned.
const MAX_KEPT: usize = HISTORY + MAX_OPEN + MAX_UNTOUCHED;

/// Items done under one lock before others get it.
const MAX_TURN: usize = 1_000;

/// How a coordinator of jobs works.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How long before its due time a run is planned. Default 1 s: its write is then durable when it falls due.
    pub horizon: Duration,
    /// How long after a start a worker that is not listed may only not be back yet. Default 3 s.
    pub start_grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { horizon: Duration::from_secs(1), start_grace: Duration::from_secs(3) }
    }
}

/// The coordinator of jobs of this server. Cheap to clone; serve it with [`JobControlServer`](settee::job::JobControlServer).
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    memory: Mutex<Memory>,
    wake: Notify,
    shutdown: Shutdown,
    shards: Shards,
}

impl Jobs {
    /// Takes over all jobs of the store and goes on with them: what was offered is offered to the same workers again. Workers are
    /// reached through `channels`. Everything ends with `shutdown` or with the ownership of `shards`.
    ///
    /// # Errors
    /// What the store reports, and `Damaged` (`STO0002`) when a record is not what was written.
    ///
    /// # Cancel safety
    /// Dropped, it was not started; runs whose job was removed may be deleted.
    pub async fn start(
        config: Config,
        shards: Shards,
        kv: Arc<dyn Kv>,
        channels: Channels,
        shutdown: Shutdown,
    ) -> Result<Self, Error> {
        let trust_absence_at = Instant::now() + config.start_grace;
        let now = env::wall_clock();
        let mut memory = Memory::new(shards.clone(), channels, config.horizon, trust_absence_at, now);
        load(&mut memory, &*kv, now).await?;
        let inner = Inner { memory: Mutex::new(memory), wake: Notify::new(), shutdown: shutdown.clone(), shards: shards.clone() };
        let jobs = Self(Arc::new(inner));
        let timer = jobs.clone();
        spawn_owned(&shards, async move {
            let _stopped = shutdown.or(timer.keep_time()).await;
        });
        Ok(jobs)
    }

    /// What it holds.
    pub(crate) fn gauge(&self) -> Gauge {
        let memory = self.memory();
        Gauge::fullest("runs of a job kept", memory.jobs.values().map(|entry| (entry.runs.len(), MAX_KEPT)))
    }

    /// Waits until it may answer nothing more: it stops, or the ownership is lost.
    pub(super) async fn stopped(&self) {
        let _whichever_comes_first = self.0.shutdown.or(self.0.shards.lost()).await;
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock()
    }

    /// Lets the timer look at its agenda now.
    pub(super) fn wake(&self) {
        self.0.wake.notify_one();
    }

    async fn keep_time(self) {
        loop {
            let next = self.turn();
            let wait = next.map_or(LOOK_AT_CLOCK, |next| next.since(env::wall_clock()).min(LOOK_AT_CLOCK));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.0.wake.notified() => {}
            }
        }
    }

    /// Does what is due, and gives the time of what is due next.
    fn turn(&self) -> Option<Timestamp> {
        let now = env::wall_clock();
        let (sendings, next) = {
            let mut memory = self.memory();
            for _ in 0..MAX_TURN {
                let Some(item) = memory.agenda.take(now) else { break };
                memory.perform(item, now);
            }
            (memory.take_outbox(), memory.agenda.next())
        };
        sendings.into_iter().for_each(|sending| self.send(sending));
        next
    }

    fn send(&self, sending: Sending) {
        let (jobs, shutdown) = (self.clone(), self.0.shutdown.clone());
        spawn_owned(&self.0.shards, async move {
            let ended = shutdown.or(dispatch(sending)).await.flatten();
            let Some((id, event)) = ended else { return };
            jobs.memory().report(&id, event, env::wall_clock());
            jobs.wake();
        });
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.memory().jobs.keys()).finish()
    }
}
