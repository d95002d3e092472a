//! Which of several instances gets the next call. One file an algorithm; to add one, add its file, name it here, and give it a
//! line in [`BALANCERS`].

mod p2c;
mod round_robin;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use p2c::PowerOfTwoChoices;
pub use round_robin::RoundRobin;

/// What a balancer may look at: one entry an instance, in a stable order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its published weight relative to others; 0 is never picked while another can be.
    pub weight: u32,
    /// Calls that are under way to it from here.
    pub in_flight: u32,
    /// Smoothed latency of its answers in microseconds; 0 while unknown.
    pub latency_us: f64,
}

/// Picks instances. One value serves one channel, so it may keep state.
pub trait Balancer: Send + Sync + 'static {
    /// The index of the chosen candidate; `None` when there is none. `random(n)` gives a number below `n`.
    fn pick(&self, candidates: &[Candidate], random: &mut dyn FnMut(usize) -> usize) -> Option<usize>;
}

/// A kind of balancer, by the name that configurations choose it with. Default: the first of [`BALANCERS`].
///
/// ```
/// use settee_core::rpc::balance::BalancerKind;
///
/// let kind: BalancerKind = "round_robin".parse().unwrap();
/// assert_eq!(kind.to_string(), "round_robin");
/// assert_eq!(BalancerKind::default().to_string(), "p2c");
/// ```
#[derive(Clone, Copy)]
pub struct BalancerKind {
    name: &'static str,
    make: fn() -> Box<dyn Balancer>,
}

/// The kinds that there are, the default first.
pub const BALANCERS: &[BalancerKind] = &[
    BalancerKind { name: "p2c", make: || Box::new(PowerOfTwoChoices) },
    BalancerKind { name: "round_robin", make: || Box::<RoundRobin>::default() },
];

impl BalancerKind {
    /// A balancer for one channel.
    #[must_use]
    pub fn make(self) -> Box<dyn Balancer> {
        (self.make)()
    }
}

impl Default for BalancerKind {
    fn default() -> Self {
        BALANCERS[0]
    }
}

/// No balancer has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no balancer is called {0:?}; there are {names}", names = names())]
pub struct UnknownBalancer(String);

fn names() -> String {
    BALANCERS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

impl FromStr for BalancerKind {
    type Err = UnknownBalancer;

    fn from_str(name: &str) -> Result<Self, UnknownBalancer> {
        BALANCERS.iter().find(|kind| kind.name == name).copied().ok_or_else(|| UnknownBalancer(name.to_owned()))
    }
}

impl fmt::Display for BalancerKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

impl fmt::Debug for BalancerKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "BalancerKind({self})")
    }
}

impl Serialize for BalancerKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for BalancerKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_balancer_is_found_by_its_name_and_survives_an_empty_list() {
        for kind in BALANCERS {
            let found: BalancerKind = kind.name.parse().unwrap();
            assert_eq!((found.name, found.make().pick(&[], &mut |_| 0)), (kind.name, None));
        }
    }

    #[test]
    fn a_name_that_no_balancer_has_is_answered_with_those_that_there_are() {
        let error = "p3c".parse::<BalancerKind>().unwrap_err();
        assert_eq!(error.to_string(), "no balancer is called \"p3c\"; there are p2c, round_robin");
    }
}
