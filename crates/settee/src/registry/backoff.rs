//! How long to wait before asking the registry again: doubled each time, and never the same for two clients.

use std::time::Duration;

use settee_core::env;

/// The first wait, at most.
const FIRST: Duration = Duration::from_millis(50);

/// The longest wait: a registry that is back has everything back a second later.
const LONGEST: Duration = Duration::from_millis(800);

/// The waits of one loop.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    /// It worked: the next wait is the first again.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// Waits.
    ///
    /// # Cancel safety
    /// A wait that is dropped counts as waited.
    pub(super) async fn pause(&mut self) {
        let wait = jittered(self.next);
        self.next = (self.next * 2).min(LONGEST);
        tokio::time::sleep(wait).await;
    }
}

/// Between half of `wait` and all of it, so that the clients of a registry that restarts do not come all at once.
pub(super) fn jittered(wait: Duration) -> Duration {
    const STEPS: usize = 1_000;
    let part = u32::try_from(env::random_below(STEPS)).unwrap_or(0);
    wait / 2 + wait / 2 * part / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_their_bound_and_start_again() {
        let mut backoff = Backoff::new();
        for _ in 0..10 {
            let before = tokio::time::Instant::now();
            backoff.pause().await;
            assert!(before.elapsed() <= LONGEST + Duration::from_millis(1));
        }
        assert_eq!(backoff.next, LONGEST);
        backoff.reset();
        assert_eq!(backoff.next, FIRST);
    }
}
