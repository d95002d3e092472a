//! What a server holds of the things that can grow, each beside its bound: for pages and alarms, and for the simulator, which
//! looks at them every second. The bounds and their reasons are in `docs/operations/limits.md`.

/// How much of something there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// What is counted, such as `phase two calls to one service`.
    pub name: &'static str,
    /// How much there is. Of several of a kind (lanes, consumers): of the one that is fullest.
    pub value: usize,
    /// How much there may be.
    pub limit: usize,
}

impl Gauge {
    /// The fullest of several, each with a value and a limit; empty and without a limit when there is none.
    pub(crate) fn fullest(name: &'static str, all: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let all = all.into_iter().map(|(value, limit)| Self { name, value, limit });
        all.max_by(|one, other| one.share().total_cmp(&other.share())).unwrap_or(Self { name, value: 0, limit: usize::MAX })
    }

    /// Whether there is more than there may be.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.value > self.limit
    }

    fn share(&self) -> f64 {
        self.value as f64 / self.limit.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_is_the_one_nearest_to_its_own_bound() {
        let fullest = Gauge::fullest("credit", [(900, 1_000), (3, 2), (0, 0)]);
        assert_eq!((fullest.value, fullest.limit, fullest.is_over()), (3, 2, true));
        assert!(!Gauge::fullest("credit", []).is_over());
    }
}
