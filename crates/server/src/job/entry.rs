//! A job in memory: its record, its timetable, its runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use settee::job::protocol::service_name;
use settee::rpc::{Channel, Channels};
use settee_core::Timestamp;
use settee_core::job::run::Event;
use settee_core::job::{Run, RunId, RunPolicy, RunState, Timetable};
use settee_core::registry::InstanceList;
use tokio::sync::watch;

use super::record::{JobRecord, RunRecord};

/// Runs of a job that are kept after they ended.
pub(super) const HISTORY: usize = 100;

/// Offers of one slice before a worker that lives and never answers is given up: about ten minutes, as the registry does (P7).
const MAX_OFFERS: u32 = 150;

pub(super) struct JobEntry {
    pub(super) record: JobRecord,
    pub(super) timetable: Timetable,
    pub(super) channel: Channel,
    pub(super) runs: BTreeMap<Timestamp, Group>,
    /// Told of whatever happens to a run of the job; ends with it.
    pub(super) changes: watch::Sender<()>,
}

/// All slices of a run.
pub(super) struct Group {
    pub(super) slices: BTreeMap<u32, Slot>,
    pub(super) triggered: bool,
    /// Whether it had its turn: from then on each slice goes its own way.
    pub(super) fired: bool,
}

pub(super) struct Slot {
    pub(super) run: Run,
    /// How often it was sent by this owner.
    pub(super) offers: u32,
}

impl JobEntry {
    pub(super) fn new(record: JobRecord, timetable: Timetable, channels: &Channels) -> Self {
        let channel = channels.channel(&service_name(&record.name));
        Self { record, timetable, channel, runs: BTreeMap::new(), changes: watch::Sender::default() }
    }

    /// What changes after this moment, for those who follow a run.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Lets followers look again; what they see is then what this lock leaves behind.
    pub(super) fn changed(&self) {
        self.changes.send_replace(());
    }

    pub(super) fn policy(&self) -> RunPolicy {
        let JobRecord { idempotent, retry, timeout_ms, .. } = self.record;
        RunPolicy { idempotent, retry, timeout: Duration::from_millis(timeout_ms) }
    }

    pub(super) fn instances(&self) -> Arc<InstanceList> {
        self.channel.instances().borrow().clone()
    }

    pub(super) fn run_id(&self, due: Timestamp, slice: u32) -> RunId {
        RunId { job: self.record.name.clone(), version: self.record.version, due, slice }
    }

    /// The slice with exactly this identity, version included.
    pub(super) fn slot(&mut self, id: &RunId) -> Option<&mut Slot> {
        let slot = self.runs.get_mut(&id.due)?.slices.get_mut(&id.slice)?;
        (slot.run.id == *id).then_some(slot)
    }

    /// Puts back what was loaded.
    pub(super) fn restore(&mut self, RunRecord { run, triggered }: RunRecord) {
        let group = self.runs.entry(run.id.due).or_insert_with(|| Group::new(triggered));
        group.fired |= run.attempt > 1 || !matches!(run.state, RunState::Planned { .. });
        group.slices.insert(run.id.slice, Slot { run, offers: 0 });
    }

    /// The next due time that is not planned, by schedule or trigger.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let scheduled = if self.record.paused { None } else { self.timetable.next_after(self.record.cursor) };
        let triggered = self.record.triggers.keys().next().copied();
        [scheduled, triggered].into_iter().flatten().min()
    }

    /// Slices that are planned and certainly not offered.
    pub(super) fn untouched(&self) -> usize {
        let slots = self.runs.values().flat_map(|group| group.slices.values());
        slots.filter(|slot| slot.run.is_untouched()).count()
    }

    /// Takes out runs of which no slice was offered: a change of the job cancels them.
    pub(super) fn cancel(&mut self, triggered_too: bool) -> Vec<Run> {
        let cancelled = |group: &Group| !group.fired && group.is_untouched() && (triggered_too || !group.triggered);
        let groups: Vec<_> = self.runs.extract_if(.., |_, group| cancelled(group)).collect();
        self.changed();
        for (due, group) in groups.iter().filter(|(_, group)| group.triggered) {
            let reference = group.slices.values().find_map(|slot| slot.run.reference.clone());
            self.record.triggers.insert(*due, reference);
        }
        groups.into_iter().flat_map(|(_, group)| group.slices.into_values()).map(|slot| slot.run).collect()
    }

    /// Takes out the oldest run that has ended, if there are more than are kept.
    pub(super) fn forget_one(&mut self) -> Option<Vec<Run>> {
        let mut over = self.runs.iter().filter(|(_, group)| group.is_over()).map(|(due, _)| *due);
        let oldest = over.next().filter(|_| over.count() >= HISTORY)?;
        let group = self.runs.remove(&oldest)?;
        self.changed();
        self.record.forgotten = self.record.forgotten.max(Some(oldest));
        Some(group.slices.into_values().map(|slot| slot.run).collect())
    }

    /// Whether a run that had its turn has it no longer: a clock that was ahead began it before it was due. What no worker is at now
    /// waits for the due time like any other, and holds up nobody until then.
    pub(super) fn gives_turn_back(&mut self, due: Timestamp, now: Timestamp) -> bool {
        let is_early = |group: &&mut Group| group.fired && now < due && !group.is_under_way();
        self.runs.get_mut(&due).filter(is_early).is_some_and(|group| std::mem::replace(&mut group.fired, false))
    }

    /// The first run that still waits for its turn, whether it is due or not.
    pub(super) fn first_waiting(&self) -> Option<Timestamp> {
        self.runs.iter().find(|(_, group)| !group.fired && !group.is_over()).map(|(due, _)| *due)
    }
}

impl Group {
    pub(super) fn new(triggered: bool) -> Self {
        Self { slices: BTreeMap::new(), triggered, fired: false }
    }

    pub(super) fn is_over(&self) -> bool {
        self.slices.values().all(|slot| slot.run.is_over())
    }

    /// Whether a worker may be at it: it was asked, or a predecessor may have asked it.
    fn is_under_way(&self) -> bool {
        let is_under_way = |run: &Run| match run.state {
            RunState::Planned { assignment, .. } => run.doubt && assignment.is_some(),
            RunState::Dispatched(_) => true,
            _ => false,
        };
        self.slices.values().any(|slot| is_under_way(&slot.run))
    }

    pub(super) fn is_untouched(&self) -> bool {
        self.slices.values().all(|slot| slot.run.is_untouched())
    }
}

impl Slot {
    pub(super) fn new(run: Run) -> Self {
        Self { run, offers: 0 }
    }

    /// Between two offers: longer the more there were, so that a worker that refuses is not asked in a circle.
    pub(super) fn patience(&self) -> Duration {
        const STEP: Duration = Duration::from_millis(100);
        const LONGEST: Duration = Duration::from_secs(5);
        (STEP * self.offers.min(MAX_OFFERS)).min(LONGEST)
    }

    /// What an offer's end means: one that leads nowhere for the last time is silence.
    pub(super) fn settled(&self, event: Event) -> Event {
        match event {
            Event::Lost { worker, attempt } | Event::NotTaken { worker, attempt, again: true } if self.offers >= MAX_OFFERS => {
                Event::Silent { worker, attempt }
            }
            other => other,
        }
    }
}
