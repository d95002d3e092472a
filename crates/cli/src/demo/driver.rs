//! Sends every transfer of the file to the payment service, many at a time and in an order that changes no outcome.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hdrhistogram::Histogram;
use settee::trace::TraceContext;
use settee::{Context, ErrorKind, Fault};
use settee_payments::api::{Payment, PaymentClient, Transfer};
use tokio::time::Instant;

use super::chaos::Chaos;
use super::clients::Clients;
use super::file::TransferFile;
use super::ledgers::answered;
use super::mask::mask;
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

enum Answer {
    Accepted,
    Refused(String),
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
        let mut outcomes = Outcomes::new(self.file.repeated)?;
        let mut under_way = FuturesUnordered::new();
        let mut ended = 0;
        loop {
            while under_way.len() < self.concurrency
                && !chaos.holds(ended)
                && let Some(place) = keeper.next()
            {
                under_way.push(self.send(place, &limited));
            }
            if !under_way.is_empty() {
                chaos.strike_if_due(ended).await?;
            }
            if under_way.is_empty() && !chaos.is_probing() {
                break;
            }
            tokio::select! {
                Some((place, answer, took)) = under_way.next() => {
                    ended += 1;
                    progress.advance();
                    keeper.ended(place, outcomes.take(&self.file.orders[place], answer, took));
                }
                () = chaos.probed(), if chaos.is_probing() => {}
            }
        }
        outcomes.limited = limited.load(Ordering::Relaxed);
        outcomes.took = started.elapsed();
        Ok(outcomes)
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
            Ok(_) => Answer::Accepted,
            Err(Fault::Refused(refusal)) => Answer::Refused(settee::Refusal::code(&refusal).to_owned()),
            Err(Fault::Failed(error)) => {
                let (debtor, creditor) = (mask(&order.debtor), mask(&order.creditor));
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

impl Outcomes {
    fn new(repeated: u64) -> Result<Self, Failure> {
        let latency = Histogram::new_with_max(LONGEST_US, 3).map_err(|error| Failure::failed(format!("measure: {error}")))?;
        let by_reason = if repeated > 0 { BTreeMap::from([("AM05".to_owned(), repeated)]) } else { BTreeMap::new() };
        Ok(Self { accepted: Vec::new(), by_reason, unknown: 0, limited: 0, latency, took: Duration::ZERO })
    }

    fn take(&mut self, order: &Transfer, answer: Answer, took: Duration) -> Ended {
        self.latency.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        match answer {
            Answer::Accepted => {
                self.accepted.push(order.id.clone());
                Ended::Accepted
            }
            Answer::Refused(code) => {
                *self.by_reason.entry(code).or_default() += 1;
                Ended::Rejected
            }
            Answer::Unknown => {
                self.unknown += 1;
                Ended::Unknown
            }
        }
    }

    /// Transfers that were refused.
    pub(crate) fn rejected(&self) -> u64 {
        self.by_reason.values().sum()
    }
}
