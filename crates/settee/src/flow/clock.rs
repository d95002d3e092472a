//! The time of one look at the rules: read when the first of them wants to know it, and then the same for all.

use std::time::Duration;

use settee_core::Instant;

/// A clock that counts from an origin, such as the moment at which the rules were made.
#[derive(Debug)]
pub(super) struct Clock {
    origin: Instant,
    read: Option<(Instant, u64)>,
}

impl Clock {
    pub(super) fn new(origin: Instant) -> Self {
        Self { origin, read: None }
    }

    /// Nanoseconds since the origin, as they were when this was first asked.
    pub(super) fn nanoseconds(&mut self) -> u64 {
        match self.read {
            Some((_, nanoseconds)) => nanoseconds,
            None => self.read_again().1,
        }
    }

    /// The time now.
    pub(super) fn read_again(&mut self) -> (Instant, u64) {
        let now = Instant::now();
        *self.read.insert((now, nanoseconds(now.saturating_duration_since(self.origin))))
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
