//! The coordinator as the service that `settee` knows. Every answer waits for what it observed to be durable (P4).

use std::ops::Bound;
use std::time::Duration;

use settee::job::control::{JobControl, JobView, ListRuns, MAX_REFERENCE_BYTES, RegisterJob, RunKey, RunView, Trigger};
use settee::rpc::{Page, Reply, Updates};
use settee_core::error::{ErrorKind, codes};
use settee_core::job::Run;
use settee_core::job::run::check_name;
use settee_core::port::Write;
use settee_core::{Error, Timestamp, env};

use super::agenda::Item;
use super::entry::{HISTORY, JobEntry};
use super::memory::{DELETES, Memory, deletes, find, job_write};
use super::record::{JobRecord, job_key, shard_of};
use super::scheduler::Jobs;
use crate::page::PageFilling;
use crate::shard::{Change, Ticket};

/// Jobs of a server at most: each is looked at every quarter of a second while nobody serves it.
const MAX_JOBS: usize = 10_000;

/// Triggers of a job that may wait: they are stored with it.
const MAX_TRIGGERS: usize = 100;

/// The longest time for one attempt.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);

/// The most attempts of a run.
const MAX_ATTEMPTS: u32 = 100;

/// Bytes of an application's name.
const MAX_APPLICATION: usize = 200;

impl JobControl for Jobs {
    async fn register(&self, job: RegisterJob) -> Reply<JobView> {
        check(&job)?;
        let (view, ticket) = self.memory().register(job, env::wall_clock())?;
        self.wake();
        ticket.committed().await?;
        Ok(view)
    }

    async fn trigger(&self, trigger: Trigger) -> Reply<RunView> {
        let (view, ticket) = self.memory().trigger(trigger, env::wall_clock())?;
        self.wake();
        ticket.committed().await?;
        Ok(view)
    }

    async fn pause(&self, name: String) -> Reply<JobView> {
        Ok(self.set_paused(&name, true).await?)
    }

    async fn resume(&self, name: String) -> Reply<JobView> {
        Ok(self.set_paused(&name, false).await?)
    }

    async fn remove(&self, name: String) -> Reply<()> {
        let ticket = self.memory().remove(&name)?;
        ticket.committed().await?;
        Ok(())
    }

    async fn job_page(&self, after: Option<String>) -> Reply<Page<JobView>> {
        let (page, shards) = {
            let memory = self.memory();
            (memory.page(after), memory.shards.clone())
        };
        shards.all_committed().await?;
        Ok(page)
    }

    async fn run_page(&self, list: ListRuns, before: Option<Timestamp>) -> Reply<Page<RunView, Timestamp>> {
        let limit = usize::try_from(list.limit).unwrap_or(usize::MAX);
        Ok(self.observe(&list.job, |entry| Ok(entry.run_page(limit, before))).await?)
    }

    async fn run(&self, key: RunKey) -> Reply<RunView> {
        let found = |entry: &JobEntry| entry.run_view(key.due).ok_or_else(|| no_run(&key));
        Ok(self.observe(&key.job, found).await?)
    }

    async fn follow(&self, key: RunKey) -> Reply<Updates<RunView>> {
        Ok(self.start_follower(key).await?)
    }
}

impl Jobs {
    pub(super) async fn observe<T>(&self, job: &str, look: impl FnOnce(&JobEntry) -> Result<T, Error>) -> Result<T, Error> {
        let (seen, ticket) = {
            let mut memory = self.memory();
            let seen = look(find(&mut memory.jobs, job)?);
            (seen, memory.shards.observe(shard_of(job)))
        };
        ticket.committed().await?;
        seen
    }

    async fn set_paused(&self, job: &str, paused: bool) -> Result<JobView, Error> {
        let (view, ticket) = self.memory().set_paused(job, paused, env::wall_clock())?;
        self.wake();
        ticket.committed().await?;
        Ok(view)
    }
}

