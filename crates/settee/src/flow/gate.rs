//! One rule at work: its state, and what it counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use settee_core::error::{Code, ErrorKind, codes};
use settee_core::flow::{Admission, BreakerState, Concurrency, Limit, Mode, Rate, Rule};
use settee_core::{Error, Instant};

use super::clock::Clock;
use super::shared_breaker::SharedBreaker;

/// A rule with its state.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) rule: Rule,
    check: Check,
    over_limit: AtomicU64,
}

#[derive(Debug)]
enum Check {
    Rate(Rate),
    Concurrency(Concurrency),
    Breaker(Box<SharedBreaker>),
}

/// What one call holds of one gate until it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// One of the places of a concurrency limit, to be given back with [`Gate::leave`].
    Place,
    /// The right to one call of a breaker, to be reported on with [`Gate::ended`].
    Call(Admission),
}

impl Gate {
    /// A gate for a clock that began at `origin`.
    pub(super) fn new(rule: Rule, origin: Instant) -> Self {
        let check = match &rule.limit {
            Limit::Rate { calls, period_ms, burst } => Check::Rate(Rate::new(*calls, Duration::from_millis(*period_ms), *burst)),
            Limit::Concurrency { calls } => Check::Concurrency(Concurrency::new(*calls)),
            Limit::Breaker(options) => Check::Breaker(Box::new(SharedBreaker::new(options.clone(), origin))),
        };
        Self { rule, check, over_limit: AtomicU64::new(0) }
    }

    /// Calls that were over the limit, refused or observed.
    pub(super) fn over_limit(&self) -> u64 {
        self.over_limit.load(Ordering::Relaxed)
    }

    /// What the breaker is doing, if it is one.
    pub(super) fn breaker(&self) -> Option<BreakerState> {
        match &self.check {
            Check::Breaker(breaker) => Some(breaker.state()),
            Check::Rate(_) | Check::Concurrency(_) => None,
        }
    }

    /// Lets a call through; what it returns is held until the call ends.
    pub(super) fn admit(&self, clock: &mut Clock) -> Result<Option<Held>, Error> {
        let refused = match self.decide(clock) {
            Ok(held) => return Ok(held),
            Err(wait) => wait,
        };
        self.over_limit.fetch_add(1, Ordering::Relaxed);
        match self.rule.mode {
            Mode::Observe => Ok(None),
            Mode::Enforce => Err(self.refusal(refused)),
        }
    }

    fn decide(&self, clock: &mut Clock) -> Result<Option<Held>, Duration> {
        match &self.check {
            Check::Rate(rate) => rate.admit(clock.nanoseconds()).map(|()| None),
            Check::Concurrency(limit) => limit.enter().then_some(Some(Held::Place)).ok_or(WHILE_FULL),
            Check::Breaker(breaker) => breaker.admit(clock).map(|admission| Some(Held::Call(admission))),
        }
    }

    /// Tells a breaker how a call ended.
    pub(super) fn ended(&self, admission: Admission, success: bool) {
        if let Check::Breaker(breaker) = &self.check {
            breaker.ended(admission, success);
        }
    }

    /// Gives a place back.
    pub(super) fn leave(&self) {
        if let Check::Concurrency(limit) = &self.check {
            limit.leave();
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
