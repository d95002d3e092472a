//! Due times that nobody planned in time, and runs that fall due while an earlier one is still open.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::schedule::Timetable;
use crate::time::Timestamp;

/// How late a due time may be planned and still count as met: a restart or a failover is not a misfire.
pub const TOLERANCE: Duration = Duration::from_secs(5);

/// Due times that [`Misfire::All`] makes up for at most, so that a long downtime does not come back as a flood.
pub const MAX_MADE_UP: u32 = 100;

/// Due times that are planned at once; the rest follows at once, in a write of its own.
const MAX_AT_ONCE: usize = 16;

/// What happens to due times that were missed because nobody planned them: the scheduler or every worker was down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// They are left out; the last of them is recorded as skipped.
    Skip,
    /// One run makes up for all of them, under the due time of the last.
    #[default]
    Once,
    /// Each gets its run, the last `limit` of them and never more than [`MAX_MADE_UP`]. It wants [`Overlap::Allow`], else most of
    /// them meet an open run.
    All {
        /// How many at most; 0 counts as 1.
        limit: u32,
    },
}

/// What happens to a run that falls due while an earlier run of its job is still open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is left out and recorded as skipped.
    Skip,
    /// One run waits for its turn; a further one is left out.
    #[default]
    Queue,
    /// It runs beside it.
    Allow,
}

/// What to plan now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Due times that get a run, in order.
    pub runs: Vec<Timestamp>,
    /// The last of the due times that are left out.
    pub skipped: Option<Timestamp>,
    /// Everything up to here is planned.
    pub cursor: Timestamp,
}

impl Misfire {
    /// What to plan at `now` of the due times after `cursor` and up to `horizon` ahead.
    #[must_use]
    pub fn plan(self, timetable: &Timetable, cursor: Timestamp, now: Timestamp, horizon: Duration) -> Plan {
        let mut plan = self.make_up(timetable, cursor, now.before(TOLERANCE));
        let until = now.after(horizon);
        while plan.runs.len() < MAX_AT_ONCE {
            let Some(due) = timetable.next_after(plan.cursor).filter(|due| *due <= until) else { break };
            plan.runs.push(due);
            plan.cursor = due;
        }
        plan
    }

    fn make_up(self, timetable: &Timetable, cursor: Timestamp, until: Timestamp) -> Plan {
        let Some(last) = timetable.latest_between(cursor, until) else { return Plan { cursor, ..Plan::default() } };
        match self {
            Self::Skip => Plan { runs: Vec::new(), skipped: Some(last), cursor: last },
            Self::Once => Plan { runs: vec![last], skipped: None, cursor: last },
            Self::All { limit } => Plan { runs: last_of(timetable, cursor, last, limit), skipped: None, cursor: last },
        }
    }
}

fn last_of(timetable: &Timetable, after: Timestamp, last: Timestamp, limit: u32) -> Vec<Timestamp> {
    let mut runs = vec![last];
    for _ in 1..limit.min(MAX_MADE_UP) {
        let before = runs[runs.len() - 1].before(Duration::from_micros(1));
        let Some(due) = timetable.latest_between(after, before) else { break };
        runs.push(due);
    }
    runs.reverse();
    runs
}

/// What a run that falls due does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It starts.
    Fire,
    /// It waits until no earlier run is open.
    Wait,
    /// It is left out.
    Skip,
}

impl Overlap {
    /// What a run does that falls due while `open` earlier ones have started and not ended, and `waiting` earlier ones wait.
    #[must_use]
    pub fn turn(self, open: usize, waiting: usize) -> Turn {
        match (self, open + waiting) {
            (Self::Allow, _) | (_, 0) => Turn::Fire,
            (Self::Queue, _) if waiting == 0 => Turn::Wait,
            (Self::Queue | Self::Skip, _) => Turn::Skip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Schedule;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn every_ten_seconds() -> Timetable {
        Schedule::Every { period: Duration::from_secs(10), first: Timestamp::EPOCH }.timetable().unwrap()
    }

    #[test]
    fn missed_due_times_are_made_up_as_the_policy_says_and_never_planned_twice() {
        let second = Duration::from_secs(1);
        let table: [(Misfire, &[i64], Option<i64>, i64); 5] = [
            (Misfire::Skip, &[100], Some(90), 100),
            (Misfire::Once, &[90, 100], None, 100),
            (Misfire::All { limit: 3 }, &[70, 80, 90, 100], None, 100),
            (Misfire::All { limit: 0 }, &[90, 100], None, 100),
            (Misfire::All { limit: u32::MAX }, &[10, 20, 30, 40, 50, 60, 70, 80, 90, 100], None, 100),
        ];
        for (misfire, runs, skipped, cursor) in table {
            let plan = misfire.plan(&every_ten_seconds(), at(0), at(99), second);
            let expected = Plan { runs: runs.iter().copied().map(at).collect(), skipped: skipped.map(at), cursor: at(cursor) };
            assert_eq!(plan, expected, "{misfire:?}");
            assert_eq!(misfire.plan(&every_ten_seconds(), plan.cursor, at(99), second).runs, [], "{misfire:?}");
        }
    }

    #[test]
    fn a_short_restart_is_not_a_misfire() {
        let plan = Misfire::Skip.plan(&every_ten_seconds(), at(0), at(14), Duration::from_secs(1));
        assert_eq!((plan.runs, plan.skipped), (vec![at(10)], None));
    }

    #[test]
    fn a_clock_that_goes_back_plans_nothing_again() {
        let plan = Misfire::Once.plan(&every_ten_seconds(), at(100), at(42), Duration::from_secs(1));
        assert_eq!(plan, Plan { runs: vec![], skipped: None, cursor: at(100) });
    }

    #[test]
    fn an_open_run_lets_the_next_one_do_what_its_job_says() {
        let table = [
            (Overlap::Skip, 0, 0, Turn::Fire),
            (Overlap::Skip, 1, 0, Turn::Skip),
            (Overlap::Queue, 0, 0, Turn::Fire),
            (Overlap::Queue, 1, 0, Turn::Wait),
            (Overlap::Queue, 1, 1, Turn::Skip),
            (Overlap::Allow, 7, 3, Turn::Fire),
        ];
        for (overlap, open, waiting, turn) in table {
            assert_eq!(overlap.turn(open, waiting), turn, "{overlap:?} {open} {waiting}");
        }
    }
}
