//! One direction of a connection: chunks on their way, and bytes that have arrived. No clock of its own.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use tokio::time::Instant;

/// Bytes that one direction holds, on the way and arrived; then its writer waits. Small, so that simulated programs meet it.
pub(crate) const WINDOW: usize = 64 * 1024;

/// What travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Bytes(Bytes),
    /// Nothing more will be written.
    End,
    /// The connection is broken.
    Reset,
}

#[derive(Default)]
pub(super) struct Pipe {
    transit: VecDeque<(Instant, Payload)>,
    arrived: VecDeque<Bytes>,
    held: usize,
    /// The writer has ended its half.
    pub(super) is_closing: bool,
    /// The end has arrived.
    pub(super) is_ended: bool,
    /// Since when the first chunk waits for a cut link.
    pub(super) stalled_since: Option<Instant>,
}

impl Pipe {
    pub(super) fn room(&self) -> usize {
        WINDOW.saturating_sub(self.held)
    }

    /// Sends `payload`, to arrive at `due` but not before what was sent earlier; returns when that is.
    pub(super) fn send(&mut self, due: Instant, payload: Payload) -> Instant {
        let due = self.transit.back().map_or(due, |(last, _)| due.max(*last));
        if let Payload::Bytes(bytes) = &payload {
            self.held += bytes.len();
        }
        self.transit.push_back((due, payload));
        due
    }

    /// The first chunk, if it is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Payload> {
        self.transit.pop_front_if(|(due, _)| *due <= now).map(|(_, payload)| payload)
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.transit.front().is_some_and(|(due, _)| *due <= now)
    }

    pub(super) fn arrive(&mut self, bytes: Bytes) {
        self.arrived.push_back(bytes);
    }

    /// Loses what is on the way; what has arrived is still there.
    pub(super) fn lose_transit(&mut self) {
        for (_, payload) in self.transit.drain(..) {
            if let Payload::Bytes(bytes) = payload {
                self.held -= bytes.len();
            }
        }
    }

    pub(super) fn has_arrived(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// Up to `limit` bytes of the first piece that arrived.
    pub(super) fn take(&mut self, limit: usize) -> Option<Bytes> {
        let first = self.arrived.front_mut()?;
        let taken = first.split_to(limit.min(first.len()));
        if !first.has_remaining() {
            self.arrived.pop_front();
        }
        self.held -= taken.len();
        Some(taken)
    }
}
