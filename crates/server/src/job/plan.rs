//! Planning and firing: from due times to runs, and from runs to offers, under the lock.

use std::collections::BTreeMap;

use settee_core::Timestamp;
use settee_core::job::misfire::{Plan, Turn};
use settee_core::job::run::{Event, SkipCause};
use settee_core::job::{Assignment, Run};
use settee_core::planted::Bug;
use settee_core::registry::InstanceList;

use super::agenda::Item;
use super::entry::{Group, JobEntry, Slot};
use super::memory::{LOOK_AGAIN, Memory, job_write};
use super::record::{RunRecord, run_key, shard_of};
use super::workers::{MAX_SLICES, choose, slices};
use crate::record::encode;
use crate::shard::Change;

/// Slices of a job that may be planned and not yet offered: a change of the job cancels them in one write. One run always
/// fits.
pub(super) const MAX_UNTOUCHED: usize = MAX_SLICES as usize;

/// Runs of a job that may be open at once, whatever its overlap policy says.
pub(super) const MAX_OPEN: usize = 1_000;

/// A due time to plan: whether somebody asked for it, and with which reference.
type Dues = BTreeMap<Timestamp, (bool, Option<String>)>;

impl Memory {
    /// Plans what is due within the horizon. While no instance serves the job nothing is planned: nobody knows its slices, and
    /// the misfire policy decides once one is there.
    pub(super) fn plan(&mut self, job: &str, now: Timestamp) {
        let Some(entry) = self.jobs.get(job) else { return };
        let Some(due) = entry.next_due() else { return };
        if due > now.after(self.horizon) {
            return self.agenda.set(Item::Plan(job.to_owned()), due.before(self.horizon));
        }
        let list = entry.instances();
        let of = slices(entry.record.per_share, &list);
        let room = MAX_UNTOUCHED.saturating_sub(entry.untouched());
        match room.checked_div(usize::try_from(of).unwrap_or(usize::MAX)) {
            None | Some(0) => self.agenda.set(Item::Plan(job.to_owned()), now.after(LOOK_AGAIN)),
            Some(runs) => {
                self.write_plan(job, now, &list, of, runs);
                self.forget(job);
                self.agenda.set(Item::Plan(job.to_owned()), now);
            }
        }
    }

    /// The runs and the advanced cursor, in one write.
    fn write_plan(&mut self, job: &str, now: Timestamp, list: &InstanceList, of: u32, at_most: usize) {
        let token = self.shards.token(shard_of(job));
        let Some(entry) = self.jobs.get_mut(job) else { return };
        let (dues, skipped) = take_dues(entry, now, now.after(self.horizon), at_most);
        entry.changed();
        let mut change = Change { compares: Vec::new(), writes: vec![job_write(entry)] };
        if let Some(due) = skipped {
            let run = Run::skipped(entry.run_id(due, 0), entry.policy(), SkipCause::Misfire);
            change = entry.insert(change, run, false);
        }
        for (due, (triggered, reference)) in dues {
            let due = if Bug::RunsByNow.is_planted() { now } else { due };
            for slice in 0..of {
                let run = Run::planned(entry.run_id(due, slice), of, entry.policy(), reference.clone());
                let worker = choose(list, &run.id, of, 0);
                let named = worker.map(|worker| Event::Assign(Assignment { worker, token }));
                let run = named.and_then(|named| run.apply(named, now).ok()).map_or(run, |(run, _)| run);
                change = entry.insert(change, run, triggered);
            }
            self.agenda.set(Item::Fire(job.to_owned(), due), due);
        }
        let _the_offer_waits_for_it = self.shards.submit(shard_of(job), change);
    }

    /// A run is due: it starts, waits for its turn, or is left out.
    pub(super) fn fire(&mut self, job: &str, due: Timestamp, now: Timestamp) {
        let Some(entry) = self.jobs.get_mut(job) else { return };
        let turn = turn(entry, due);
        let Some(group) = entry.runs.get_mut(&due).filter(|group| !group.fired) else { return };
        let ids: Vec<_> = group.slices.values().map(|slot| slot.run.id.clone()).collect();
        match turn {
            Turn::Fire => {
                group.fired = true;
                ids.into_iter().for_each(|id| self.agenda.set(Item::Offer(id), now));
            }
            Turn::Skip if group.is_untouched() => {
                group.fired = true;
                ids.iter().for_each(|id| self.apply(id, Event::Skip(SkipCause::Overlap), now));
            }
            // A predecessor may have offered it: it cannot be left out any more.
            Turn::Wait | Turn::Skip => {}
        }
    }
}

fn turn(entry: &JobEntry, due: Timestamp) -> Turn {
    let others = || entry.runs.iter().filter(|(other, group)| **other != due && !group.is_over());
    let open = others().filter(|(_, group)| group.fired).count();
    let waiting = others().filter(|(other, group)| **other < due && !group.fired).count();
    if open >= MAX_OPEN { Turn::Skip } else { entry.record.overlap.turn(open, waiting) }
}

/// Takes due times off schedule and triggers, and advances the cursor. Also gives the last one that is left out.
fn take_dues(entry: &mut JobEntry, now: Timestamp, until: Timestamp, at_most: usize) -> (Dues, Option<Timestamp>) {
    let cursor = entry.record.cursor;
    let mut plan = match entry.record.paused {
        true => Plan { cursor, ..Plan::default() },
        false => entry.record.misfire.plan(&entry.timetable, cursor, now, until.since(now)),
    };
    if plan.runs.len() > at_most {
        plan.runs.truncate(at_most);
        plan.cursor = plan.runs.last().copied().unwrap_or(cursor);
    }
    entry.record.cursor = plan.cursor;
    let mut dues: Dues = plan.runs.into_iter().map(|due| (due, (false, None))).collect();
    for (due, asked) in &mut dues {
        if let Some(reference) = entry.record.triggers.remove(due) {
            *asked = (true, reference);
        }
    }
    while dues.len() < at_most {
        let Some(first) = entry.record.triggers.first_entry().filter(|first| *first.key() <= until) else { break };
        let (due, reference) = first.remove_entry();
        dues.insert(due, (true, reference));
    }
    dues.retain(|due, _| !entry.runs.contains_key(due));
    let skipped = plan.skipped.filter(|due| !entry.runs.contains_key(due) && !dues.contains_key(due));
    (dues, skipped)
}

impl JobEntry {
    fn insert(&mut self, change: Change, run: Run, triggered: bool) -> Change {
        let group = self.runs.entry(run.id.due).or_insert_with(|| Group::new(triggered));
        group.fired |= run.is_over();
        let (key, record) = (run_key(&run.id), RunRecord { run, triggered });
        let change = change.and_put_once(key, encode(&record));
        group.slices.insert(record.run.id.slice, Slot::new(record.run));
        change
    }
}
