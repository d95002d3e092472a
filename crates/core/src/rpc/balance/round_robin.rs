//! One after the other, skipping those with weight 0: other weights count for nothing here.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Balancer, Candidate};

/// Picks candidates in turn.
#[derive(Debug, Default)]
pub struct RoundRobin {
    turn: AtomicUsize,
}

impl Balancer for RoundRobin {
    fn pick(&self, candidates: &[Candidate], _: &mut dyn FnMut(usize) -> usize) -> Option<usize> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let switched_on = || (0..candidates.len()).filter(|index| candidates[*index].weight > 0);
        // The turn goes round those alone: who follows one that is switched off would get its calls, too.
        match switched_on().count() {
            0 => turn.checked_rem(candidates.len()),
            count => switched_on().nth(turn % count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_gets_the_same_number_of_turns_but_the_switched_off() {
        let of = |weight| Candidate { weight, in_flight: 0, latency_us: 0.0 };
        let picks = |weights: [u32; 3]| {
            let balancer = RoundRobin::default();
            (0..6).map(|_| balancer.pick(&weights.map(of), &mut |_| 0).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(picks([1, 9, 1]), [0, 1, 2, 0, 1, 2]);
        assert_eq!(picks([1, 0, 1]), [0, 2, 0, 2, 0, 2]);
        assert_eq!(picks([0, 0, 0]), [0, 1, 2, 0, 1, 2], "better than none");
    }
}
