//! Waits of a loop that tries until it works: doubled each time up to a bound, and never the same for two who failed together.
//!
//! Left out: when to give up, which each loop decides for itself; and the retries of calls, which a budget bounds
//! ([`rpc::retry`](crate::rpc::retry)).

use std::time::Duration;

use crate::env;

/// The waits of one loop.
///
/// ```
/// use std::time::Duration;
/// use settee_core::backoff::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(80));
/// assert!((Duration::from_millis(25)..=Duration::from_millis(50)).contains(&backoff.wait()));
/// assert_eq!(backoff.at_most(), Duration::from_millis(80));
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits of up to `first`, then up to twice as much each time, and never more than `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first.min(longest) }
    }

    /// It worked: the next wait is the first again.
    pub fn reset(&mut self) {
        self.next = self.first.min(self.longest);
    }

    /// The most that the next wait can be.
    #[must_use]
    pub fn at_most(&self) -> Duration {
        self.next
    }

    /// How long to wait now; it counts as waited.
    pub fn wait(&mut self) -> Duration {
        let wait = jittered(self.next);
        self.next = (self.next * 2).min(self.longest);
        wait
    }

    /// Waits.
    ///
    /// # Cancel safety
    /// A wait that is dropped counts as waited.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.wait()).await;
    }
}

/// Between half of `wait` and all of it, so that those who failed together do not come back together.
#[must_use]
pub fn jittered(wait: Duration) -> Duration {
    wait - env::random_duration(wait / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_millis(800);

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_their_bound_and_start_again() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        for _ in 0..10 {
            let (before, at_most) = (tokio::time::Instant::now(), backoff.at_most());
            backoff.pause().await;
            assert!(before.elapsed() >= at_most / 2 && before.elapsed() <= at_most + Duration::from_millis(1));
        }
        assert_eq!(backoff.at_most(), LONGEST);
        backoff.reset();
        assert_eq!(backoff.at_most(), FIRST);
    }

    #[test]
    fn those_who_failed_together_do_not_come_back_together() {
        let waits: std::collections::BTreeSet<_> = (0..100).map(|_| jittered(LONGEST)).collect();
        assert!(waits.len() > 90 && waits.iter().all(|wait| (LONGEST / 2..=LONGEST).contains(wait)), "{waits:?}");
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
    }
}
