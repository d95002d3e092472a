//! Rounds: contenders take turns, so that what slows the machine for a while slows all of them.

use anyhow::Context;

/// One measurement of one contender.
pub type Measure<'a> = Box<dyn FnMut() -> anyhow::Result<f64> + 'a>;

/// What one contender came to, round by round.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples(Vec<f64>);

/// Lets `contenders` take turns for so many rounds, after one that does not count. Who begins changes from round to round.
///
/// # Errors
/// That of the first measurement that fails.
pub fn take_turns<const N: usize>(rounds: u32, mut contenders: [Measure<'_>; N]) -> anyhow::Result<[Samples; N]> {
    let mut samples = [const { Vec::new() }; N];
    for round in 0..=usize::try_from(rounds)? {
        for turn in 0..N {
            let index = (round + turn) % N;
            let sample = contenders[index]().with_context(|| format!("round {round} of contender {index}"))?;
            if round > 0 {
                samples[index].push(sample);
            }
        }
    }
    Ok(samples.map(Samples))
}

impl Samples {
    /// Samples that were taken elsewhere, in the order of their rounds.
    #[must_use]
    pub fn of(rounds: Vec<f64>) -> Self {
        Self(rounds)
    }

    /// The middle one; of an even number the mean of the two in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match (sorted.len(), sorted.len() / 2) {
            (0, _) => f64::NAN,
            (count, middle) if count % 2 == 1 => sorted[middle],
            (_, middle) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The lowest and the highest.
    #[must_use]
    pub fn spread(&self) -> (f64, f64) {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        self.0.iter().fold((low, high), |(low, high), sample| (low.min(*sample), high.max(*sample)))
    }

    /// The ratios to `baseline`, round by round.
    #[must_use]
    pub fn over(&self, baseline: &Self) -> Self {
        Self(self.0.iter().zip(&baseline.0).map(|(value, baseline)| value / baseline).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_machine_that_slows_down_in_the_middle_does_not_change_a_ratio() {
        let ours = Samples::of(vec![80.0, 80.0, 8.0, 8.0, 8.0]);
        let floor = Samples::of(vec![100.0, 100.0, 10.0, 10.0, 10.0]);
        assert_eq!(ours.over(&floor).median(), 0.8);
        assert_eq!(ours.spread(), (8.0, 80.0));
        assert_eq!(Samples::of(vec![1.0, 4.0, 2.0, 3.0]).median(), 2.5);
    }

    #[test]
    fn everybody_begins_a_round_at_times_and_the_first_round_does_not_count() {
        let order = RefCell::new(String::new());
        let order = &order;
        let contender = |name: char| -> Measure<'_> {
            Box::new(move || {
                order.borrow_mut().push(name);
                Ok(order.borrow().len() as f64)
            })
        };
        let [first, second] = take_turns(3, [contender('a'), contender('b')]).unwrap();
        assert_eq!(*order.borrow(), "abbaabba");
        assert_eq!((first, second), (Samples::of(vec![4.0, 5.0, 8.0]), Samples::of(vec![3.0, 6.0, 7.0])));
    }
}
