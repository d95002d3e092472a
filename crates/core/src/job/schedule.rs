//! When a job is due: a [`Schedule`] is what people write and what is stored, a [`Timetable`] is the same, checked and ready to
//! be asked for due times.
//!
//! Daylight saving time is explicit. When the clock is put forward some local times never happen ([`GapPolicy`]), when it is put
//! back some happen twice ([`FoldPolicy`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cron::Expression;
use super::{millis, zone};
use crate::error::{Error, ErrorKind, codes};
use crate::time::Timestamp;

/// The shortest period: below it a queue of messages is the better tool.
pub const MIN_PERIOD: Duration = Duration::from_millis(100);

/// Halvings of a span of microseconds until one is left.
const HALVINGS: u32 = 64;

/// When a job is due.
///
/// ```
/// use settee_core::Timestamp;
/// use settee_core::job::Schedule;
///
/// let nightly = Schedule::cron("0 0 2 * * *", "Europe/Zurich").timetable()?;
/// let due = nightly.next_after(Timestamp::EPOCH).unwrap();
/// assert_eq!(due.to_string(), "1970-01-01T01:00:00Z");
/// # Ok::<(), settee_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// At the local times of a cron expression.
    Cron {
        /// Five fields (minute, hour, day of month, month, day of week), six with seconds before them, seven with years behind.
        /// `L`, `W`, `#`, ranges, steps, names and `@daily` are understood; 0 and 7 are Sunday. A day matches when its day of
        /// month or its day of week does, where both are restricted.
        expression: String,
        /// The IANA name of the zone, such as `Europe/Zurich`.
        zone: String,
        /// What happens to a local time that the clock jumps over.
        #[serde(default)]
        gap: GapPolicy,
        /// What happens to a local time that comes twice.
        #[serde(default)]
        fold: FoldPolicy,
    },
    /// At `first`, and every `period` after it.
    Every {
        /// At least [`MIN_PERIOD`].
        #[serde(rename = "period_ms", with = "millis")]
        period: Duration,
        /// The first due time, which gives all others.
        first: Timestamp,
    },
    /// At one moment.
    Once {
        /// That moment.
        due: Timestamp,
    },
    /// Only when somebody asks.
    OnDemand,
}

/// What happens to a local time that the clock jumps over when it is put forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapPolicy {
    /// It does not happen.
    Skip,
    /// The job is due once, at the moment of the jump, however many of its times are jumped over.
    #[default]
    RunAtTransition,
    /// It happens as much later as the clock jumps: 02:30 becomes 03:30.
    Shift,
}

/// What happens to a local time that comes twice because the clock is put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoldPolicy {
    /// The job is due the first time. A job of every few minutes then rests for an hour: it wants [`FoldPolicy::Both`].
    #[default]
    First,
    /// The job is due the second time.
    Last,
    /// The job is due both times.
    Both,
}

impl Schedule {
    /// A cron expression in a zone, with the default policies.
    #[must_use]
    pub fn cron(expression: &str, zone: &str) -> Self {
        let (gap, fold) = (GapPolicy::default(), FoldPolicy::default());
        Self::Cron { expression: expression.to_owned(), zone: zone.to_owned(), gap, fold }
    }

    /// The schedule, checked.
    ///
    /// # Errors
    /// `Invalid` (`JOB0002`), which names the field that cannot be read.
    pub fn timetable(&self) -> Result<Timetable, Error> {
        let times = match self {
            Self::Cron { expression, zone, gap, fold } => {
                let expression = Expression::parse(expression)?;
                Times::Calendar(Box::new(zone::Calendar { expression, zone: zone::named(zone)?, gap: *gap, fold: *fold }))
            }
            Self::Every { period, first } => Times::Every { period: checked(*period)?, first: *first },
            Self::Once { due } => Times::Once(*due),
            Self::OnDemand => Times::Never,
        };
        Ok(Timetable(times))
    }
}

fn checked(period: Duration) -> Result<i64, Error> {
    let micros = i64::try_from(period.as_micros()).ok().filter(|_| period >= MIN_PERIOD);
    micros.ok_or_else(|| bad(&format!("period {period:?}: it is at least {MIN_PERIOD:?}")))
}

pub(super) fn bad(text: &str) -> Error {
    Error::new(ErrorKind::Invalid, codes::BAD_SCHEDULE, format!("read the schedule: {text}"))
}

/// A schedule that was checked.
#[derive(Clone, Debug)]
pub struct Timetable(Times);

#[derive(Clone, Debug)]
enum Times {
    Calendar(Box<zone::Calendar>),
    Every { period: i64, first: Timestamp },
    Once(Timestamp),
    Never,
}

impl Timetable {
    /// The first due time after `moment`; `None` when there is none any more.
    #[must_use]
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Times::Calendar(calendar) => calendar.next_after(moment),
            Times::Every { first, .. } if moment < *first => Some(*first),
            Times::Every { period, first } => {
                let passed = moment.micros().checked_sub(first.micros())?;
                let next = (passed / period).checked_add(1)?.checked_mul(*period)?;
                first.micros().checked_add(next).map(Timestamp::from_micros)
            }
            Times::Once(due) => Some(*due).filter(|due| *due > moment),
            Times::Never => None,
        }
    }

    /// The last due time after `after` and not after `until`, found by halving and so cheap over any span.
    #[must_use]
    pub fn latest_between(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let within = |moment| self.next_after(moment).filter(|due| *due <= until);
        let mut latest = within(after)?;
        let mut nothing_behind = until;
        for _ in 0..HALVINGS {
            let span = nothing_behind.since(latest);
            let middle = latest.after(span / 2);
            match within(middle) {
                Some(later) => latest = later,
                None if middle == latest => break,
                None => nothing_behind = middle,
            }
        }
        Some(latest)
    }
}

#[cfg(test)]
#[path = "schedule_test.rs"]
mod tests;
