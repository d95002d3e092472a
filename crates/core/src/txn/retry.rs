//! When phase two is sent again. The caller adds jitter, a quarter of the wait at most; the rule stays pure.

use std::time::Duration;

/// How long one attempt may take; then it is sent again.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// Waits before the first attempts; every later one waits [`LAST`]. Dense at first, because most troubles are a restart that
/// takes under a second.
const WAITS: [Duration; 5] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

/// Short enough for the promise that a transaction ends within 30 s of the end of its trouble, however long that lasted. Long
/// enough that an hour's outage costs a branch some hundreds of calls, not thousands.
const LAST: Duration = Duration::from_secs(8);

/// How often a branch is sent before it is parked: about a day of trying. Real outages last hours and must end by themselves;
/// after a day the service is not coming back without a person. A refusal parks at once and does not use this.
pub const ATTEMPT_BUDGET: u32 = 10_805;

/// How long to wait before attempt number `attempt`, counted from 0.
///
/// ```
/// use std::time::Duration;
/// use settee_core::txn::retry_wait;
///
/// assert_eq!(retry_wait(0), Duration::ZERO);
/// assert_eq!(retry_wait(1_000), Duration::from_secs(8));
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

    /// The attempt that was under way when the trouble ended may hang in it to its end; the next one may still meet what it left
    /// behind, such as a connection to a machine that is gone; the one after that is answered.
    #[test]
    fn a_transaction_ends_within_30_seconds_of_its_trouble_however_long_that_lasted() {
        let longest = |attempt| retry_wait(attempt) * 5 / 4;
        for hanging in 0..ATTEMPT_BUDGET - 2 {
            let hung = ATTEMPT_TIMEOUT + longest(hanging + 1);
            let met = ATTEMPT_TIMEOUT + longest(hanging + 2);
            let took = hung + met + ATTEMPT_TIMEOUT;
            assert!(took <= Duration::from_secs(30), "attempt {hanging}: {took:?}");
        }
    }
}
