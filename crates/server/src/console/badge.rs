//! States as people see them at once: a word, a sign and a colour, which never speaks alone.

use maud::{Markup, html};
use settee::job::control::RunStatus;
use settee::trace::SpanOutcome;
use settee::txn::State;

use super::text;

/// How good or bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    /// It is as it should be.
    Good,
    /// It is under way.
    Busy,
    /// It rests.
    Idle,
    /// Somebody should look at it.
    Warn,
    /// Somebody must do something.
    Bad,
}

impl Tone {
    /// The class of the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Idle => "idle",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Busy => "▸",
            Self::Idle => "○",
            Self::Warn => "▲",
            Self::Bad => "✕",
        }
    }
}

/// A word with its tone.
pub(super) fn badge(tone: Tone, word: &str) -> Markup {
    html! { span.badge.(tone.class()) { span.sign aria-hidden="true" { (tone.sign()) } (word) } }
}

/// A transaction's state.
pub(super) fn of_state(state: State) -> (Tone, &'static str) {
    match state {
        State::Absent => (Tone::Idle, "absent"),
        State::Active => (Tone::Busy, "active"),
        State::Committing => (Tone::Busy, "committing"),
        State::Committed => (Tone::Good, "committed"),
        State::Aborting => (Tone::Busy, "aborting"),
        State::Aborted => (Tone::Idle, "aborted"),
        State::CommitParked => (Tone::Bad, "commit parked"),
        State::AbortParked => (Tone::Bad, "abort parked"),
        State::UnknownParked => (Tone::Bad, "unknown, parked"),
        State::ClosedByOperator => (Tone::Warn, "closed by operator"),
    }
}

/// A run's state.
pub(super) fn of_run(status: RunStatus) -> (Tone, &'static str) {
    match status {
        RunStatus::Skipped => (Tone::Idle, "skipped"),
        RunStatus::Succeeded => (Tone::Good, "succeeded"),
        RunStatus::Failed => (Tone::Bad, "failed"),
        RunStatus::Unknown => (Tone::Warn, "unknown"),
        RunStatus::Planned => (Tone::Idle, "planned"),
        RunStatus::Dispatched => (Tone::Busy, "running"),
    }
}

/// How a span ended.
pub(super) fn of_outcome(outcome: &SpanOutcome) -> (Tone, String) {
    match outcome {
        SpanOutcome::Success => (Tone::Good, "success".to_owned()),
        SpanOutcome::Refused => (Tone::Idle, "refused".to_owned()),
        SpanOutcome::Failed(code) => (Tone::Bad, format!("failed {}", text::plain(code))),
    }
}
