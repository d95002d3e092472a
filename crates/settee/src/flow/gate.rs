//! One rule at work: its state, and what it counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::{Code, ErrorKind, codes};
use settee_core::flow::{Admission, Breaker, Concurrency, Limit, Mode, Permit, Rate, Rule};
use settee_core::{Error, Instant};

/// A rule with its state.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) rule: Rule,
    check: Check,
    started: Instant,
    over_limit: AtomicU64,
}

#[derive(Debug)]
enum Check {
    Rate(Rate),
    Concurrency(Concurrency),
    Breaker(Mutex<Breaker>),
}

/// What one call holds of one gate until it ends.
#[derive(Debug)]
pub(super) enum Held {
    Permit(#[expect(dead_code, reason = "dropping it gives the permit back")] Permit),
    Breaker(Arc<Gate>, Admission),
}

impl Gate {
    pub(super) fn new(rule: Rule, now: Instant) -> Self {
        let check = match &rule.limit {
            Limit::Rate { calls, period_ms, burst } => Check::Rate(Rate::new(*calls, Duration::from_millis(*period_ms), *burst)),
            Limit::Concurrency { calls } => Check::Concurrency(Concurrency::new(*calls)),
            Limit::Breaker(options) => Check::Breaker(Mutex::new(Breaker::new(options.clone(), now))),
        };
        Self { rule, check, started: now, over_limit: AtomicU64::new(0) }
    }

    /// Calls that were over the limit, refused or observed.
    pub(super) fn over_limit(&self) -> u64 {
        self.over_limit.load(Ordering::Relaxed)
    }

    /// Lets a call through; what it returns is held until the call ends.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Option<Held>, Error> {
        let refused = match self.decide() {
            Ok(held) => return Ok(held),
            Err(wait) => wait,
        };
        self.over_limit.fetch_add(1, Ordering::Relaxed);
        match self.rule.mode {
            Mode::Observe => Ok(None),
            Mode::Enforce => Err(self.refusal(refused)),
        }
    }

    fn decide(self: &Arc<Self>) -> Result<Option<Held>, Duration> {
        match &self.check {
            Check::Rate(rate) => {
                let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
                rate.admit(now).map(|()| None)
            }
            Check::Concurrency(limit) => limit.try_acquire().map(|permit| Some(Held::Permit(permit))).ok_or(WHILE_FULL),
            Check::Breaker(breaker) => {
                let admission = breaker.lock().admit(Instant::now())?;
                Ok(Some(Held::Breaker(self.clone(), admission)))
            }
        }
    }

    pub(super) fn ended(&self, admission: Admission, success: bool) {
        if let Check::Breaker(breaker) = &self.check {
            breaker.lock().ended(admission, success, Instant::now());
        }
    }

    fn refusal(&self, wait: Duration) -> Error {
        let (code, why): (Code, _) = match &self.check {
            Check::Rate(_) => (codes::RATE_LIMITED, "the rate is used up"),
            Check::Concurrency(_) => (codes::CONCURRENCY_LIMITED, "too many calls are under way"),
            Check::Breaker(_) => (codes::BREAKER_OPEN, "the breaker is open"),
        };
        let message = format!("call {}: flow rule {:?}: {why}", self.rule.service, self.rule.name);
        Error::new(ErrorKind::Limited, code, message).with_retry_after(wait)
    }
}

/// When to come back while too many calls are under way: nobody knows when one ends.
const WHILE_FULL: Duration = Duration::from_millis(5);
