//! What a demo reports: one JSON object, in the order and with the names that users script against. `null` is what could not be
//! had. Renaming a key is a breaking change.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;
use settee::txn::TransactionStats;

use super::chaos::{Strike, Struck};
use super::driver::Outcomes;
use super::ledgers::{Sums, as_decimals};
use super::settle::{Settled, SlowestTrace};

/// The whole report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) transfers: Transfers,
    pub(crate) money: Money,
    pub(crate) transactions: Transactions,
    pub(crate) messages: Messages,
    pub(crate) job: Job,
    pub(crate) flow: Flow,
    pub(crate) trace: Trace,
    pub(crate) chaos: Vec<Strike>,
    /// Processes that were to be killed and were not.
    #[serde(skip)]
    pub(crate) spared: Vec<&'static str>,
    /// Transfers with an outcome each second, from the first one to the last.
    pub(crate) throughput_per_s: f64,
    pub(crate) latency_ms: Latency,
    /// From the first transfer to the last outcome.
    pub(crate) seconds: f64,
    /// Of the largest process.
    pub(crate) peak_rss_bytes: Option<u64>,
}

/// What became of the transfers: `read` is the sum of `accepted`, `rejected` and `unknown`.
#[derive(Debug, Serialize)]
pub(crate) struct Transfers {
    pub(crate) read: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) unknown: u64,
    /// Those whose outcome was known from an earlier run.
    pub(crate) replayed: u64,
    pub(crate) by_reason: BTreeMap<String, u64>,
}

/// What all ledgers hold, by currency.
#[derive(Debug, Serialize)]
pub(crate) struct Money {
    pub(crate) conserved: bool,
    pub(crate) before: BTreeMap<String, String>,
    pub(crate) after: BTreeMap<String, String>,
}

/// Global transactions: decided in this run, and those that have not ended.
#[derive(Debug, Serialize)]
pub(crate) struct Transactions {
    pub(crate) committed: Option<u64>,
    pub(crate) aborted: Option<u64>,
    pub(crate) parked: Option<u64>,
    pub(crate) open: Option<u64>,
}

/// Messages about settled transfers.
#[derive(Debug, Serialize)]
pub(crate) struct Messages {
    pub(crate) sent: Option<u64>,
    /// Accepted transfers of this file with a notification.
    pub(crate) applied: Option<u64>,
    pub(crate) duplicates_suppressed: Option<u64>,
    pub(crate) dead: Option<u64>,
}

/// The reconcile job.
#[derive(Debug, Serialize)]
pub(crate) struct Job {
    pub(crate) runs: u64,
    pub(crate) reconciled: bool,
}

/// Flow rules.
#[derive(Debug, Serialize)]
pub(crate) struct Flow {
    /// Calls that were refused for a while, and repeated.
    pub(crate) limited: u64,
}

/// The trace of the slowest transfer.
#[derive(Debug, Serialize)]
pub(crate) struct Trace {
    pub(crate) slowest_trace_id: Option<String>,
    pub(crate) spans: Option<u64>,
    pub(crate) processes: Option<u64>,
}

/// From the first call of a transfer to its outcome, repeats included.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
}

/// What a run found out, before it is put in words.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) read: u64,
    pub(crate) replayed: u64,
    pub(crate) before: Sums,
    pub(crate) after: Sums,
    pub(crate) outcomes: Outcomes,
    pub(crate) settled: Settled,
    pub(crate) struck: Struck,
    pub(crate) peak_rss_bytes: Option<u64>,
}

