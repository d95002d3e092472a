//! The identity of a run: the job in one of its versions, the due time and the slice. Nothing in it depends on a clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;
use crate::name;
use crate::time::Timestamp;

/// The longest name of a job, in bytes.
pub const MAX_NAME: usize = 100;

/// A run of a job, or one slice of it. As text: `reconcile/3/2026-03-29T01:00:00Z/0`.
///
/// ```
/// use settee_core::Timestamp;
/// use settee_core::job::RunId;
///
/// let id = RunId { job: "reconcile".into(), version: 3, due: Timestamp::EPOCH, slice: 1 };
/// assert_eq!(id.to_string(), "reconcile/3/1970-01-01T00:00:00Z/1");
/// assert_eq!(id.to_string().parse::<RunId>().unwrap(), id);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId {
    /// The job's name.
    pub job: String,
    /// The version of its definition: a job that is deleted and made again has a higher one, so old runs cannot match.
    pub version: u64,
    /// When it is due, not when it was started.
    pub due: Timestamp,
    /// Which slice, counted from 0.
    pub slice: u32,
}

/// Whether `job` may name one.
///
/// # Errors
/// `Invalid` (`RPC0001`), which says what a name is made of.
pub fn check_name(job: &str) -> Result<(), Error> {
    name::check("job", job, MAX_NAME)
}

/// Text that is not the identity of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read run {0:?}: expected is job/version/due/slice, such as reconcile/3/2026-03-29T01:00:00Z/0")]
pub struct ParseRunIdError(String);

impl fmt::Display for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}/{}", self.job, self.version, self.due, self.slice)
    }
}

impl FromStr for RunId {
    type Err = ParseRunIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| ParseRunIdError(text.to_owned()))
    }
}

fn read(text: &str) -> Option<RunId> {
    let parts: Vec<_> = text.split('/').collect();
    let [job, version, due, slice] = parts[..] else { return None };
    check_name(job).ok()?;
    let due = due.parse::<jiff::Timestamp>().ok()?;
    Some(RunId {
        job: job.to_owned(),
        version: version.parse().ok()?,
        due: Timestamp::from_micros(due.as_microsecond()),
        slice: slice.parse().ok()?,
    })
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
