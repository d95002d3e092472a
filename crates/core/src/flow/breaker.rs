//! A circuit breaker that cannot get stuck.
//!
//! ```text
//!            enough calls and too many failures
//!   Closed --------------------------------------> Open(until)
//!     ^                                               | time is up
//!     | enough probes succeeded                       v
//!     +---------------------------------------- HalfOpen(probes)
//!                        a probe failed, or was lost: Open, twice as long
//! ```
//! Every probe is a lease: one that never reports back counts as failed when its time is up, so a lost probe cannot keep the
//! breaker half-open for ever, which is the most reported fault of others.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::planted::Bug;
use crate::time::Instant;

/// Buckets of the window: failures age out a tenth of the window at a time.
const BUCKETS: usize = 10;

/// The longest that a breaker stays open.
const LONGEST_OPEN: Duration = Duration::from_secs(60);

/// How a breaker decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerOptions {
    /// The window that is judged, in milliseconds. Default 10,000.
    pub window_ms: u64,
    /// Calls in the window before anything is judged; 0 counts as 1. Default 20.
    pub min_calls: u32,
    /// The share of failures that opens it, above 0 and at most 1. Default 0.5.
    pub failure_ratio: f64,
    /// How long it stays open the first time, in milliseconds; doubled each time a probe fails, up to a minute. Default 5,000.
    pub open_ms: u64,
    /// Probes that may be under way while half-open; 0 counts as 1. Default 3.
    pub probes: u32,
    /// Probes that must succeed to close it; 0 counts as 1. Default 5.
    pub successes: u32,
    /// How long a probe may take before it counts as failed, in milliseconds, above 0. Default 3,000.
    pub probe_ms: u64,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self { window_ms: 10_000, min_calls: 20, failure_ratio: 0.5, open_ms: 5_000, probes: 3, successes: 5, probe_ms: 3_000 }
    }
}

/// A breaker: data and transitions; its user holds the lock.
///
/// ```
/// use settee_core::Instant;
/// use settee_core::flow::{Breaker, BreakerOptions, BreakerState};
///
/// let now = Instant::now();
/// let mut breaker = Breaker::new(BreakerOptions { min_calls: 1, ..BreakerOptions::default() }, now);
/// let admission = breaker.admit(now).unwrap();
/// breaker.ended(admission, false, now);
/// assert_eq!(breaker.state(), BreakerState::Open);
/// ```
#[derive(Debug)]
pub struct Breaker {
    options: BreakerOptions,
    state: State,
    window: Window,
    /// Counts the states that were entered: a report of a call of an earlier state changes nothing.
    round: u64,
    opened_in_a_row: u32,
}

#[derive(Debug)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { probes: Vec<Instant>, succeeded: u32 },
}

/// What a breaker is doing, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls pass as probes.
    HalfOpen,
}

/// The right to make one call; report how it ended with [`Breaker::ended`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    round: u64,
    lease: Option<Instant>,
}

impl Admission {
    /// The admission of a call that a closed breaker lets through in this round.
    #[must_use]
    pub fn of_closed(round: u64) -> Self {
        Self { round, lease: None }
    }

