//! How fast a count grows, over the last moment.

use std::collections::VecDeque;
use std::time::Duration;

/// The moment: at some hundred transfers a second long enough to count by.
const WINDOW: Duration = Duration::from_millis(500);

/// Looks at a count, not older than the window and the look before it.
#[derive(Debug, Default)]
pub(super) struct Throughput(VecDeque<(Duration, u64)>);

impl Throughput {
    /// Takes note of the count at a time; gives what it grew by each second, over a window or a little more. `None`: there has been
    /// no window yet.
    pub(super) fn look(&mut self, at: Duration, count: u64) -> Option<f64> {
        self.0.push_back((at, count));
        while self.0.get(1).is_some_and(|(later, _)| at.saturating_sub(*later) >= WINDOW) {
            self.0.pop_front();
        }
        let (began, before) = *self.0.front()?;
        let took = at.saturating_sub(began);
        (took >= WINDOW).then(|| count.saturating_sub(before) as f64 / took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_before_the_window_is_not_taken_for_speed() {
        let mut throughput = Throughput::default();
        let looks = [(0, 0), (100, 1_000), (400, 1_000), (500, 1_000), (600, 1_000), (900, 1_400), (1_100, 1_500)];
        let seen = looks.map(|(at, count)| throughput.look(Duration::from_millis(at), count).map(f64::round));
        assert_eq!(seen, [None, None, None, Some(2_000.0), Some(0.0), Some(800.0), Some(1_000.0)]);
    }
}
