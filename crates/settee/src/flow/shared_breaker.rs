//! A breaker that many callers share: while it is calm, calls neither take its lock nor read the clock twice.
//!
//! ```text
//! calm       admit: one load, ended(success): one addition to the successes of this tick
//! otherwise  lock; hand over the successes; ask the rule (`settee_core::flow::Breaker`); see whether it is calm now
//! ```
//! A breaker is calm while it is closed and nothing in its window failed. A tick is a bucket of the window; the first
//! call of each tick takes the lock, so that failures age out and successes are counted where they belong. A success counts in
//! the tick of the last admission before it: so it ages out earlier than it would, by as long as no other call was let in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::Instant;
use settee_core::flow::{Admission, Breaker, BreakerOptions, BreakerState};

use super::clock::{Clock, nanoseconds};

/// Ticks of a window: its buckets.
const TICKS: u64 = 10;

/// A breaker behind a lock, with a way around it.
#[derive(Debug)]
pub(super) struct SharedBreaker {
    /// What calls are let through with while the breaker is calm: its round and one; zero while it is not.
    calm: AtomicU64,
    /// When the tick ends, in nanoseconds of the rules' clock.
    tick_ends: AtomicU64,
    /// Successes of the tick that the rule has not been told of.
    successes: AtomicU64,
    tick: u64,
    origin: Instant,
    rule: Mutex<Breaker>,
}

impl SharedBreaker {
    /// A closed breaker, for a clock that began at `origin`.
    pub(super) fn new(options: BreakerOptions, origin: Instant) -> Self {
        let tick = nanoseconds(Duration::from_millis(options.window_ms)).div_ceil(TICKS).max(1);
        Self {
            calm: AtomicU64::new(0),
            tick_ends: AtomicU64::new(0),
            successes: AtomicU64::new(0),
            tick,
            origin,
            rule: Mutex::new(Breaker::new(options, origin)),
        }
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// How long to wait until one could pass.
    pub(super) fn admit(&self, clock: &mut Clock) -> Result<Admission, Duration> {
        if let Some(admission) = self.calm()
            && clock.nanoseconds() < self.tick_ends.load(Ordering::Relaxed)
        {
            return Ok(admission);
        }
        self.with_rule(clock, Breaker::admit)
    }

    /// Notes how an admitted call ended.
    pub(super) fn ended(&self, admission: Admission, success: bool) {
        if success && self.calm() == Some(admission) {
            self.successes.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.with_rule(&mut Clock::new(self.origin), |breaker, now| breaker.ended(admission, success, now));
    }

    /// What it is doing.
    pub(super) fn state(&self) -> BreakerState {
        self.rule.lock().state()
    }

    fn calm(&self) -> Option<Admission> {
        self.calm.load(Ordering::Relaxed).checked_sub(1).map(Admission::of_closed)
    }

    /// Asks the rule, which knows every success by then.
    fn with_rule<T>(&self, clock: &mut Clock, ask: impl FnOnce(&mut Breaker, Instant) -> T) -> T {
        let mut breaker = self.rule.lock();
        // Read under the lock: the rule's time never goes back.
        let (now, nanoseconds) = clock.read_again();
        let began = self.tick_ends.load(Ordering::Relaxed).saturating_sub(self.tick);
        let calls = u32::try_from(self.successes.swap(0, Ordering::Relaxed)).unwrap_or(u32::MAX);
        if calls > 0 {
            breaker.succeeded(calls, self.origin + Duration::from_nanos(began));
        }
        let answer = ask(&mut breaker, now);
        self.tick_ends.store((nanoseconds / self.tick + 1).saturating_mul(self.tick), Ordering::Relaxed);
        self.calm.store(breaker.calm(now).map_or(0, |admission| admission.round() + 1), Ordering::Relaxed);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and are always the same.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    #[tokio::test(start_paused = true)]
    async fn the_way_around_the_lock_decides_as_the_rule_behind_it_does() {
        let origin = Instant::now();
        let options = BreakerOptions { window_ms: 1_000, min_calls: 5, open_ms: 200, ..BreakerOptions::default() };
        let (mut rule, shared) = (Breaker::new(options.clone(), origin), SharedBreaker::new(options, origin));
        let (mut random, mut refused, mut quick) = (7, 0, 0);
        for call in 0..20_000 {
            tokio::time::advance(Duration::from_millis(next(&mut random) % 60)).await;
            let callee_is_well = call % 2_000 < 1_500;
            let success = callee_is_well || next(&mut random) % 100 < 40;
            quick += u32::from(shared.calm().is_some());
            let (admitted, now) = (shared.admit(&mut Clock::new(origin)), Instant::now());
            assert_eq!(admitted, rule.admit(now), "call {call}");
            match admitted {
                Ok(admission) => {
                    rule.ended(admission, success, now);
                    shared.ended(admission, success);
                }
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 1_000 && quick > 5_000, "{refused} were refused, {quick} found it calm");
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_that_is_told_late_does_not_count_for_ever() {
        let origin = Instant::now();
        let options = BreakerOptions { window_ms: 1_000, min_calls: 4, ..BreakerOptions::default() };
        let shared = SharedBreaker::new(options, origin);
        let call = |success| {
            let admission = shared.admit(&mut Clock::new(origin)).unwrap();
            shared.ended(admission, success);
        };
        (0..1_000).for_each(|_| call(true));
        tokio::time::advance(Duration::from_millis(1_100)).await;
        (0..4).for_each(|_| call(false));
        assert!(shared.admit(&mut Clock::new(origin)).is_err(), "a thousand old successes must not outweigh four failures");
    }
}
