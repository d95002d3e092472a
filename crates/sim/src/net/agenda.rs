//! What the network will do, and when. Actions of one moment keep the order in which they were planned.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::connection::{ConnectionId, Direction};

/// One thing that the network does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The caller's wish to connect reaches the other machine.
    Request(ConnectionId),
    /// The listener's agreement reaches the caller.
    Accepted(ConnectionId),
    /// The other machine's refusal reaches the caller.
    Refused(ConnectionId),
    /// The first chunks of this direction are due.
    Deliver(Direction),
    /// Whoever writes in this direction stops trying, if it has been stalled since then.
    GiveUp(Direction, Instant),
}

#[derive(Default)]
pub(super) struct Agenda {
    actions: BTreeMap<(Instant, u64), Action>,
    planned: u64,
    sooner: bool,
}

impl Agenda {
    pub(super) fn plan(&mut self, at: Instant, action: Action) {
        let is_first = self.actions.first_key_value().is_none_or(|((first, _), _)| at < *first);
        self.sooner |= is_first;
        self.planned += 1;
        self.actions.insert((at, self.planned), action);
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Option<Action> {
        let first = self.actions.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.actions.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether something was planned before everything else since this was last asked.
    pub(super) fn take_sooner(&mut self) -> bool {
        std::mem::take(&mut self.sooner)
    }
}