impl Report {
    /// Puts findings in their place.
    pub(crate) fn new(findings: Findings) -> Self {
        let Findings { read, replayed, before, after, outcomes, settled, struck, peak_rss_bytes } = findings;
        let reconciled = is_conserved(&settled);
        let seconds = outcomes.took.as_secs_f64();
        let with_outcome = (outcomes.accepted.len() as u64 + outcomes.rejected()) as f64;
        Self {
            transfers: Transfers {
                read,
                accepted: outcomes.accepted.len() as u64,
                rejected: outcomes.rejected(),
                unknown: outcomes.unknown,
                replayed,
                by_reason: outcomes.by_reason,
            },
            money: Money { conserved: reconciled && before == after, before: as_decimals(&before), after: as_decimals(&after) },
            transactions: Transactions::of(settled.transactions),
            messages: Messages {
                sent: settled.sent,
                applied: settled.applied,
                duplicates_suppressed: settled.duplicates.map(|duplicates| duplicates + struck.duplicates_forgotten),
                dead: settled.dead,
            },
            job: Job { runs: settled.runs, reconciled },
            flow: Flow { limited: outcomes.limited },
            trace: Trace::of(settled.trace),
            chaos: struck.strikes,
            spared: struck.spared,
            throughput_per_s: rounded(with_outcome / seconds.max(f64::MIN_POSITIVE)),
            latency_ms: Latency { p50: quantile(&outcomes.latency, 0.5), p99: quantile(&outcomes.latency, 0.99) },
            seconds: rounded(seconds),
            peak_rss_bytes,
        }
    }

    /// What must never be, in words; empty when all is well.
    pub(crate) fn broken(&self) -> Vec<String> {
        let Self { transfers, money, transactions, messages, job, spared, .. } = self;
        let is = |broken: bool, what: String| broken.then_some(what);
        let left = |count: Option<u64>, what: &str| match count {
            Some(0) => None,
            Some(count) => Some(format!("transactions that are {what}: {count}")),
            None => Some(format!("whether transactions are {what} is not known")),
        };
        let applied = messages.applied.map_or_else(|| "an unknown number".to_owned(), |applied| applied.to_string());
        let every = [
            is(transfers.unknown > 0, format!("transfers without an outcome: {}", transfers.unknown)),
            is(!job.reconciled, "the ledgers did not prove their sums".into()),
            is(job.reconciled && !money.conserved, "the ledgers do not hold what they held before".into()),
            left(transactions.parked, "parked"),
            left(transactions.open, "open"),
            is(
                messages.applied != Some(transfers.accepted),
                format!("transfers accepted: {}, notified: {applied}", transfers.accepted),
            ),
            is(!spared.is_empty(), format!("killed only in part, no transfer was left to be open: not {}", spared.join(", "))),
        ];
        every.into_iter().flatten().collect()
    }
}

impl Transactions {
    fn of(stats: Option<TransactionStats>) -> Self {
        Self {
            committed: stats.map(|stats| stats.committed),
            aborted: stats.map(|stats| stats.aborted),
            parked: stats.map(|stats| stats.parked),
            open: stats.map(|stats| stats.open),
        }
    }
}

impl Trace {
    fn of(slowest: Option<SlowestTrace>) -> Self {
        let (spans, processes) = (slowest.as_ref().map(|trace| trace.spans), slowest.as_ref().map(|trace| trace.processes));
        Self { slowest_trace_id: slowest.map(|trace| trace.id), spans, processes }
    }
}

/// Whether every ledger says: nothing is frozen, every account is what its entries add up to; and together they hold what they
/// were opened with. A single ledger need not: money moves between them.
fn is_conserved(settled: &Settled) -> bool {
    let Some(proofs) = &settled.proofs else { return false };
    let mut difference = BTreeMap::<&str, i128>::new();
    for total in proofs.iter().flat_map(|proof| &proof.totals) {
        *difference.entry(&total.currency).or_default() += i128::from(total.minor) - i128::from(total.opened_minor);
    }
    let none_frozen = proofs.iter().flat_map(|proof| &proof.totals).all(|total| total.frozen_minor == 0);
    none_frozen && proofs.iter().all(|proof| proof.out_of_balance == 0) && difference.values().all(|minor| *minor == 0)
}

fn quantile(latency: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!latency.is_empty()).then(|| rounded(latency.value_at_quantile(quantile) as f64 / 1_000.0))
}

/// Three decimals, which is as fine as it was measured.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
#[path = "report_test.rs"]
mod tests;
