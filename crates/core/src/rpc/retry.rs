//! When a call may be tried again, and a budget that keeps retries from multiplying an outage.
//!
//! The budget is a token bucket as in Finagle and tower: every first try puts in a fifth of a token, every retry takes one
//! out, and a floor of ten a second lets quiet clients retry at all.

use std::time::Duration;

use crate::error::Error;
use crate::planted::Bug;
use crate::time::Instant;

/// Tries of one call at most, the first included.
pub const MAX_ATTEMPTS: u32 = 3;

/// Retries per first try in the long run: what an outage of a callee adds to its load at most.
const RETRIES_PER_CALL: f64 = 0.2;
/// Retries a second that are always allowed.
const FLOOR_PER_SECOND: f64 = 10.0;
/// Tokens at most: ten seconds of the floor.
const CAPACITY: f64 = 100.0;

/// Whether a call that failed with `error` may be sent again: certainly not done, or declared idempotent, and of a kind that
/// another instance may answer otherwise. What a limit refused never is: repeating it would make the overload worse.
#[must_use]
pub fn may_retry(error: &Error, idempotent: bool) -> bool {
    use crate::error::ErrorKind::{Closed, Limited, NotOwner, Unavailable};
    match error.kind() {
        Limited => false,
        Unavailable | NotOwner | Closed => error.is_retryable() || idempotent || Bug::RetriesUnknown.is_planted(),
        _ => false,
    }
}

/// The retries that a client may still make.
///
/// ```
/// use settee_core::Instant;
/// use settee_core::rpc::retry::RetryBudget;
///
/// let now = Instant::now();
/// let mut budget = RetryBudget::new(now);
/// budget.deposit(now);
/// assert!(budget.withdraw(now), "ten seconds' worth of retries are there from the start");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RetryBudget {
    tokens: f64,
    refilled: Instant,
}

impl RetryBudget {
    /// A full budget.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { tokens: CAPACITY, refilled: now }
    }

    /// Notes a first try.
    pub fn deposit(&mut self, now: Instant) {
        self.refill(now);
        self.tokens = (self.tokens + RETRIES_PER_CALL).min(CAPACITY);
    }

    /// Takes one retry, if there is one.
    pub fn withdraw(&mut self, now: Instant) -> bool {
        self.refill(now);
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        allowed
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + passed * FLOOR_PER_SECOND).min(CAPACITY);
        self.refilled = self.refilled.max(now);
    }
}

/// How long to wait before try `attempt` (2 is the first retry): doubling from 10 ms up to 1 s, then a random part of it, so
/// that callers do not come back in step ("full jitter"). `random(n)` gives a number below `n`.
#[must_use]
pub fn backoff(attempt: u32, random: impl FnOnce(usize) -> usize) -> Duration {
    const FIRST_MS: u64 = 10;
    const LAST_MS: u64 = 1_000;
    let ceiling = FIRST_MS.saturating_mul(1 << attempt.saturating_sub(2).min(16)).min(LAST_MS);
    let part = random(usize::try_from(ceiling).unwrap_or(usize::MAX));
    Duration::from_millis(u64::try_from(part).unwrap_or(ceiling))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, codes};

    #[test]
    fn what_may_have_happened_is_sent_again_only_if_declared_idempotent() {
        let lost = || Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, "call x");
        assert!(may_retry(&lost(), false));
        assert!(!may_retry(&lost().unknown(), false));
        assert!(may_retry(&lost().unknown(), true));
    }

    #[test]
    fn an_outage_adds_a_fifth_to_the_load_and_the_floor_but_no_more() {
        let now = Instant::now();
        let mut budget = RetryBudget::new(now);
        let retried = (0..10_000).filter(|_| {
            budget.deposit(now);
            budget.withdraw(now)
        });
        // What was saved up, and a fifth of a token for every call but the first, which finds the bucket full.
        assert_eq!(retried.count(), 100 + 1_999);
    }
}
