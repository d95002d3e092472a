//! The open loop: transfers ordered at a rate, each once, whatever became of those before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use settee::error::{Certainty, Code, ErrorKind, codes};
use settee::{Error, Fault, Instant, Refusal as _, Reply};
use settee_core::env;
use settee_payments::api::{Receipt, Refusal};
use tokio::sync::mpsc;

use crate::bank::{Movement, Transfers};

/// Between two rounds of orders. What a round owes is ordered at once, so that a late one makes up for it.
const ROUND: Duration = Duration::from_millis(2);

/// Orders that have ended and are not counted yet; then they wait. How long they took is known before.
const ENDED: usize = 1_024;

/// The longest time of a refusal that is told from longer ones. A call ends by its timeout of 3 s, on a busy machine a while later.
const LONGEST_US: u64 = 60_000_000;

/// Calls that ended badly and are told one by one.
const TOLD: usize = 10;

/// Orders under way.
pub(super) struct Offers {
    offered: u64,
    took: Duration,
    ending: env::JoinHandle<Taken>,
}

/// What became of the orders.
#[derive(Debug)]
pub(super) struct Taken {
    /// Those that the service may have taken, as far as their caller knows: they must be found.
    pub(super) accepted: Vec<Movement>,
    /// Of these, those whose caller was not told what became of them.
    pub(super) unknown: u64,
    /// Those that it refused for now, by code.
    pub(super) refused: BTreeMap<String, u64>,
    /// How long a refusal took, in microseconds.
    pub(super) refusal_us: Histogram<u64>,
    /// Those that ended in any other way.
    pub(super) otherwise: u64,
    /// The first of these, in words.
    pub(super) told: Vec<String>,
}

/// How one order ended.
struct Ended {
    movement: Movement,
    answer: Answer,
    took: Duration,
}

/// What a caller knows after one call.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It was made.
    Made,
    /// Nobody can say: the service may have taken it.
    Unknown,
    /// Not now: it certainly did not happen, and this code says why.
    Refused(Code),
    /// Anything else, in words.
    Otherwise(String),
}

impl Offers {
    /// Orders `rate` transfers a second for so long; returns when the last has been ordered. Each call ends by its timeout, so at
    /// most 3 s of orders are under way.
    pub(super) async fn make(transfers: &Arc<Transfers>, rate: f64, length: Duration) -> Self {
        let (tell, ended) = mpsc::channel(ENDED);
        let ending = env::spawn(Taken::all(ended));
        let (began, mut offered) = (Instant::now(), 0);
        while began.elapsed() < length {
            let owed = (rate * began.elapsed().as_secs_f64()) as u64;
            (offered..owed).for_each(|_| drop(env::spawn(order(transfers.clone(), tell.clone()))));
            offered = offered.max(owed);
            tokio::time::sleep(ROUND).await;
        }
        Self { offered, took: began.elapsed(), ending }
    }

    /// How many there are.
    pub(super) fn offered(&self) -> u64 {
        self.offered
    }

    /// In what time they were ordered.
    pub(super) fn took(&self) -> Duration {
        self.took
    }

    /// Waits until every order has ended.
    ///
    /// # Errors
    /// Counting them failed.
    pub(super) async fn all_ended(self) -> Result<Taken, Error> {
        self.ending.await.map_err(Error::internal)
    }
}

async fn order(transfers: Arc<Transfers>, tell: mpsc::Sender<Ended>) {
    let (movement, began) = (transfers.next(), Instant::now());
    let answer = Answer::of(transfers.ask(&movement).await);
    let _whoever_counts_is_gone = tell.send(Ended { movement, answer, took: began.elapsed() }).await;
}

impl Answer {
    fn of(reply: Reply<Receipt, Refusal>) -> Self {
        match reply {
            Ok(_) => Self::Made,
            Err(Fault::Refused(refusal)) => Self::Otherwise(format!("refused with {}", refusal.code())),
            Err(Fault::Failed(error)) if error.certainty() != Certainty::NotDone => Self::Unknown,
            Err(Fault::Failed(error)) if error.kind() == ErrorKind::Limited && *error.code() != codes::INTERNAL => {
                Self::Refused(error.code().clone())
            }
            Err(Fault::Failed(error)) => Self::Otherwise(error.to_string()),
        }
    }
}

impl Taken {
    async fn all(mut ended: mpsc::Receiver<Ended>) -> Self {
        let mut taken = Self::none();
        while let Some(ended) = ended.recv().await {
            taken.add(ended);
        }
        taken
    }

    fn none() -> Self {
        let refusal_us = Histogram::new_with_max(LONGEST_US, 3).expect("three digits can be kept");
        Self { accepted: Vec::new(), unknown: 0, refused: BTreeMap::new(), refusal_us, otherwise: 0, told: Vec::new() }
    }

    fn was_refused(&mut self, code: &Code, took: Duration) {
        *self.refused.entry(code.to_string()).or_default() += 1;
        self.refusal_us.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    fn add(&mut self, Ended { movement, answer, took }: Ended) {
        match answer {
            Answer::Made => self.accepted.push(movement),
            Answer::Unknown => {
                self.unknown += 1;
                self.accepted.push(movement);
            }
            Answer::Refused(code) => self.was_refused(&code, took),
            Answer::Otherwise(what) => {
                self.otherwise += 1;
                if self.told.len() < TOLD {
                    self.told.push(format!("transfer {}: {what}", movement.transfer));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: ErrorKind, code: Code) -> Error {
        Error::new(kind, code, "call pay.Payment.transfer")
    }

    #[test]
    fn a_refusal_that_took_long_is_not_reported_as_quick() {
        let mut taken = Taken::none();
        taken.was_refused(&codes::CONCURRENCY_LIMITED, Duration::from_millis(300));
        let p99 = taken.refusal_us.value_at_quantile(0.99);
        assert!((300_000..301_000).contains(&p99), "{p99} µs");
    }

    #[test]
    fn only_a_typed_not_now_that_certainly_did_nothing_counts_as_a_refusal() {
        let limited = || failed(ErrorKind::Limited, codes::CONCURRENCY_LIMITED);
        let of = |error| Answer::of(Err(Fault::Failed(error)));
        assert_eq!(of(limited()), Answer::Refused(codes::CONCURRENCY_LIMITED));
        assert_eq!(of(limited().unknown()), Answer::Unknown, "the service may have taken it");
        assert_eq!(of(failed(ErrorKind::DeadlineExceeded, codes::DEADLINE).unknown()), Answer::Unknown);
        assert!(matches!(of(failed(ErrorKind::DeadlineExceeded, codes::DEADLINE)), Answer::Otherwise(_)), "late is not refused");
        assert!(matches!(of(failed(ErrorKind::Limited, codes::INTERNAL)), Answer::Otherwise(_)), "it does not say why");
        let business = Answer::of(Err(Fault::Refused(Refusal::InsufficientFunds)));
        assert_eq!(business, Answer::Otherwise("refused with AM04".to_owned()));
    }
}
