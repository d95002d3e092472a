//! The rules of a process at work.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use settee_core::error::{ErrorKind, codes};
use settee_core::flow::{BreakerState, RuleSet, Side};
use settee_core::{Error, Instant};

use super::chain::{Admitted, Chain};

/// The flow rules of a process. Cheap to clone.
#[derive(Clone)]
pub struct Flow(Arc<Inner>);

struct Inner {
    chain: ArcSwap<Chain>,
    /// Where the clock of all rules begins.
    origin: Instant,
    generation: AtomicU64,
    limited: AtomicU64,
}

impl Flow {
    /// No rules: every call passes.
    #[must_use]
    pub fn new() -> Self {
        let (chain, origin) = (ArcSwap::from_pointee(Chain::default()), Instant::now());
        Self(Arc::new(Inner { chain, origin, generation: AtomicU64::new(0), limited: AtomicU64::new(0) }))
    }

    /// Puts `rules` in force, all or none of them. A rule that did not change keeps its state.
    ///
    /// # Errors
    /// `Invalid` (`FLW0004`) when one of them cannot be used; the rules before stay in force.
    pub fn replace(&self, rules: &RuleSet) -> Result<(), Error> {
        rules.check().map_err(|error| Error::new(ErrorKind::Invalid, codes::BAD_RULE, format!("use flow rules: {error}")))?;
        let before = self.0.chain.load_full();
        self.0.chain.store(Arc::new(Chain::of(rules, &before, self.0.origin)));
        self.0.generation.store(rules.generation, Ordering::Relaxed);
        Ok(())
    }

    /// Lets a call of `method` of `service` through every rule that applies to it at this end.
    ///
    /// # Errors
    /// `Limited` with when to come back; the call was not made.
    pub fn admit(&self, side: Side, service: &str, method: &str) -> Result<Admitted, Error> {
        let admitted = Admitted::by(self.0.chain.load(), self.0.origin, (side, service, method));
        if admitted.is_err() {
            self.0.limited.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// Calls that were refused.
    #[must_use]
    pub fn limited(&self) -> u64 {
        self.0.limited.load(Ordering::Relaxed)
    }

    /// Which change of the rules is in force; 0 before the first.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Relaxed)
    }

    /// What each breaker is doing, in the order of the rules.
    #[must_use]
    pub fn breakers(&self) -> Vec<(String, BreakerState)> {
        let chain = self.0.chain.load();
        chain.gates().filter_map(|gate| Some((gate.rule.name.clone(), gate.breaker()?))).collect()
    }

    /// Calls over the limit of each rule, refused or observed, in the order of the rules.
    #[must_use]
    pub fn over_limit(&self) -> Vec<(String, u64)> {
        self.0.chain.load().gates().map(|gate| (gate.rule.name.clone(), gate.over_limit())).collect()
    }
}

impl Default for Flow {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Flow(generation {})", self.0.generation.load(Ordering::Relaxed))
    }
}

/// Whether an error says that the callee is in trouble, rather than that the request was wrong.
pub(crate) fn is_trouble(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::DeadlineExceeded | ErrorKind::Internal | ErrorKind::Full)
}

#[cfg(test)]
mod tests {
    use settee_core::flow::{Limit, Mode, Rule};

    use super::*;

    fn rules(generation: u64, limits: &[(&str, Limit, Mode)]) -> RuleSet {
        let rule = |(name, limit, mode): &(&str, Limit, Mode)| Rule {
            name: (*name).into(),
            service: "pay.Payment".into(),
            method: None,
            side: Side::Server,
            limit: limit.clone(),
            mode: *mode,
        };
        RuleSet { generation, rules: limits.iter().map(rule).collect() }
    }

    #[test]
    fn a_permit_is_held_until_the_call_ends_and_the_refusal_says_when_to_come_back() {
        let flow = Flow::new();
        flow.replace(&rules(1, &[("few", Limit::Concurrency { calls: 1 }, Mode::Enforce)])).unwrap();
        let held = flow.admit(Side::Server, "pay.Payment", "transfer").unwrap();
        let error = flow.admit(Side::Server, "pay.Payment", "transfer").unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Limited, true));
        assert!(error.retry_after().is_some() && error.message().contains("\"few\""));
        held.ended(true);
        assert!(flow.admit(Side::Server, "pay.Payment", "transfer").is_ok());
        assert!(flow.admit(Side::Server, "pay.Account", "transfer").is_ok(), "another service has no rule");
        assert_eq!(flow.limited(), 1);
    }

    #[test]
    fn an_observing_rule_counts_and_lets_pass() {
        let flow = Flow::new();
        flow.replace(&rules(1, &[("slow", Limit::Rate { calls: 1, period_ms: 60_000, burst: 1 }, Mode::Observe)])).unwrap();
        assert!((0..3).all(|_| flow.admit(Side::Server, "pay.Payment", "transfer").is_ok()));
        assert_eq!(flow.over_limit(), [("slow".to_owned(), 2)]);
    }

    #[test]
    fn a_reload_keeps_the_state_of_rules_that_did_not_change_and_refuses_a_bad_set_whole() {
        let flow = Flow::new();
        let slow = ("slow", Limit::Rate { calls: 1, period_ms: 60_000, burst: 1 }, Mode::Enforce);
        flow.replace(&rules(1, std::slice::from_ref(&slow))).unwrap();
        flow.admit(Side::Server, "pay.Payment", "transfer").unwrap().ended(true);
        flow.replace(&rules(2, &[("more", Limit::Concurrency { calls: 9 }, Mode::Enforce), slow])).unwrap();
        assert!(flow.admit(Side::Server, "pay.Payment", "transfer").is_err(), "the burst is still used up");
        assert!(flow.replace(&rules(3, &[("none", Limit::Concurrency { calls: 0 }, Mode::Enforce)])).is_err());
        assert!(flow.admit(Side::Server, "pay.Payment", "transfer").is_err(), "the rules before stay in force");
    }
}
