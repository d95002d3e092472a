//! Rules as data: what they apply to, what they limit, and whether they enforce or only observe.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::breaker::BreakerOptions;

/// Rules of one application at most.
const MAX_RULES: usize = 1_024;

/// The rules of one application. The whole set is valid, or none of it is used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleSet {
    /// Counts the changes.
    pub generation: u64,
    /// The rules, in the order in which they are asked.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique in the set.
    pub name: String,
    /// The service it applies to, such as `pay.Payment`.
    pub service: String,
    /// The method; `None`: every method of the service.
    #[serde(default)]
    pub method: Option<String>,
    /// Which end of the calls it applies to. Default: the serving one.
    #[serde(default)]
    pub side: Side,
    /// What it limits.
    pub limit: Limit,
    /// Whether it refuses calls. Default: it does.
    #[serde(default)]
    pub mode: Mode,
}

/// An end of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Calls that this application serves.
    #[default]
    Server,
    /// Calls that this application makes.
    Client,
}

/// What a rule limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Limit {
    /// Calls in a period.
    Rate {
        /// Calls each period in the long run.
        calls: u32,
        /// The period in milliseconds.
        period_ms: u64,
        /// Calls that may come at once.
        burst: u32,
    },
    /// Calls under way at once.
    Concurrency {
        /// How many.
        calls: u32,
    },
    /// No calls while too many fail.
    Breaker(BreakerOptions),
}

/// Whether a rule refuses calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Calls over the limit are refused.
    #[default]
    Enforce,
    /// Calls over the limit are counted and pass.
    Observe,
}

/// Why a set of rules is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// More than the limit.
    #[error("{0} rules, at most {MAX_RULES} are taken")]
    TooMany(usize),
    /// Two rules have one name.
    #[error("two rules are called {0:?}")]
    Twice(String),
    /// A number makes no sense.
    #[error("rule {0:?}: {1}")]
    Number(String, &'static str),
}

impl RuleSet {
    /// Checks every rule.
    ///
    /// # Errors
    /// The first rule that cannot be used.
    pub fn check(&self) -> Result<(), BadRule> {
        if self.rules.len() > MAX_RULES {
            return Err(BadRule::TooMany(self.rules.len()));
        }
        let mut names = std::collections::BTreeSet::new();
        for rule in &self.rules {
            if !names.insert(&rule.name) {
                return Err(BadRule::Twice(rule.name.clone()));
            }
            rule.limit.check().map_err(|why| BadRule::Number(rule.name.clone(), why))?;
        }
        Ok(())
    }
}

impl Rule {
    /// Whether it applies to `method` of `service` at this end.
    #[must_use]
    pub fn applies_to(&self, side: Side, service: &str, method: &str) -> bool {
        self.side == side && self.service == service && self.method.as_deref().is_none_or(|only| only == method)
    }
}

impl Limit {
    fn check(&self) -> Result<(), &'static str> {
        const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
        match self {
            Self::Rate { calls: 0, .. } => Err("a rate of 0 calls would never let one through"),
            Self::Rate { burst: 0, .. } => Err("a burst of 0 calls would never let one through"),
            Self::Rate { period_ms: 0, .. } => Err("a period of 0 ms is no period"),
            Self::Rate { period_ms, .. } if Duration::from_millis(*period_ms) > LONGEST => Err("a period is at most a day"),
            Self::Concurrency { calls: 0 } => Err("a concurrency of 0 calls would never let one through"),
            Self::Breaker(options) => options.check(),
            _ => Ok(()),
        }
    }
}

impl BreakerOptions {
    fn check(&self) -> Result<(), &'static str> {
        if !(self.failure_ratio > 0.0 && self.failure_ratio <= 1.0) {
            return Err("a failure ratio is above 0, where successes alone would open the breaker, and at most 1");
        }
        if self.open_ms == 0 || self.window_ms == 0 {
            return Err("a window and an open time are above 0 ms");
        }
        if self.probe_ms == 0 {
            return Err("a probe time of 0 ms would fail every probe, and the breaker would never close");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, limit: Limit) -> Rule {
        Rule { name: name.into(), service: "pay.Payment".into(), method: None, side: Side::Server, limit, mode: Mode::Enforce }
    }

    #[test]
    fn a_set_with_one_bad_rule_is_refused_whole_and_names_it() {
        let good = rule("a", Limit::Concurrency { calls: 8 });
        let twice = RuleSet { generation: 1, rules: vec![good.clone(), good.clone()] };
        assert_eq!(twice.check(), Err(BadRule::Twice("a".into())));
        let zero = RuleSet { generation: 1, rules: vec![good, rule("b", Limit::Rate { calls: 0, period_ms: 1, burst: 1 })] };
        assert!(zero.check().unwrap_err().to_string().starts_with("rule \"b\""));
    }

    #[test]
    fn a_breaker_that_would_never_close_or_open_by_success_alone_is_refused() {
        let with = |options| RuleSet { generation: 1, rules: vec![rule("a", Limit::Breaker(options))] };
        let usual = BreakerOptions::default;
        for options in [
            BreakerOptions { probe_ms: 0, ..usual() },
            BreakerOptions { open_ms: 0, ..usual() },
            BreakerOptions { window_ms: 0, ..usual() },
            BreakerOptions { failure_ratio: 0.0, ..usual() },
            BreakerOptions { failure_ratio: 1.1, ..usual() },
            BreakerOptions { failure_ratio: f64::NAN, ..usual() },
        ] {
            assert!(with(options.clone()).check().is_err(), "{options:?}");
        }
        assert_eq!(with(usual()).check(), Ok(()));
        assert_eq!(with(BreakerOptions { failure_ratio: 1.0, ..usual() }).check(), Ok(()));
    }

    #[test]
    fn a_rule_without_a_method_covers_the_service_and_no_other() {
        let rule = rule("a", Limit::Concurrency { calls: 8 });
        assert!(rule.applies_to(Side::Server, "pay.Payment", "transfer"));
        assert!(!rule.applies_to(Side::Server, "pay.Account", "transfer"));
        assert!(!rule.applies_to(Side::Client, "pay.Payment", "transfer"));
    }
}
