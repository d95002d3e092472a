//! Sends every transfer of the file to the payment service, many at a time and in an order that changes no outcome.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use hdrhistogram::Histogram;
use settee::trace::TraceContext;
use settee::{Context, ErrorKind, Fault};
use settee_core::id::Xid;
use settee_core::mask;
use settee_payments::api::{Payment, PaymentClient, Transfer};
use tokio::time::Instant;

use super::chaos::{Chaos, Course};
use super::clients::Clients;
use super::file::{REPEATED, TransferFile};
use super::ledgers::answered;
use super::order::{Ended, OrderKeeper};
use super::progress::Progress;
use super::repeat::repeat;
use crate::failure::Failure;

/// How long one transfer may take, all repeats together; what has no answer then is unknown.
const TRANSFER: Duration = Duration::from_secs(60);

/// Orders asked about at once.
const ASKED_AT_ONCE: usize = 500;

/// Transfers of a file that are traced, evenly spread: as many as the server keeps with all their spans.
const TRACED: usize = 2_000;

/// Latencies up to this are told apart, in microseconds: the bound of a transfer and a call that began just before it.
const LONGEST_US: u64 = 70_000_000;

/// What became of the file.
#[derive(Debug)]
pub(crate) struct Outcomes {
    /// Ids of the transfers that were accepted.
    pub(crate) accepted: Vec<String>,
    /// What became of each transfer that was sent, in file order.
    pub(crate) answers: Vec<Answer>,
    /// Transfers that were refused, by reason.
    pub(crate) by_reason: BTreeMap<String, u64>,
    /// Transfers without an answer.
    pub(crate) unknown: u64,
    /// Calls that a flow rule refused; each was repeated.
    pub(crate) limited: u64,
    /// From the first call of a transfer to its answer, in microseconds.
    pub(crate) latency: Histogram<u64>,
    /// From the first transfer to the last answer.
    pub(crate) took: Duration,
}

/// How the file is sent.
pub(crate) struct Driver<'a> {
    pub(crate) payment: &'a PaymentClient,
    pub(crate) file: &'a TransferFile,
    pub(crate) concurrency: usize,
}

/// What became of one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The money moved, in this transaction.
    Accepted(Option<Xid>),
    /// It did not, and will not, for this reason.
    Refused(Box<str>),
    /// Nobody could tell.
    Unknown,
}

/// Which orders of the file have their outcome from an earlier run. Asking ends what that run left half done.
pub(crate) async fn known(clients: &Clients, orders: &[Transfer]) -> Result<Vec<bool>, Failure> {
    let mut known = Vec::with_capacity(orders.len());
    for chunk in orders.chunks(ASKED_AT_ONCE) {
        known.extend(answered(repeat(clients.patience, |_| {}, || clients.payment.known(chunk.to_vec())).await)?);
    }
    Ok(known)
}

