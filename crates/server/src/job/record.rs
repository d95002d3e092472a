//! What the coordinator of jobs writes into `Kv`.
//!
//! ```text
//! job/<shard>/d/<name>                definition, cursor, waiting triggers
//! job/<shard>/r/<name>/<due>/<slice>  a slice of a run; written once, then changed. <due>: microseconds, sign flipped, hex
//! job/<shard>/v                       the last version given to any job of the shard, removed ones included
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use settee::job::control::{RegisterJob, Slices};
use settee_core::Timestamp;
use settee_core::id::ShardId;
use settee_core::job::{Misfire, Overlap, Retry, Run, RunId, Schedule};

use crate::record::Record;
use crate::shard::key;

/// The folder of jobs in a shard.
pub(super) const COMPONENT: &str = "job";

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JobRecord {
    pub(super) name: String,
    pub(super) application: String,
    pub(super) schedule: Schedule,
    pub(super) misfire: Misfire,
    pub(super) overlap: Overlap,
    pub(super) retry: Retry,
    pub(super) timeout_ms: u64,
    pub(super) idempotent: bool,
    pub(super) per_share: bool,
    pub(super) version: u64,
    /// Everything up to here is planned.
    pub(super) cursor: Timestamp,
    pub(super) paused: bool,
    /// No run up to here is remembered unless it is stored.
    pub(super) forgotten: Option<Timestamp>,
    /// Due times that were asked for and are not planned yet, with their references.
    pub(super) triggers: BTreeMap<Timestamp, Option<String>>,
}

impl Record for JobRecord {
    const NAME: &'static str = "job";
    const VERSION: u8 = 1;
}

/// A slice of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunRecord {
    pub(super) run: Run,
    /// Whether somebody asked for it.
    pub(super) triggered: bool,
}

impl Record for RunRecord {
    const NAME: &'static str = "run";
    const VERSION: u8 = 1;
}

/// The last version of a shard.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct VersionRecord {
    pub(super) last: u64,
}

impl Record for VersionRecord {
    const NAME: &'static str = "last job version";
    const VERSION: u8 = 1;
}

impl JobRecord {
    pub(super) fn new(job: RegisterJob, version: u64, cursor: Timestamp) -> Self {
        Self {
            name: job.name,
            application: job.application,
            schedule: job.schedule,
            misfire: job.misfire,
            overlap: job.overlap,
            retry: job.retry,
            timeout_ms: job.timeout_ms,
            idempotent: job.idempotent,
            per_share: job.slices == Slices::PerShare,
            version,
            cursor,
            paused: false,
            forgotten: None,
            triggers: BTreeMap::new(),
        }
    }

    pub(super) fn definition(&self) -> RegisterJob {
        RegisterJob {
            name: self.name.clone(),
            application: self.application.clone(),
            schedule: self.schedule.clone(),
            misfire: self.misfire,
            overlap: self.overlap,
            retry: self.retry,
            timeout_ms: self.timeout_ms,
            idempotent: self.idempotent,
            slices: if self.per_share { Slices::PerShare } else { Slices::One },
        }
    }
}

pub(super) fn shard_of(job: &str) -> ShardId {
    ShardId::of(job.as_bytes())
}

pub(super) fn job_key(job: &str) -> Bytes {
    key(COMPONENT, shard_of(job), format!("d/{job}").as_bytes())
}

pub(super) fn run_key(id: &RunId) -> Bytes {
    let due = id.due.micros().cast_unsigned() ^ (1 << 63);
    key(COMPONENT, shard_of(&id.job), format!("r/{}/{due:016x}/{:08x}", id.job, id.slice).as_bytes())
}

pub(super) fn version_key(shard: ShardId) -> Bytes {
    key(COMPONENT, shard, b"v")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use settee_core::job::RunPolicy;

    use super::*;
    use crate::record::{decode, encode};

    #[test]
    fn runs_are_stored_in_the_order_of_their_due_times() {
        let id = |due, slice| RunId { job: "a".into(), version: 9, due: Timestamp::from_micros(due), slice };
        let keys: Vec<_> = [id(-5, 0), id(-1, 0), id(0, 0), id(0, 1), id(7, 0)].iter().map(run_key).collect();
        assert!(keys.is_sorted());
    }

    #[test]
    fn what_was_loaded_is_in_doubt_because_a_predecessor_may_have_sent_it() {
        let policy = RunPolicy { idempotent: false, retry: Retry::default(), timeout: Duration::from_millis(1_500) };
        let id = RunId { job: "a".into(), version: 9, due: Timestamp::from_micros(-1), slice: 3 };
        let stored = RunRecord { run: Run::planned(id, 4, policy, Some("monday".into())), triggered: true };
        assert!(!stored.run.doubt);
        let loaded: RunRecord = decode(&encode(&stored)).unwrap();
        assert_eq!(loaded, RunRecord { run: Run { doubt: true, ..stored.run }, triggered: true });
    }
}
