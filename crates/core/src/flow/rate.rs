//! Rate by GCRA, the generic cell rate algorithm (ITU-T I.371): one number, the theoretical arrival time of the next call.
//!
//! With emission interval `t = period / limit` and tolerance `burst * t`, a call at `now` passes if `tat <= now + tolerance - t`,
//! and then `tat = max(now, tat) + t`. Admitted in any window `w`: at most `burst + w / t`. A window of two buckets, as others
//! use, lets twice the limit through at their seam.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::planted::Bug;

/// A rate, shared by all callers.
///
/// ```
/// use std::time::Duration;
/// use settee_core::flow::Rate;
///
/// let rate = Rate::new(10, Duration::from_secs(1), 1);
/// assert_eq!(rate.admit(0), Ok(()));
/// assert_eq!(rate.admit(0), Err(Duration::from_millis(100)), "when to come back");
/// ```
#[derive(Debug)]
pub struct Rate {
    interval_ns: u64,
    tolerance_ns: u64,
    /// The theoretical arrival time, in nanoseconds on the caller's clock.
    arrival_ns: AtomicU64,
}

impl Rate {
    /// At most `limit` calls each `period` in the long run, `burst` of them (at least 1) at once.
    #[must_use]
    pub fn new(limit: u32, period: Duration, burst: u32) -> Self {
        let period_ns = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let interval_ns = (period_ns / u64::from(limit.max(1))).max(1);
        let tolerance_ns = interval_ns.saturating_mul(u64::from(burst.max(1)));
        Self { interval_ns, tolerance_ns, arrival_ns: AtomicU64::new(0) }
    }

    /// Lets a call through at `now_ns`, a reading of any monotonic clock.
    ///
    /// # Errors
    /// How long to wait until one could pass.
    pub fn admit(&self, now_ns: u64) -> Result<(), Duration> {
        let mut arrival = self.arrival_ns.load(Ordering::Relaxed);
        loop {
            let next = arrival.max(now_ns).saturating_add(self.interval_ns);
            let more = if Bug::AdmitsOverRate.is_planted() { self.interval_ns } else { 0 };
            let latest = now_ns.saturating_add(self.tolerance_ns + more);
            if next > latest {
                return Err(Duration::from_nanos(next - latest));
            }
            match self.arrival_ns.compare_exchange_weak(arrival, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(moved) => arrival = moved,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let rate = Rate::new(10, Duration::from_secs(1), 3);
        let passed = (0..5).filter(|_| rate.admit(0).is_ok()).count();
        assert_eq!(passed, 3);
        assert_eq!(rate.admit(0), Err(Duration::from_millis(100)));
        assert_eq!(rate.admit(99 * MS), Err(Duration::from_millis(1)));
        assert_eq!(rate.admit(100 * MS), Ok(()));
    }

    proptest! {
        #[test]
        fn no_window_ever_lets_more_through_than_burst_and_rate(
            limit in 1_u32..50, burst in 1_u32..20, steps in prop::collection::vec(0_u64..200, 1..400),
        ) {
            let rate = Rate::new(limit, Duration::from_secs(1), burst);
            let mut now = 0;
            let mut passed = Vec::new();
            for step in steps {
                now += step * MS;
                if rate.admit(now).is_ok() {
                    passed.push(now);
                }
            }
            for (first, start) in passed.iter().enumerate() {
                for (last, end) in passed.iter().enumerate().skip(first) {
                    let admitted = u64::try_from(last - first + 1).unwrap();
                    let interval = 1_000 * MS / u64::from(limit);
                    prop_assert!(admitted <= u64::from(burst) + (end - start) / interval);
                }
            }
        }
    }
}
