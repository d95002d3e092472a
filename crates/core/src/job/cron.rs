//! Cron expressions: the crate `croner` reads and searches them, on local time; this names the field in errors and connects it to
//! `jiff`. Zones are [`zone`](super::zone)'s matter.

use std::cmp::Ordering;
use std::str::FromStr;

use croner::Cron;
use croner::errors::CronError;
use croner::time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::schedule::bad;
use crate::error::Error;

const FIELDS: [&str; 7] = ["second", "minute", "hour", "day of month", "month", "day of week", "year"];

/// The longest expression that is read: seven long lists.
const MAX_LENGTH: usize = 512;

/// A cron expression that was read.
#[derive(Clone, Debug)]
pub(super) struct Expression(Cron);

impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_LENGTH {
            return Err(bad(&format!("the cron expression has {} bytes, {MAX_LENGTH} are the limit", text.len())));
        }
        Cron::from_str(text).map(Self).map_err(|error| bad(&format!("cron {text:?}: {}", cause(text, &error))))
    }

    /// The first matching second at or after `from`. Both are local time, counted as if it were UTC.
    pub(super) fn next_from(&self, from: i64) -> Option<i64> {
        let from = LocalSecond::of(from)?;
        self.0.find_next_occurrence(&from, true).ok()?.seconds()
    }
}

/// What is wrong, with the name of the field: the first that is also wrong alone.
fn cause(text: &str, error: &CronError) -> String {
    let fields: Vec<_> = text.split_whitespace().collect();
    if !text.starts_with('@') && !(5..=7).contains(&fields.len()) {
        return format!("it has {} fields, 5 to 7 are expected", fields.len());
    }
    let names = if fields.len() == 5 { &FIELDS[1..] } else { &FIELDS[..] };
    let wrong_alone = |position: usize, field: &str| {
        let mut alone = ["*"; 7];
        alone[position + FIELDS.len() - names.len()] = field;
        Cron::from_str(&alone.join(" ")).err()
    };
    let wrong = fields
        .iter()
        .zip(names)
        .enumerate()
        .find_map(|(position, (field, name))| wrong_alone(position, field).map(|why| format!("{name} {field:?}: {why}")));
    wrong.unwrap_or_else(|| error.to_string())
}

/// A second of local time.
#[derive(Clone, Copy)]
struct LocalSecond(DateTime);

impl LocalSecond {
    fn of(seconds: i64) -> Option<Self> {
        jiff::Timestamp::from_second(seconds).ok().map(|moment| Self(Offset::UTC.to_datetime(moment)))
    }

    fn seconds(self) -> Option<i64> {
        Offset::UTC.to_timestamp(self.0).ok().map(jiff::Timestamp::as_second)
    }
}

impl CronDateTime for LocalSecond {
    fn to_civil(&self) -> CivilDateTime {
        let part = |value: i8| u32::from(value.unsigned_abs());
        let date = CivilDate::from_parts_unchecked(self.0.year().into(), part(self.0.month()), part(self.0.day()));
        let time = CivilTime::from_parts_unchecked(part(self.0.hour()), part(self.0.minute()), part(self.0.second()));
        CivilDateTime::new(date, time)
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::from(self.0.weekday().to_sunday_zero_offset().unsigned_abs()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |value: u32| i8::try_from(value).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let (month, day) = (part(civil.month())?, part(civil.day())?);
        let (hour, minute, second) = (part(civil.hour())?, part(civil.minute())?, part(civil.second())?);
        let local = DateTime::new(year, month, day, hour, minute, second, 0).map_err(|_| CronError::InvalidDate)?;
        Ok(Resolution::Single(Self(local)))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        Self::of(self.seconds()?.checked_add(seconds)?)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