    /// The round of the breaker that it belongs to.
    #[must_use]
    pub fn round(self) -> u64 {
        self.round
    }
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(options: BreakerOptions, now: Instant) -> Self {
        let window = Window::new(Duration::from_millis(options.window_ms.max(1)), now);
        Self { options, state: State::Closed, window, round: 0, opened_in_a_row: 0 }
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// How long to wait until one could pass.
    pub fn admit(&mut self, now: Instant) -> Result<Admission, Duration> {
        if let Some(lost_at) = self.first_lost_probe(now) {
            // From then on and not from now: nobody may have called for long.
            self.open(lost_at);
        }
        if matches!(&self.state, State::Open { until } if *until <= now && !Bug::BreakerNeverProbes.is_planted()) {
            self.enter(State::HalfOpen { probes: Vec::new(), succeeded: 0 });
        }
        let round = self.round;
        match &mut self.state {
            State::Closed => Ok(Admission::of_closed(round)),
            State::Open { until } => Err(*until - now),
            State::HalfOpen { probes, .. } => {
                let lease = now + Duration::from_millis(self.options.probe_ms);
                let is_full = probes.len() >= usize::try_from(self.options.probes.max(1)).unwrap_or(1);
                if is_full && !Bug::ProbesWithoutLimit.is_planted() {
                    let first = probes.iter().min().copied().unwrap_or(lease);
                    return Err(first.saturating_duration_since(now));
                }
                probes.push(lease);
                Ok(Admission { round, lease: Some(lease) })
            }
        }
    }

    /// Notes how an admitted call ended.
    pub fn ended(&mut self, admission: Admission, success: bool, now: Instant) {
        if admission.round != self.round {
            return;
        }
        match (&mut self.state, admission.lease) {
            (State::Closed, _) => {
                self.window.count(success, now);
                if self.window.is_bad(&self.options) {
                    self.open(now);
                }
            }
            (State::HalfOpen { probes, succeeded }, Some(lease)) => {
                if let Some(position) = probes.iter().position(|probe| *probe == lease) {
                    probes.swap_remove(position);
                }
                if !success || lease <= now {
                    return self.open(now);
                }
                *succeeded += 1;
                if *succeeded >= self.options.successes.max(1) {
                    self.close();
                }
            }
            _ => {}
        }
    }

    /// The admission that every call gets while this is *calm*: closed, with no failure in its window, so that no success can open
    /// it either. Whoever holds it may let calls through without asking, until a call fails or a failure ages out, and tells how
    /// many succeeded with [`Breaker::succeeded`].
    pub fn calm(&mut self, now: Instant) -> Option<Admission> {
        self.window.age(now);
        let is_calm = matches!(self.state, State::Closed) && self.options.failure_ratio > 0.0 && self.window.has_no_failure();
        is_calm.then(|| Admission::of_closed(self.round))
    }

    /// Notes that calls of a calm breaker succeeded, about when the clock was at `at`.
    pub fn succeeded(&mut self, calls: u32, at: Instant) {
        if matches!(self.state, State::Closed) {
            self.window.count_successes(calls, at);
        }
    }

    /// When the time of a probe was up that never reported back.
    fn first_lost_probe(&self, now: Instant) -> Option<Instant> {
        match &self.state {
            State::HalfOpen { probes, .. } => probes.iter().min().copied().filter(|lease| *lease <= now),
            State::Closed | State::Open { .. } => None,
        }
    }

    fn open(&mut self, now: Instant) {
        let doubled = 1_u32.checked_shl(self.opened_in_a_row).unwrap_or(u32::MAX);
        let time = Duration::from_millis(self.options.open_ms).saturating_mul(doubled).min(LONGEST_OPEN);
        self.opened_in_a_row += 1;
        self.enter(State::Open { until: now + time });
    }

    fn close(&mut self) {
        self.opened_in_a_row = 0;
        self.window.buckets = Default::default();
        self.enter(State::Closed);
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.round += 1;
    }
}

/// Calls and failures of the last while, in buckets that age out one by one.
#[derive(Debug)]
struct Window {
    length: Duration,
    buckets: [Bucket; BUCKETS],
    start: Instant,
    newest: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    calls: u32,
    failures: u32,
}

impl Window {
    fn new(length: Duration, now: Instant) -> Self {
        Self { length, buckets: [Bucket::default(); BUCKETS], start: now, newest: 0 }
    }

    fn count(&mut self, success: bool, now: Instant) {
        self.age(now);
        let bucket = &mut self.buckets[slot(self.newest)];
        bucket.calls = bucket.calls.saturating_add(1);
        bucket.failures = bucket.failures.saturating_add(u32::from(!success));
    }

    /// Counts successes where they belong, however late they are told of; those before the window are forgotten.
    fn count_successes(&mut self, calls: u32, at: Instant) {
        let bucket = self.bucket_at(at);
        if bucket > self.newest {
            self.age(at);
        }
        if self.newest - bucket < BUCKETS as u64 {
            let bucket = &mut self.buckets[slot(bucket)];
            bucket.calls = bucket.calls.saturating_add(calls);
        }
    }

    fn has_no_failure(&self) -> bool {
        self.buckets.iter().all(|bucket| bucket.failures == 0)
    }

    fn bucket_at(&self, now: Instant) -> u64 {
        let step = (self.length / u32::try_from(BUCKETS).unwrap_or(1)).max(Duration::from_nanos(1));
        let passed = now.saturating_duration_since(self.start).as_nanos() / step.as_nanos();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }

    fn age(&mut self, now: Instant) {
        let current = self.bucket_at(now);
        let stale = current.saturating_sub(self.newest).min(BUCKETS as u64);
        for behind in 0..stale {
            self.buckets[slot(current - behind)] = Bucket::default();
        }
        self.newest = self.newest.max(current);
    }

    fn is_bad(&self, options: &BreakerOptions) -> bool {
        let calls: u32 = self.buckets.iter().map(|bucket| bucket.calls).sum();
        let failures: u32 = self.buckets.iter().map(|bucket| bucket.failures).sum();
        calls >= options.min_calls.max(1) && f64::from(failures) >= f64::from(calls) * options.failure_ratio
    }
}

fn slot(bucket: u64) -> usize {
    usize::try_from(bucket % BUCKETS as u64).unwrap_or(0)
}

#[cfg(test)]
#[path = "breaker_test.rs"]
mod tests;
