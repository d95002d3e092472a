//! Which of several instances gets the next call. One file an algorithm; to add one, add its file, and a line in [`by_name`] and
//! in [`NAMES`].
//!
//! Left out yet: choosing. Channels use the default, [`PowerOfTwoChoices`], and no key of a configuration names another.

mod p2c;
mod round_robin;

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

/// The balancer called `name`.
#[must_use]
pub fn by_name(name: &str) -> Option<Box<dyn Balancer>> {
    match name {
        "p2c" => Some(Box::new(PowerOfTwoChoices)),
        "round_robin" => Some(Box::<RoundRobin>::default()),
        _ => None,
    }
}

/// The names that [`by_name`] knows, the default first.
pub const NAMES: &[&str] = &["p2c", "round_robin"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_balancer_exists_and_survives_an_empty_list() {
        for name in NAMES {
            let balancer = by_name(name).unwrap();
            assert_eq!(balancer.pick(&[], &mut |_| 0), None, "{name}");
        }
        assert!(by_name("p3c").is_none());
    }
}
