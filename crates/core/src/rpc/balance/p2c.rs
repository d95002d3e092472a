//! The power of two random choices (Mitzenmacher 2001) over load = smoothed latency x (calls in flight + 1) / weight, the
//! peak-EWMA form that Finagle made known. Two looks are enough to keep the longest queue short, and a slow instance is left
//! alone without anybody having to be sure that it is slow.

use super::{Balancer, Candidate};

/// Picks the less loaded of two random candidates.
#[derive(Clone, Copy, Debug, Default)]
pub struct PowerOfTwoChoices;

/// What an instance is assumed to take before its first answer: low, so that it is tried.
const UNKNOWN_LATENCY_US: f64 = 1.0;

impl Balancer for PowerOfTwoChoices {
    fn pick(&self, candidates: &[Candidate], random: &mut dyn FnMut(usize) -> usize) -> Option<usize> {
        let switched_on: Vec<_> = (0..candidates.len()).filter(|index| candidates[*index].weight > 0).collect();
        match switched_on.len() {
            0 => (!candidates.is_empty()).then(|| random(candidates.len())),
            1 => Some(switched_on[0]),
            count => {
                let first = random(count);
                let second = (first + 1 + random(count - 1)) % count;
                Some(lighter(candidates, switched_on[first], switched_on[second]))
            }
        }
    }
}

fn lighter(candidates: &[Candidate], first: usize, second: usize) -> usize {
    if load(&candidates[second]) < load(&candidates[first]) { second } else { first }
}

fn load(candidate: &Candidate) -> f64 {
    if candidate.weight == 0 {
        return f64::INFINITY;
    }
    candidate.latency_us.max(UNKNOWN_LATENCY_US) * f64::from(candidate.in_flight + 1) / f64::from(candidate.weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(weight: u32, in_flight: u32, latency_us: f64) -> Candidate {
        Candidate { weight, in_flight, latency_us }
    }

    #[test]
    fn the_slow_the_busy_and_the_switched_off_lose() {
        let best = candidate(100, 1, 200.0);
        for worse in [candidate(100, 1, 900.0), candidate(100, 9, 200.0), candidate(0, 0, 1.0)] {
            for first in [0, 1] {
                let pick = PowerOfTwoChoices.pick(&[best, worse], &mut |bound| if bound == 2 { first } else { 0 });
                assert_eq!(pick, Some(0), "{worse:?}");
            }
        }
    }

    #[test]
    fn two_that_are_switched_off_never_hide_one_that_is_on() {
        let candidates = [candidate(0, 0, 1.0), candidate(0, 0, 1.0), candidate(100, 9, 900.0)];
        for random in 0..3 {
            assert_eq!(PowerOfTwoChoices.pick(&candidates, &mut |bound| random % bound), Some(2));
            assert_eq!(
                PowerOfTwoChoices.pick(&candidates[..2], &mut |bound| random % bound),
                Some(random % 2),
                "better than none"
            );
        }
    }
}