impl Memory {
    /// The jobs behind the name `after`.
    fn page(&self, after: Option<String>) -> Page<JobView> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut jobs = self.jobs.range((from, Bound::Unbounded));
        let mut filling = PageFilling::new();
        while jobs.next().is_some_and(|(name, entry)| filling.takes(name.clone(), entry.view())) {}
        filling.page()
    }

    pub(super) fn register(&mut self, job: RegisterJob, now: Timestamp) -> Result<(JobView, Ticket), Error> {
        let shard = shard_of(&job.name);
        let known = self.jobs.get(&job.name);
        if let Some(same) = known.filter(|entry| entry.record.definition() == job) {
            return Ok((same.view(), self.shards.observe(shard)));
        }
        if known.is_none() && self.jobs.len() >= MAX_JOBS {
            return Err(limited(&format!("register job {}: {MAX_JOBS} jobs are the limit", job.name)));
        }
        self.shards.admit(shard)?;
        let (name, timetable) = (job.name.clone(), job.schedule.timetable()?);
        let mut entry = JobEntry::new(JobRecord::new(job, 0, now), timetable, &self.channels);
        let (version, version_write) = self.next_version(shard);
        let cancelled = match self.jobs.remove(&name) {
            Some(mut former) => {
                let cancelled = former.cancel(true);
                entry.follow(former, &cancelled);
                cancelled
            }
            None => Vec::new(),
        };
        entry.record.version = version;
        let mut change = deletes(&cancelled);
        change.writes.extend([job_write(&entry), version_write]);
        let ticket = self.shards.submit(shard, change);
        let view = entry.view();
        self.agenda.set(Item::Plan(name.clone()), now);
        self.jobs.insert(name, entry);
        Ok((view, ticket))
    }

    fn trigger(&mut self, trigger: Trigger, now: Timestamp) -> Result<(RunView, Ticket), Error> {
        let Trigger { job, due, reference } = trigger;
        let shard = shard_of(&job);
        let admitted = self.shards.admit(shard);
        let entry = find(&mut self.jobs, &job)?;
        if let Some(known) = entry.run_view(due) {
            return Ok((known, self.shards.observe(shard)));
        }
        admitted?;
        entry.check_trigger(due, reference.as_deref())?;
        entry.record.triggers.insert(due, reference);
        entry.changed();
        let view = entry.run_view(due).ok_or_else(|| no_run(&RunKey { job: job.clone(), due }))?;
        let change = Change { compares: Vec::new(), writes: vec![job_write(entry)] };
        self.agenda.set(Item::Plan(job), now);
        Ok((view, self.shards.submit(shard, change)))
    }

    fn set_paused(&mut self, job: &str, paused: bool, now: Timestamp) -> Result<(JobView, Ticket), Error> {
        let shard = shard_of(job);
        let entry = find(&mut self.jobs, job)?;
        if entry.record.paused == paused {
            return Ok((entry.view(), self.shards.observe(shard)));
        }
        entry.record.paused = paused;
        let cancelled = if paused { entry.cancel(false) } else { Vec::new() };
        // Due times up to now were spent in the pause.
        entry.record.cursor = entry.record.cursor.max(now);
        let mut change = deletes(&cancelled);
        change.writes.push(job_write(entry));
        let view = entry.view();
        self.agenda.set(Item::Plan(job.to_owned()), now);
        Ok((view, self.shards.submit(shard, change)))
    }

    fn remove(&mut self, job: &str) -> Result<Ticket, Error> {
        let shard = shard_of(job);
        find(&mut self.jobs, job)?;
        let runs = self.jobs.remove(job).map(|entry| entry.runs).unwrap_or_default();
        let mut ticket = self.shards.submit(shard, Change { compares: Vec::new(), writes: vec![Write::Delete(job_key(job))] });
        // The definition goes first: runs without one are removed at the next start, should this one not come so far.
        let runs: Vec<_> = runs.into_values().flat_map(|group| group.slices.into_values()).map(|slot| slot.run).collect();
        for batch in runs.chunks(DELETES) {
            ticket = self.shards.submit(shard, deletes(batch));
        }
        Ok(ticket)
    }
}

impl JobEntry {
    /// Takes over what outlives a definition. Under the same schedule nothing is missed and what was cancelled is planned again;
    /// under another one the past is over.
    fn follow(&mut self, former: Self, cancelled: &[Run]) {
        let record = former.record;
        self.record.cursor = if record.schedule == self.record.schedule {
            let again = cancelled.iter().map(|run| run.id.due.before(Duration::from_micros(1)));
            again.chain([record.cursor]).min().unwrap_or(record.cursor)
        } else {
            former.runs.keys().copied().chain([self.record.cursor]).max().unwrap_or(self.record.cursor)
        };
        self.record.paused = record.paused;
        self.record.forgotten = record.forgotten;
        self.record.triggers = record.triggers;
        self.runs = former.runs;
        self.changes = former.changes;
    }

    fn check_trigger(&self, due: Timestamp, reference: Option<&str>) -> Result<(), Error> {
        let job = &self.record.name;
        if reference.is_some_and(|reference| reference.len() > MAX_REFERENCE_BYTES) {
            return Err(invalid(&format!("trigger {job}: a reference has {MAX_REFERENCE_BYTES} bytes at most")));
        }
        if self.record.forgotten.is_some_and(|forgotten| due <= forgotten) {
            let text =
                format!("trigger {job} at {due}: the last {HISTORY} runs are remembered, whether this one happened is forgotten");
            return Err(Error::new(ErrorKind::Conflict, codes::BAD_REQUEST, text));
        }
        if self.record.triggers.len() >= MAX_TRIGGERS {
            return Err(limited(&format!("trigger {job}: {MAX_TRIGGERS} triggers wait already")));
        }
        Ok(())
    }
}

fn check(job: &RegisterJob) -> Result<(), Error> {
    check_name(&job.name)?;
    job.schedule.timetable()?;
    let name = &job.name;
    if job.application.len() > MAX_APPLICATION {
        return Err(invalid(&format!("register job {name}: an application's name has {MAX_APPLICATION} bytes at most")));
    }
    if job.timeout_ms == 0 || Duration::from_millis(job.timeout_ms) > MAX_TIMEOUT {
        return Err(invalid(&format!(
            "register job {name}: timeout_ms is {}, 1 to {} are possible",
            job.timeout_ms,
            MAX_TIMEOUT.as_millis()
        )));
    }
    if job.retry.attempts > MAX_ATTEMPTS {
        return Err(invalid(&format!(
            "register job {name}: {} attempts are over the limit of {MAX_ATTEMPTS}",
            job.retry.attempts
        )));
    }
    Ok(())
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, text)
}

fn limited(text: &str) -> Error {
    Error::new(ErrorKind::Limited, codes::CONCURRENCY_LIMITED, text)
}

pub(super) fn no_run(key: &RunKey) -> Error {
    let text = format!("find the run of {} at {}: there is none, or it is forgotten", key.job, key.due);
    Error::new(ErrorKind::NotFound, codes::NO_JOB, text)
}
