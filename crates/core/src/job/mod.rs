//! The rules of jobs: when they are due ([`schedule`]), what happens to due times that were missed or meet a run that is still
//! open ([`misfire`]), and the life of one run ([`run`]).
//!
//! A run is identified by its *due* time, never by when it was started: clocks that differ change how late it is, not how often
//! it runs.

mod cron;
pub mod misfire;
pub mod run;
pub mod schedule;
mod zone;

pub use misfire::{Misfire, Overlap};
pub use run::{Answer, Assignment, Retry, Run, RunId, RunPolicy, RunState, Worker};
pub use schedule::{FoldPolicy, GapPolicy, Schedule, Timetable};

/// Durations as whole milliseconds, as they are stored and sent.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
