//! When phase two is sent again. The caller adds jitter; the rule stays pure.

use std::time::Duration;

/// Waits before the first attempts; every later one waits [`LAST`]. Dense at first, because most troubles are a restart that
/// takes under a second; a minute at the end, because an hour's outage must not cost thousands of calls a branch.
const WAITS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
];

const LAST: Duration = Duration::from_secs(60);

/// How often a branch is sent before it is parked: about a day of trying. Real outages last hours and must end by themselves;
/// after a day the service is not coming back without a person. A refusal parks at once and does not use this.
pub const ATTEMPT_BUDGET: u32 = 1_446;

/// How long to wait before attempt number `attempt`, counted from 0.
///
/// ```
/// use std::time::Duration;
/// use settee_core::txn::retry_wait;
///
/// assert_eq!(retry_wait(0), Duration::ZERO);
/// assert_eq!(retry_wait(1_000), Duration::from_secs(60));
/// ```
#[must_use]
pub fn retry_wait(attempt: u32) -> Duration {
    usize::try_from(attempt).ok().and_then(|attempt| WAITS.get(attempt).copied()).unwrap_or(LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_of_a_day_is_survived_without_a_person() {
        let total: Duration = (0..ATTEMPT_BUDGET).map(retry_wait).sum();
        assert!(total >= Duration::from_secs(24 * 60 * 60), "{total:?}");
        assert!(total <= Duration::from_secs(25 * 60 * 60), "{total:?}");
    }
}
