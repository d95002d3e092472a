//! The fence: what a participant does with a request, given the one row it keeps per (xid, branch) beside its business rows.
//!
//! The row is upserted and locked first, in the local transaction of the business rows; then this table decides.
//!
//! | request | no row | TRIED | CONFIRMED | CANCELLED, SUPPRESSED |
//! |---|---|---|---|---|
//! | try | run, keep TRIED; a refusal rolls the row back too | return what was saved | return what was saved | refuse |
//! | confirm | violation | run, set CONFIRMED | acknowledge | violation |
//! | cancel | keep SUPPRESSED, acknowledge empty | run, set CANCELLED | violation | acknowledge |
//!
//! With it requests may be repeated, reordered and delayed without an effect happening twice, or after a cancel.

use serde::{Deserialize, Serialize};

use super::register::Decision;
use crate::planted::Bug;

/// What is asked of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Phase one.
    Try,
    /// Phase two of COMMIT.
    Confirm,
    /// Phase two of ABORT.
    Cancel,
}

/// The state of a fence row. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Row {
    /// The try happened.
    Tried = 1,
    /// The confirm happened.
    Confirmed = 2,
    /// The cancel happened.
    Cancelled = 3,
    /// A cancel came first; a try must never happen.
    Suppressed = 4,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run the business operation, then set the row to this and commit both.
    RunBusiness(Row),
    /// Answer what the first try answered; no effect.
    ReturnSaved,
    /// Answer that the try came after the cancel; no effect.
    RefuseSuppressed,
    /// The request contradicts what happened: no effect, not even on the row, and an operator is told.
    Violation,
    /// Keep the row as SUPPRESSED and acknowledge; no business effect.
    AckEmpty,
    /// Acknowledge; it was done before.
    AckDone,
}

impl Request {
    /// Phase two of a decision.
    #[must_use]
    pub fn phase_two(decision: Decision) -> Self {
        match decision {
            Decision::Commit => Self::Confirm,
            Decision::Abort => Self::Cancel,
        }
    }

    /// What to do with this request when the row was `row`; `None`: this request made it.
    ///
    /// ```
    /// use settee_core::txn::fence::{Action, Request, Row};
    ///
    /// assert_eq!(Request::Try.on(Some(Row::Suppressed)), Action::RefuseSuppressed);
    /// ```
    #[must_use]
    pub fn on(self, row: Option<Row>) -> Action {
        match (self, row) {
            (Self::Try, None) => Action::RunBusiness(Row::Tried),
            (Self::Try, Some(Row::Tried | Row::Confirmed)) => Action::ReturnSaved,
            (Self::Try, Some(Row::Cancelled | Row::Suppressed)) => Action::RefuseSuppressed,
            (Self::Confirm, Some(Row::Tried)) => Action::RunBusiness(Row::Confirmed),
            (Self::Confirm, Some(Row::Confirmed)) => Action::AckDone,
            (Self::Confirm, None | Some(Row::Cancelled | Row::Suppressed)) => Action::Violation,
            (Self::Cancel, None) => Action::AckEmpty,
            (Self::Cancel, Some(Row::Tried)) => Action::RunBusiness(Row::Cancelled),
            (Self::Cancel, Some(Row::Confirmed)) => Action::Violation,
            (Self::Cancel, Some(Row::Cancelled)) if Bug::RepeatsCancels.is_planted() => Action::RunBusiness(Row::Cancelled),
            (Self::Cancel, Some(Row::Cancelled | Row::Suppressed)) => Action::AckDone,
        }
    }

    /// The state that a request's own upsert gives a row it makes. A confirm makes none that stays.
    #[must_use]
    pub fn initial_row(self) -> Row {
        match self {
            Self::Try | Self::Confirm => Row::Tried,
            Self::Cancel => Row::Suppressed,
        }
    }
}

impl Row {
    /// The stored number.
    #[must_use]
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The row of a stored number. `None`: written by a newer version, or damaged.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Tried, Self::Confirmed, Self::Cancelled, Self::Suppressed].into_iter().find(|row| row.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A participant that counts the effects it committed.
    #[derive(Clone, Default)]
    struct Participant {
        row: Option<Row>,
        tries: u32,
        confirms: u32,
        cancels: u32,
        acknowledged_cancel: bool,
    }

    /// One request, and what becomes of the local transaction around it.
    #[derive(Clone, Copy, Debug)]
    struct Step {
        request: Request,
        commits: bool,
    }

    const STEPS: [Step; 6] = [
        Step { request: Request::Try, commits: true },
        Step { request: Request::Try, commits: false },
        Step { request: Request::Confirm, commits: true },
        Step { request: Request::Confirm, commits: false },
        Step { request: Request::Cancel, commits: true },
        Step { request: Request::Cancel, commits: false },
    ];

    impl Participant {
        fn take(&mut self, step: Step) {
            let effects = (self.tries, self.confirms, self.cancels);
            match step.request.on(self.row) {
                Action::RunBusiness(row) if step.commits => self.run(row),
                Action::AckEmpty if step.commits => {
                    self.row = Some(Row::Suppressed);
                    self.acknowledged_cancel = true;
                }
                Action::AckDone => self.acknowledged_cancel |= step.request == Request::Cancel,
                _ => {}
            }
            let changed = effects != (self.tries, self.confirms, self.cancels);
            let is_this_cancel = step.request == Request::Cancel;
            assert!(!(changed && self.acknowledged_cancel && !is_this_cancel), "an effect after an acknowledged cancel");
        }

        fn run(&mut self, row: Row) {
            self.row = Some(row);
            match row {
                Row::Tried => self.tries += 1,
                Row::Confirmed => self.confirms += 1,
                Row::Cancelled => {
                    self.cancels += 1;
                    self.acknowledged_cancel = true;
                }
                Row::Suppressed => unreachable!("no business operation leads to SUPPRESSED"),
            }
        }

        fn check(&self, path: &[Step]) {
            assert!(self.tries <= 1 && self.confirms <= 1 && self.cancels <= 1, "an effect twice: {path:?}");
            assert!(self.confirms + self.cancels <= self.tries, "phase two without a try, or both: {path:?}");
        }
    }

    fn explore(participant: &Participant, path: &mut Vec<Step>, depth: usize) -> u64 {
        participant.check(path);
        if depth == 0 {
            return 0;
        }
        let mut explored = 0;
        for step in STEPS {
            let mut next = participant.clone();
            path.push(step);
            next.take(step);
            explored += 1 + explore(&next, path, depth - 1);
            path.pop();
        }
        explored
    }

    #[test]
    fn no_sequence_of_requests_has_an_effect_twice_or_after_a_cancel() {
        let explored = explore(&Participant::default(), &mut Vec::new(), 8);
        assert_eq!(explored, (1..=8).map(|length| 6_u64.pow(length)).sum::<u64>());
    }

    #[test]
    fn a_row_reads_back_as_the_number_it_was_stored_as() {
        for row in [Row::Tried, Row::Confirmed, Row::Cancelled, Row::Suppressed] {
            assert_eq!(Row::from_number(row.number()), Some(row));
        }
        assert_eq!((Row::from_number(0), Row::from_number(5)), (None, None));
    }
}
