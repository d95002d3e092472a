//! The task that drives one lane: the rule decides (`settee_core::shard::Lane`), this talks to the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::{Certainty, ErrorKind, codes};
use settee_core::planted::Bug;
use settee_core::port::{Commit, Kv, Outcome, StoreError, StoreErrorKind};
use settee_core::shard::{Change, GroupOutcome, Lane, Step};
use settee_core::{Error, env};
use tokio::sync::{Notify, watch};

use super::{Progress, Ticket};

/// Bytes that may wait in one lane before new work is turned away: half a second of what a disk takes in small groups.
const WAITING_LIMIT: usize = 8 << 20;

/// Bytes that work which was let in before may add: as much again.
const UNDER_WAY: usize = WAITING_LIMIT;

/// When turned-away work may come back.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Before a group that did not happen is sent again.
const AGAIN: Duration = Duration::from_millis(10);

/// The same, when the store had no room for it. People make room, and a store may open its files anew for each attempt.
const AGAIN_WHEN_FULL: Duration = Duration::from_millis(250);

/// A lane and its task.
pub(super) struct LaneDriver(Arc<Shared>);

struct Shared {
    lane: Mutex<Lane>,
    wake: Notify,
    progress: watch::Sender<Progress>,
    /// The store had no room the last time. The group in flight is the probe that finds out when it has: it is sent again and again.
    is_full: AtomicBool,
}

impl LaneDriver {
    pub(super) fn start(kv: Arc<dyn Kv>, lane: Lane, lose: Arc<watch::Sender<bool>>) -> Self {
        let progress = watch::Sender::new(Progress::default());
        let shared = Arc::new(Shared { lane: Mutex::new(lane), wake: Notify::new(), progress, is_full: AtomicBool::new(false) });
        env::spawn(drive(kv, shared.clone(), lose));
        Self(shared)
    }

    pub(super) fn submit(&self, change: Change) -> Ticket {
        let position = self.0.lane.lock().submit(change);
        self.0.wake.notify_one();
        Ticket { position, progress: self.0.progress.subscribe() }
    }

    pub(super) fn observe(&self) -> Ticket {
        let position = self.0.lane.lock().submitted();
        Ticket { position, progress: self.0.progress.subscribe() }
    }

    /// Bytes that wait to be sent, and how many may before new work is turned away. What is under way goes on beyond that.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.0.lane.lock().waiting_bytes(), WAITING_LIMIT + UNDER_WAY)
    }

    pub(super) fn admit(&self) -> Result<(), Error> {
        if self.0.is_full.load(Ordering::Relaxed) {
            let error = Error::new(ErrorKind::Full, codes::STORE_FULL, "take new work: the store has no room");
            return Err(error.with_retry_after(AGAIN_WHEN_FULL));
        }
        if self.0.lane.lock().waiting_bytes() < WAITING_LIMIT {
            return Ok(());
        }
        let message = format!("take new work: {WAITING_LIMIT} bytes wait to be written");
        Err(Error::new(ErrorKind::Limited, codes::STORE_UNAVAILABLE, message).with_retry_after(RETRY_AFTER))
    }
}

async fn drive(kv: Arc<dyn Kv>, shared: Arc<Shared>, lose: Arc<watch::Sender<bool>>) {
    let (mut step, mut lost) = (Step::Rest, lose.subscribe());
    while !*lost.borrow() {
        step = match step {
            Step::Rest => rest(&shared, &mut lost).await,
            Step::Send(commit) if Bug::SecondGroupInFlight.is_planted() => send_beside(&kv, &shared, commit),
            Step::Send(commit) => send(&*kv, &shared, commit).await,
            Step::SendAgain(commit) => {
                let is_full = shared.is_full.load(Ordering::Relaxed);
                tokio::time::sleep(if is_full { AGAIN_WHEN_FULL } else { AGAIN }).await;
                send(&*kv, &shared, commit).await
            }
            Step::ReadStamp => read_stamp(&*kv, &shared).await,
            Step::Lost => break,
        };
        let committed = shared.lane.lock().committed();
        shared.progress.send_if_modified(|progress| std::mem::replace(&mut progress.committed, committed) != committed);
    }
    shared.progress.send_modify(|progress| progress.lost = true);
    let is_known = lose.send_replace(true);
    if !is_known {
        tracing::error!("the ownership of the shards is lost: this server answers nothing more");
    }
}

impl Shared {
    fn note_room(&self, is_full: bool) {
        match (self.is_full.swap(is_full, Ordering::Relaxed), is_full) {
            (false, true) => tracing::warn!("the store has no room: new work is refused until it has"),
            (true, false) => tracing::info!("the store takes writes again"),
            _ => {}
        }
    }
}

async fn rest(shared: &Shared, lost: &mut watch::Receiver<bool>) -> Step {
    let step = shared.lane.lock().send_next();
    if step == Step::Rest {
        tokio::select! {
            () = shared.wake.notified() => {}
            _seen_by_the_loop = lost.changed() => {}
        }
    }
    step
}

async fn send(kv: &dyn Kv, shared: &Shared, commit: Commit) -> Step {
    let answer = kv.commit(commit).await;
    shared.note_room(matches!(&answer, Err(error) if error.kind() == StoreErrorKind::Full));
    let outcome = match answer {
        Ok(Outcome::Committed(_)) => GroupOutcome::Committed,
        Ok(Outcome::Conflict) => GroupOutcome::Conflict,
        Err(error) if is_final(&error) => return lost(&error),
        Err(error) if error.certainty() == Certainty::NotDone => GroupOutcome::NotDone,
        Err(_) => GroupOutcome::Unknown,
    };
    shared.lane.lock().ended(outcome)
}

/// What [`Bug::SecondGroupInFlight`] does: the lane goes on as if the group were durable.
fn send_beside(kv: &Arc<dyn Kv>, shared: &Shared, commit: Commit) -> Step {
    let kv = kv.clone();
    env::spawn(async move {
        while kv.commit(commit.clone()).await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    });
    shared.lane.lock().ended(GroupOutcome::Committed)
}

async fn read_stamp(kv: &dyn Kv, shared: &Shared) -> Step {
    let key = shared.lane.lock().stamp_key();
    match kv.get(&key).await {
        Ok(stamp) => shared.lane.lock().stamp_read(stamp.as_ref().map(|stamp| &*stamp.value)),
        Err(error) if is_final(&error) => lost(&error),
        Err(_) => {
            tokio::time::sleep(AGAIN).await;
            Step::ReadStamp
        }
    }
}

/// A store that has stopped for good: P9 says that a failed sync ends the process.
fn is_final(error: &StoreError) -> bool {
    matches!(error.kind(), StoreErrorKind::Poisoned | StoreErrorKind::Damaged | StoreErrorKind::Limit | StoreErrorKind::ReadOnly)
}

fn lost(error: &StoreError) -> Step {
    tracing::error!(%error, "the store has stopped");
    Step::Lost
}
