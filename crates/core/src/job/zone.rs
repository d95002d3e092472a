//! From local time to moments, with both policies of daylight saving time.
//!
//! A zone is a row of segments of one offset each. Within a segment local time and moments run in step; at its borders:
//!
//! ```text
//!  put forward, 02:00 -> 03:00                     put back, 03:00 -> 02:00
//!  segment A  ...01:59 |                           segment A  ...02:00...02:59 |
//!  segment B           | 03:00...                  segment B                   | 02:00...02:59 03:00...
//!             02:00 to 02:59 is the gap                        both are the fold
//! ```

use jiff::tz::{TimeZone, TimeZoneTransition};

use super::cron::Expression;
use super::schedule::{FoldPolicy, GapPolicy, bad};
use crate::error::Error;
use crate::time::Timestamp;

/// Segments that one search looks at: with two a year and jumps over empty ones, more than any expression needs that ever matches.
const MAX_SEGMENTS: usize = 1_000;

/// More than any zone's offset from UTC.
const MAX_OFFSET: i64 = 26 * 3_600;

/// The zone of this IANA name.
pub(super) fn named(name: &str) -> Result<TimeZone, Error> {
    TimeZone::get(name)
        .map_err(|_| bad(&format!("zone {name:?}: no such time zone is known, expected is a name such as \"Europe/Zurich\"")))
}

/// An expression in a zone.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    pub(super) expression: Expression,
    pub(super) zone: TimeZone,
    pub(super) gap: GapPolicy,
    pub(super) fold: FoldPolicy,
}

/// A span with one offset. All numbers are seconds; `begin` is inclusive, `end` exclusive, both are moments.
struct Segment {
    begin: Option<i64>,
    end: Option<i64>,
    offset: i64,
    offset_before: i64,
    offset_after: i64,
}

impl Calendar {
    pub(super) fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let mut from = moment.micros().div_euclid(1_000_000).checked_add(1)?;
        for _ in 0..MAX_SEGMENTS {
            from = from.max(self.expression.next_from(from.checked_sub(MAX_OFFSET)?)? - MAX_OFFSET);
            let segment = self.segment(from)?;
            let due = [self.regular(&segment, from), self.in_gap(&segment, from)].into_iter().flatten().min();
            match due {
                Some(due) => return due.checked_mul(1_000_000).map(Timestamp::from_micros),
                None => from = segment.end?,
            }
        }
        None
    }

    fn segment(&self, at: i64) -> Option<Segment> {
        let moment = jiff::Timestamp::from_second(at).ok()?;
        let just_after = jiff::Timestamp::from_second(at + 1).ok()?;
        let begin = self.zone.preceding(just_after).next().map(|transition| transition.timestamp().as_second());
        let end = self.zone.following(moment).next();
        let offset = self.offset(at)?;
        Some(Segment {
            begin,
            end: end.as_ref().map(|transition| transition.timestamp().as_second()),
            offset,
            offset_before: begin.map_or(Some(offset), |begin| self.offset(begin - 1))?,
            offset_after: end.as_ref().map_or(offset, offset_of),
        })
    }

    fn offset(&self, at: i64) -> Option<i64> {
        let moment = jiff::Timestamp::from_second(at).ok()?;
        Some(self.zone.to_offset(moment).seconds().into())
    }

    /// The first match at or after `from` among the local times of the segment, less the half of a fold that does not count.
    fn regular(&self, segment: &Segment, from: i64) -> Option<i64> {
        let mut local = from + segment.offset;
        if let (FoldPolicy::First, Some(begin)) = (self.fold, segment.begin) {
            local = local.max(begin + segment.offset_before.max(segment.offset));
        }
        let counts_until = match self.fold {
            FoldPolicy::Last => segment.offset_after.min(segment.offset),
            FoldPolicy::First | FoldPolicy::Both => segment.offset,
        };
        let found = self.expression.next_from(local)?;
        let inside = segment.end.is_none_or(|end| found < end + counts_until);
        inside.then_some(found - segment.offset)
    }

    /// The first match at or after `from` among the local times that are jumped over where the segment begins.
    fn in_gap(&self, segment: &Segment, from: i64) -> Option<i64> {
        let begin = segment.begin?;
        let (first, end) = (begin + segment.offset_before, begin + segment.offset);
        match self.gap {
            GapPolicy::Skip => None,
            GapPolicy::RunAtTransition if from > begin => None,
            GapPolicy::RunAtTransition => self.expression.next_from(first).filter(|found| *found < end).map(|_| begin),
            GapPolicy::Shift => {
                let found = self.expression.next_from(first.max(from + segment.offset_before))?;
                (found < end).then_some(found - segment.offset_before)
            }
        }
    }
}

fn offset_of(transition: &TimeZoneTransition<'_>) -> i64 {
    transition.offset().seconds().into()
}