impl Driver<'_> {
    /// Sends everything, and kills processes on the way if chaos says so.
    pub(crate) async fn run(
        &self,
        mut keeper: OrderKeeper,
        chaos: &mut Chaos<'_>,
        progress: &Progress,
    ) -> Result<Outcomes, Failure> {
        let started = Instant::now();
        let limited = AtomicU64::new(0);
        let mut outcomes = Outcomes::new(self.file)?;
        let mut under_way = FuturesUnordered::new();
        let mut ended = 0;
        loop {
            let left = self.file.orders.len() - ended - under_way.len();
            let room = chaos.room(Course { ended, under_way: under_way.len(), left }).min(self.concurrency - under_way.len());
            under_way.extend(std::iter::from_fn(|| keeper.next()).take(room).map(|place| self.send(place, &limited)));
            // Polled once before a kill: what was just handed out is then open indeed.
            let mut done = if chaos.is_due(ended) { under_way.next().now_or_never().flatten() } else { None };
            if done.is_none() && !under_way.is_empty() && chaos.is_due(ended) {
                chaos.strike(ended, &self.file.orders[outcomes.known_place()]).await?;
            }
            if done.is_none() && under_way.is_empty() && !chaos.is_probing() {
                break;
            }
            if done.is_none() {
                done = next_ended(&mut under_way, chaos).await;
            }
            if let Some((place, answer, took)) = done {
                ended += 1;
                progress.advance();
                keeper.ended(place, outcomes.take(place, &self.file.orders[place], answer, took));
            }
        }
        Ok(Outcomes { limited: limited.load(Ordering::Relaxed), took: started.elapsed(), ..outcomes })
    }

    async fn send(&self, place: usize, limited: &AtomicU64) -> (usize, Answer, Duration) {
        let order = &self.file.orders[place];
        let started = Instant::now();
        let note = |error: &settee::Error| {
            if error.kind() == ErrorKind::Limited {
                limited.fetch_add(1, Ordering::Relaxed);
            }
        };
        let call = repeat(TRANSFER, note, || self.payment.transfer(order.clone()));
        let answer = match self.context(place).scope(call).await {
            Ok(receipt) => Answer::Accepted(receipt.xid.parse().ok()),
            Err(Fault::Refused(refusal)) => Answer::Refused(settee::Refusal::code(&refusal).into()),
            Err(Fault::Failed(error)) => {
                let (debtor, creditor) = (mask::account(&order.debtor), mask::account(&order.creditor));
                tracing::error!(%error, transfer = order.id, debtor, creditor, "a transfer has no answer");
                Answer::Unknown
            }
        };
        (place, answer, started.elapsed())
    }

    /// A trace of its own for each transfer, kept for some of a large file.
    fn context(&self, place: usize) -> Context {
        let sampled = place.is_multiple_of(self.file.orders.len().div_ceil(TRACED).max(1));
        Context { trace: TraceContext { sampled, ..TraceContext::root() }, ..Context::root("demo") }
    }
}

/// The next transfer that ends; `None` when a process that was killed is of use again before.
async fn next_ended<F: Future>(under_way: &mut FuturesUnordered<F>, chaos: &mut Chaos<'_>) -> Option<F::Output> {
    tokio::select! {
        next = under_way.next(), if !under_way.is_empty() => next,
        () = chaos.probed(), if chaos.is_probing() => None,
    }
}

impl Outcomes {
    /// Nothing has an answer yet, so everything is unknown.
    fn new(file: &TransferFile) -> Result<Self, Failure> {
        let latency = Histogram::new_with_max(LONGEST_US, 3).map_err(|error| Failure::failed(format!("measure: {error}")))?;
        let repeated = (file.repeated > 0).then(|| (REPEATED.to_owned(), file.repeated));
        let answers = vec![Answer::Unknown; file.orders.len()];
        let by_reason = repeated.into_iter().collect();
        Ok(Self { accepted: Vec::new(), answers, by_reason, unknown: 0, limited: 0, latency, took: Duration::ZERO })
    }

    /// The place of a transfer whose outcome was told; of the first one where none was.
    fn known_place(&self) -> usize {
        self.answers.iter().position(|answer| *answer != Answer::Unknown).unwrap_or_default()
    }

    fn take(&mut self, place: usize, order: &Transfer, answer: Answer, took: Duration) -> Ended {
        self.latency.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        let ended = match &answer {
            Answer::Accepted(_) => {
                self.accepted.push(order.id.clone());
                Ended::Accepted
            }
            Answer::Refused(code) => {
                *self.by_reason.entry(code.to_string()).or_default() += 1;
                Ended::Rejected
            }
            Answer::Unknown => {
                self.unknown += 1;
                Ended::Unknown
            }
        };
        self.answers[place] = answer;
        ended
    }

    /// Transfers that were refused.
    pub(crate) fn rejected(&self) -> u64 {
        self.by_reason.values().sum()
    }
}
