//! The job calls of the control plane, and their models. Implemented by the coordinator in `settee-server`.
//!
//! Every call may be repeated: a registration by its content, a trigger by its due time, the rest by what it asks.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use settee_core::Timestamp;
use settee_core::id::FencingToken;
use settee_core::job::{Misfire, Overlap, Retry, Schedule};

use crate::rpc::{Page, Reply, Updates, Whole};

/// What a coordinator of jobs does. A job that is not known is `NotFound` (`JOB0001`).
#[crate::service("settee.Jobs")]
pub trait JobControl {
    /// Makes a job, or changes it: a changed definition is a new version, and what was planned under the old one and not yet
    /// started is cancelled in the same write. The same definition changes nothing.
    #[rpc(idempotent)]
    async fn register(&self, job: RegisterJob) -> Reply<JobView>;
    /// Asks for a run at a due time, also of a paused job. Two triggers of one due time are one run.
    #[rpc(idempotent)]
    async fn trigger(&self, trigger: Trigger) -> Reply<RunView>;
    /// Stops planning by the schedule. What was planned and not yet started is cancelled; due times of the pause do not come back.
    #[rpc(idempotent)]
    async fn pause(&self, name: String) -> Reply<JobView>;
    /// Plans again, from now on.
    #[rpc(idempotent)]
    async fn resume(&self, name: String) -> Reply<JobView>;
    /// Removes a job and its history. A run that was started goes on at its worker, but nobody asks for its result.
    #[rpc(idempotent)]
    async fn remove(&self, name: String) -> Reply<()>;
    /// A page of the jobs behind the name `after`, each with its last runs, by name.
    #[rpc(idempotent)]
    async fn job_page(&self, after: Option<String>) -> Reply<Page<JobView>>;
    /// A page of the runs of a job that are due before the time `before`, the latest due time first.
    #[rpc(idempotent)]
    async fn run_page(&self, list: ListRuns, before: Option<Timestamp>) -> Reply<Page<RunView, Timestamp>>;
    /// One run.
    #[rpc(idempotent)]
    async fn run(&self, key: RunKey) -> Reply<RunView>;
    /// One run, now and whenever it changes; the stream ends once the run is over. A reader that is behind gets the newest state in
    /// one step. A run that is cancelled, removed or forgotten on the way ends the stream with `NotFound` (`JOB0001`).
    async fn follow(&self, key: RunKey) -> Reply<Updates<RunView>>;
}

impl JobControlClient {
    /// All jobs by name, each with its last runs, page after page.
    ///
    /// # Errors
    /// Those of a call; nothing is changed.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn jobs(&self) -> Reply<Vec<JobView>> {
        let mut jobs = Whole::new();
        while jobs.add(self.job_page(jobs.after()).await?)? {}
        Ok(jobs.items)
    }

    /// Runs of a job, the latest due time first, as many as the list wants, page after page.
    ///
    /// # Errors
    /// `NotFound` (`JOB0001`) without such a job, and those of a call; nothing is changed.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn runs(&self, list: ListRuns) -> Reply<Vec<RunView>> {
        let (mut runs, wanted) = (Whole::new(), usize::try_from(list.limit).unwrap_or(usize::MAX));
        loop {
            let missing = wanted.saturating_sub(runs.items.len());
            let rest = ListRuns { limit: u32::try_from(missing).unwrap_or(u32::MAX), ..list.clone() };
            let is_more = runs.add(self.run_page(rest, runs.after()).await?)?;
            if !is_more || runs.items.len() >= wanted {
                runs.items.truncate(wanted);
                return Ok(runs.items);
            }
        }
    }
}

/// A job to make or to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterJob {
    /// Its name: 1 to 100 ASCII letters, digits, `.`, `-` and `_`. Its workers serve `job.<name>`.
    pub name: String,
    /// The application that serves it, for people.
    pub application: String,
    /// When it is due.
    pub schedule: Schedule,
    /// What happens to due times that were missed.
    #[serde(default)]
    pub misfire: Misfire,
    /// What happens to a run that is due while an earlier one is open.
    #[serde(default)]
    pub overlap: Overlap,
    /// How often a run is tried.
    #[serde(default)]
    pub retry: Retry,
    /// How long one attempt may take, in milliseconds: 1 to a day.
    pub timeout_ms: u64,
    /// Whether a run may happen more than once. If not, it happens at most once, and its outcome may stay unknown.
    #[serde(default)]
    pub idempotent: bool,
    /// How a run is divided.
    #[serde(default)]
    pub slices: Slices,
}

/// How a run is divided among the instances that serve its job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slices {
    /// Not at all: one instance runs it.
    #[default]
    One,
    /// One slice for each share that the instances publish, run by an instance that holds it.
    PerShare,
}

/// A run to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Of which job.
    pub job: String,
    /// When; a moment that has passed is due at once. It is the run's identity.
    pub due: Timestamp,
    /// Handed to the handler: at most [`MAX_REFERENCE_BYTES`].
    #[serde(default)]
    pub reference: Option<String>,
}

/// Bytes of a trigger's reference at most: a name, not a payload.
pub const MAX_REFERENCE_BYTES: usize = 1_024;

/// Which runs to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRuns {
    /// Of which job.
    pub job: String,
    /// How many at most; a page has fewer when more would not fit into it.
    pub limit: u32,
}

/// Which run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunKey {
    /// Of which job.
    pub job: String,
    /// When it is due.
    pub due: Timestamp,
}

/// A job as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// As it was registered.
    pub definition: RegisterJob,
    /// The version of the definition; a job that is removed and made again has a higher one.
    pub version: u64,
    /// Whether it plans nothing.
    pub paused: bool,
    /// When it is due next, by its schedule or by a trigger; in the past while no instance serves it.
    pub next_due: Option<Timestamp>,
    /// Its last runs, the latest due time first: at most [`LAST_RUNS`].
    pub last_runs: Vec<RunView>,
}

/// Runs in a [`JobView`].
pub const LAST_RUNS: usize = 5;

/// A run as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    /// `job/version/due`; the identity of a slice adds its number.
    pub id: String,
    /// Its job.
    pub job: String,
    /// When it is due.
    pub due: Timestamp,
    /// Of all slices together.
    pub state: RunStatus,
    /// What its trigger attached.
    pub reference: Option<String>,
    /// Its slices in order; none before a worker was sought for it.
    pub slices: Vec<SliceView>,
}

/// A slice of a run as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceView {
    /// Which, from 0.
    pub slice: u32,
    /// The worker named last.
    pub worker: Option<SocketAddr>,
    /// The present or last attempt, from 1.
    pub attempt: u32,
    /// How far it is.
    pub state: RunStatus,
    /// The result, JSON text.
    pub result: Option<String>,
    /// Why it failed, is unknown or was skipped.
    pub cause: Option<String>,
    /// The token under which the worker was named or asked last.
    pub token: Option<FencingToken>,
}

/// How far a run is. Of several slices: `Planned` and `Dispatched` while one is open, then the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It was left out.
    Skipped,
    /// It succeeded.
    Succeeded,
    /// Its worker reported failure.
    Failed,
    /// Whether it happened is not known.
    Unknown,
    /// It waits for its time, a worker or its next attempt.
    Planned,
    /// A worker has it.
    Dispatched,
}

impl RunStatus {
    /// Whether nothing will change any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Planned | Self::Dispatched)
    }

    /// Of several slices together.
    #[must_use]
    pub fn of(slices: &[SliceView]) -> Self {
        slices.iter().map(|slice| slice.state).max().unwrap_or(Self::Planned)
    }
}
