//! All jobs in memory, and what happens to them under the lock: the rule decides, the change is submitted, the agenda is set.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use settee::job::protocol::RunOrder;
use settee::rpc::{Channel, Channels};
use settee_core::error::{ErrorKind, codes};
use settee_core::id::ShardId;
use settee_core::job::run::{Effect, Event};
use settee_core::job::{Run, RunId, RunState, Worker};
use settee_core::port::Write;
use settee_core::{Error, Instant, Timestamp};

use super::agenda::{Agenda, Item};
use super::entry::{JobEntry, Slot};
use super::record::{RunRecord, VersionRecord, job_key, run_key, shard_of, version_key};
use crate::record::encode;
use crate::shard::{Change, Shards, Ticket};

/// Before something that is not possible yet is looked at again: an instance or a place was missing.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Deletes of one write: a group takes 120 writes.
pub(super) const DELETES: usize = 100;

pub(super) struct Memory {
    pub(super) jobs: BTreeMap<String, JobEntry>,
    pub(super) agenda: Agenda,
    pub(super) shards: Shards,
    pub(super) channels: Channels,
    pub(super) horizon: Duration,
    /// Until then an absent worker may only not have come back to a restarted registry.
    pub(super) trust_absence_at: Instant,
    versions: BTreeMap<ShardId, u64>,
    outbox: Vec<Sending>,
}

/// An offer to be made once `ticket` is committed.
pub(super) struct Sending {
    pub(super) ticket: Ticket,
    pub(super) channel: Channel,
    pub(super) worker: Worker,
    pub(super) order: RunOrder,
    pub(super) again: bool,
}

impl Memory {
    pub(super) fn new(shards: Shards, channels: Channels, horizon: Duration, trust_absence_at: Instant, now: Timestamp) -> Self {
        Self {
            jobs: BTreeMap::new(),
            agenda: Agenda::new(now),
            shards,
            channels,
            horizon,
            trust_absence_at,
            versions: BTreeMap::new(),
            outbox: Vec::new(),
        }
    }

    /// Does one item of the agenda.
    pub(super) fn perform(&mut self, item: Item, now: Timestamp) {
        match item {
            Item::Plan(job) => self.plan(&job, now),
            Item::Fire(job, due) => self.fire(&job, due, now),
            Item::Offer(id) => self.offer(&id, now),
        }
    }

    /// What was decided to be sent since the last call.
    pub(super) fn take_outbox(&mut self) -> Vec<Sending> {
        std::mem::take(&mut self.outbox)
    }

    pub(super) fn restore_version(&mut self, shard: ShardId, last: u64) {
        self.versions.insert(shard, last);
    }

    /// The next version for a job of `shard`, and its write.
    pub(super) fn next_version(&mut self, shard: ShardId) -> (u64, Write) {
        let last = self.versions.entry(shard).or_default();
        *last += 1;
        (*last, Write::Put(version_key(shard), encode(&VersionRecord { last: *last })))
    }

    /// What became of an offer.
    pub(super) fn report(&mut self, id: &RunId, event: Event, now: Timestamp) {
        let settled = self.jobs.get_mut(&id.job).and_then(|entry| entry.slot(id)).map(|slot| slot.settled(event));
        if let Some(event) = settled {
            self.apply(id, event, now);
        }
    }

    /// Applies an event by the rule, and does what it says.
    pub(super) fn apply(&mut self, id: &RunId, event: Event, now: Timestamp) {
        let Some(entry) = self.jobs.get_mut(&id.job) else { return };
        entry.changed();
        let (channel, triggered) = (entry.channel.clone(), entry.runs.get(&id.due).is_some_and(|group| group.triggered));
        let Some(slot) = entry.slot(id) else { return };
        let effects = match slot.run.apply(event, now) {
            Ok((run, effects)) => {
                slot.run = run;
                effects
            }
            Err(error) => return tracing::error!(%error, "apply an event to a run"),
        };
        warn_of_doubt(&slot.run, &effects);
        // Before the save: the offer waits for the plan, not for the note that it was made.
        let mut plan = Some(self.shards.observe(shard_of(&id.job)));
        for effect in effects {
            match effect {
                Effect::Save => save(&self.shards, &slot.run, triggered),
                Effect::AssignAt(at) | Effect::OfferAt(at) => {
                    self.agenda.set(Item::Offer(id.clone()), at.max(now.after(slot.patience())));
                }
                Effect::Send { assignment, again, .. } => {
                    slot.offers += 1;
                    let Some(ticket) = plan.take() else { continue };
                    let (channel, worker) = (channel.clone(), assignment.worker);
                    self.outbox.push(Sending { ticket, channel, worker, order: order(slot), again });
                }
                Effect::Ended => return self.ended(&id.job, now),
            }
        }
    }

    fn ended(&mut self, job: &str, now: Timestamp) {
        self.forget(job);
        self.next_turn(job, now);
    }

    /// Fires the run that waited for another to end, when it is due: a clock that was ahead may have let it wait before it was.
    pub(super) fn next_turn(&mut self, job: &str, now: Timestamp) {
        let waiting = self.jobs.get(job).and_then(JobEntry::first_waiting);
        if let Some(due) = waiting {
            self.agenda.set(Item::Fire(job.to_owned(), due), due.max(now));
        }
    }

    /// Drops the oldest run from a history that is full. At most one at a time, so that it fits one write.
    pub(super) fn forget(&mut self, job: &str) {
        let Some(entry) = self.jobs.get_mut(job) else { return };
        let Some(runs) = entry.forget_one() else { return };
        let mut change = deletes(&runs);
        change.writes.push(job_write(entry));
        let _goes_on = self.shards.submit(shard_of(job), change);
    }
}

/// The job of this name.
pub(super) fn find<'a>(jobs: &'a mut BTreeMap<String, JobEntry>, job: &str) -> Result<&'a mut JobEntry, Error> {
    jobs.get_mut(job).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, codes::NO_JOB, format!("find job {job:?}: no job of this name is registered"))
    })
}

fn save(shards: &Shards, run: &Run, triggered: bool) {
    let record = RunRecord { run: run.clone(), triggered };
    let _goes_on = shards.submit(shard_of(&run.id.job), Change::put(run_key(&run.id), encode(&record)));
}

fn order(slot: &Slot) -> RunOrder {
    let (run, by) = (&slot.run, slot.run.assignment());
    RunOrder {
        id: run.id.clone(),
        of: run.of,
        attempt: run.attempt,
        token: by.map(|by| by.token).unwrap_or_default(),
        timeout_ms: u64::try_from(run.policy.timeout.as_millis()).unwrap_or(u64::MAX),
        reference: run.reference.clone(),
        publisher: by.map(|by| by.worker.publisher).unwrap_or_default(),
    }
}

fn warn_of_doubt(run: &Run, effects: &[Effect]) {
    if let (RunState::Unknown { cause, .. }, true) = (&run.state, effects.contains(&Effect::Ended)) {
        tracing::warn!(run = %run.id, %cause, "a run ended and its outcome is unknown");
    }
}

pub(super) fn deletes(runs: &[Run]) -> Change {
    let writes = runs.iter().map(|run| Write::Delete(run_key(&run.id))).collect();
    Change { compares: Vec::new(), writes }
}

pub(super) fn job_write(entry: &JobEntry) -> Write {
    let key: Bytes = job_key(&entry.record.name);
    Write::Put(key, encode(&entry.record))
}
