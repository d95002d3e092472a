//! Repeats a call that failed, for as long as somebody is willing to wait. A refusal is an answer and is never repeated.

use std::future::Future;
use std::time::Duration;

use settee::{Error, ErrorKind, Fault, Reply};
use settee_core::backoff::Backoff;
use tokio::time::Instant;

/// The first pause, doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause: a process that was killed is back within a second, and nobody should wait much longer than that.
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// Calls until there is an answer, or until `within` has passed; gives the last failure then. What a repeat cannot help is
/// given at once. `failed` hears of every failure.
///
/// # Cancel safety
/// A call that is dropped may still happen.
pub(crate) async fn repeat<T, R, F>(within: Duration, failed: impl Fn(&Error), mut call: impl FnMut() -> F) -> Reply<T, R>
where
    F: Future<Output = Reply<T, R>>,
{
    let give_up = Instant::now() + within;
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let error = match call().await {
            Err(Fault::Failed(error)) => error,
            answer => return answer,
        };
        failed(&error);
        if Instant::now() >= give_up || !may_help(&error) {
            return Err(Fault::Failed(error));
        }
        let wait = backoff.wait().max(error.retry_after().unwrap_or_default());
        tokio::time::sleep_until((Instant::now() + wait).min(give_up)).await;
    }
}

fn may_help(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::Unsupported | ErrorKind::Damaged)
}

#[cfg(test)]
mod tests {
    use settee::Never;
    use settee_core::error::codes;

    use super::*;

    fn limited() -> Error {
        Error::new(ErrorKind::Limited, codes::RATE_LIMITED, "call x").with_retry_after(Duration::from_secs(2))
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_repeated_not_before_it_may_and_not_after_the_bound() {
        let started = Instant::now();
        let calls = std::cell::Cell::new(0);
        let answer: Reply<(), Never> =
            repeat(Duration::from_secs(5), |_| calls.set(calls.get() + 1), || async { Err(limited().into()) }).await;
        assert!(answer.is_err());
        assert_eq!((calls.get(), started.elapsed()), (4, Duration::from_secs(5)), "at 0, 2, 4 and 5 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_and_a_wrong_request_are_final() {
        let refused: Reply<(), &str> = repeat(Duration::MAX / 4, |_| {}, || async { Err(Fault::Refused("no")) }).await;
        assert!(matches!(refused, Err(Fault::Refused("no"))));
        let wrong = || async { Err(Error::new(ErrorKind::Invalid, codes::BAD_VALUE, "call x").into()) };
        assert!(repeat::<(), Never, _>(Duration::from_secs(3_600), |_| {}, wrong).await.is_err());
    }
}
