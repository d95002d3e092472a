//! The life of a transaction and of its branches on one axis of time.
//!
//! Only what the coordinator recorded is drawn: begin, decision, and when each branch was done or parked. A try lies somewhere
//! between begin and decision, and is drawn as that; its trace knows more.

use std::time::Duration;

use settee::Timestamp;
use settee::txn::{BranchProgress, BranchView, Decision, TransactionView};

use super::tried;
use crate::console::chart::Stretch;
use crate::console::figure;

/// What all lines are measured by.
pub(super) struct Timeline {
    begun: Timestamp,
    /// From the begin to the decision; `None` before it.
    pub(super) decided: Option<Duration>,
    /// From the begin to the last moment of which something is known.
    pub(super) whole: Duration,
    decision: Option<Decision>,
}

impl Timeline {
    /// The axis of `view`. Where no begin is known, it begins with the decision.
    pub(super) fn of(view: &TransactionView, now: Timestamp) -> Self {
        let decided_at = view.decision.as_ref().map(|decision| decision.at);
        let begun = view.summary.begun_at.or(decided_at).unwrap_or(now);
        Self {
            begun,
            decided: decided_at.map(|at| at.since(begun)),
            whole: last_moment(view, now).since(begun).max(Duration::from_micros(1)),
            decision: view.decision.as_ref().map(|decision| decision.decided.decision),
        }
    }

    /// Trying, then phase two.
    pub(super) fn transaction(&self, view: &TransactionView) -> Vec<Stretch> {
        let state = view.summary.state;
        let class = match self.decision {
            _ if state.is_parked() => "bad",
            _ if !state.is_terminal() => "busy",
            Some(Decision::Abort) => "idle",
            _ => "good",
        };
        self.line("tries".to_owned(), self.whole, class, "phase two")
    }

    /// The try, then its confirm or cancel.
    pub(super) fn branch(&self, branch: &BranchView) -> Vec<Stretch> {
        let (done, phase) = match self.decision {
            Some(Decision::Commit) => ("good", "confirm"),
            _ => ("idle", "cancel"),
        };
        let (to, class) = match branch.progress {
            BranchProgress::Done { at, .. } => (at.since(self.begun), done),
            BranchProgress::Open { .. } => (self.whole, "busy"),
            BranchProgress::Parked { .. } => (self.whole, "bad"),
        };
        self.line(format!("its try: {}", tried(branch.tried).1), to, class, phase)
    }

    fn line(&self, first: String, to: Duration, class: &str, second: &str) -> Vec<Stretch> {
        let decided = self.decided.unwrap_or(self.whole);
        let mut stretches = vec![Stretch { from: Duration::ZERO, to: decided, class: "tried".to_owned(), title: first }];
        if self.decided.is_some() {
            let title = format!("{second}, {}", figure::duration(to.saturating_sub(decided)));
            stretches.push(Stretch { from: decided, to, class: class.to_owned(), title });
        }
        stretches
    }
}

/// The last moment of which something is known; now, while anything is under way.
fn last_moment(view: &TransactionView, now: Timestamp) -> Timestamp {
    let state = view.summary.state;
    let ended = view.branches.iter().filter_map(|branch| match branch.progress {
        BranchProgress::Done { at, .. } | BranchProgress::Parked { at, .. } => Some(at),
        BranchProgress::Open { .. } => None,
    });
    let known = ended.chain(view.summary.ended_at).chain(view.decision.as_ref().map(|decision| decision.at)).max();
    let is_still = state.is_terminal() || state.is_parked();
    known.filter(|_| is_still).unwrap_or(now)
}
