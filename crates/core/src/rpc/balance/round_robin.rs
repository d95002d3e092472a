//! One after the other, skipping those with weight 0.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Balancer, Candidate};

/// Picks candidates in turn.
#[derive(Debug, Default)]
pub struct RoundRobin {
    turn: AtomicUsize,
}

impl Balancer for RoundRobin {
    fn pick(&self, candidates: &[Candidate], _: &mut dyn FnMut(usize) -> usize) -> Option<usize> {
        let count = candidates.len();
        let start = self.turn.fetch_add(1, Ordering::Relaxed).checked_rem(count)?;
        let in_turn = (0..count).map(|step| (start + step) % count);
        in_turn.into_iter().find(|index| candidates[*index].weight > 0).or(Some(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_gets_a_turn_but_the_switched_off() {
        let of = |weight| Candidate { weight, in_flight: 0, latency_us: 0.0 };
        let balancer = RoundRobin::default();
        let picks: Vec<_> = (0..6).map(|_| balancer.pick(&[of(1), of(0), of(1)], &mut |_| 0).unwrap()).collect();
        assert_eq!(picks, [0, 2, 2, 0, 2, 2]);
    }
}
