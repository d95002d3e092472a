//! Loading at start: all jobs and runs of every shard, before anything is planned or answered.

use std::collections::BTreeMap;

use settee_core::error::{ErrorKind, codes};
use settee_core::id::ShardId;
use settee_core::job::{Schedule, Timetable};
use settee_core::port::{Kv, Write};
use settee_core::{Error, Timestamp};

use super::agenda::Item;
use super::entry::JobEntry;
use super::memory::{DELETES, Memory};
use super::record::{COMPONENT, JobRecord, RunRecord, VersionRecord, run_key};
use crate::record::decode;
use crate::shard::{Change, scan};

pub(super) async fn load(memory: &mut Memory, kv: &dyn Kv, now: Timestamp) -> Result<(), Error> {
    let mut orphans: BTreeMap<ShardId, Vec<Write>> = BTreeMap::new();
    scan(kv, COMPONENT, |shard, rest, value| {
        let orphan = restore(memory, shard, rest, value)?;
        orphans.entry(shard).or_default().extend(orphan);
        Ok(())
    })
    .await?;
    for (shard, deletes) in orphans {
        for batch in deletes.chunks(DELETES) {
            let _goes_on = memory.shards.submit(shard, Change { compares: Vec::new(), writes: batch.to_vec() });
        }
    }
    set_agenda(memory, now);
    Ok(())
}

/// Definitions come before runs, as their keys do. Gives the delete of a run whose job was removed.
fn restore(memory: &mut Memory, shard: ShardId, rest: &[u8], value: &[u8]) -> Result<Option<Write>, Error> {
    match rest {
        [b'd', ..] => {
            let record: JobRecord = decode(value)?;
            let (name, timetable) = (record.name.clone(), timetable(&record)?);
            memory.jobs.insert(name, JobEntry::new(record, timetable, &memory.channels));
        }
        [b'r', ..] => {
            let record: RunRecord = decode(value)?;
            match memory.jobs.get_mut(&record.run.id.job) {
                Some(entry) => entry.restore(record),
                None => return Ok(Some(Write::Delete(run_key(&record.run.id)))),
            }
        }
        [b'v'] => memory.restore_version(shard, decode::<VersionRecord>(value)?.last),
        other => {
            let text = format!("load jobs: the key {:?} is not known", String::from_utf8_lossy(other));
            return Err(Error::new(ErrorKind::Damaged, codes::STORE_DAMAGED, text));
        }
    }
    Ok(None)
}

/// A schedule that another version could read and this one cannot must not keep all other jobs from starting.
fn timetable(record: &JobRecord) -> Result<Timetable, Error> {
    record.schedule.timetable().or_else(|error| {
        tracing::error!(job = %record.name, %error, "load a job: it is not planned until it is registered again");
        Schedule::OnDemand.timetable()
    })
}

fn set_agenda(memory: &mut Memory, now: Timestamp) {
    for (job, entry) in &memory.jobs {
        memory.agenda.set(Item::Plan(job.clone()), now);
        for (due, group) in entry.runs.iter().filter(|(_, group)| !group.is_over()) {
            if !group.fired {
                memory.agenda.set(Item::Fire(job.clone(), *due), *due);
                continue;
            }
            let open = group.slices.values().filter(|slot| !slot.run.is_over());
            open.for_each(|slot| memory.agenda.set(Item::Offer(slot.run.id.clone()), now));
        }
    }
}
