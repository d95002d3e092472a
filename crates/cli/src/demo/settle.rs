//! After the last transfer: waits until everything that follows from it has happened, and gathers what is then true.
//!
//! Nothing here changes what was settled. When nothing more happens for as long as the clients have patience, it is taken as it is.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use settee::job::JobControl;
use settee::job::control::{RunKey, RunStatus, RunView, Trigger};
use settee::mq::control::{GroupView, TopicView};
use settee::trace::control::TraceControl;
use settee::txn::{TransactionControl, TransactionStats};
use settee::{Error, Fault, Reply, Timestamp};
use settee_core::env;
use settee_payments::account::Proof;
use settee_payments::api::{Notify, RECONCILE, TRANSFERS};
use settee_payments::notify::GROUP;
use tokio::time::Instant;

use super::clients::Clients;
use super::repeat::repeat;
use super::topology::LEDGERS;

/// How long the spans of the last transfers may take to arrive.
const SPANS: Duration = Duration::from_secs(3);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Transfers asked about at once.
const ASKED_AT_ONCE: usize = 500;

/// Processes that a settled transfer passes through: the driver, payment, two ledgers, notify.
const PROCESSES: u32 = 5;

/// What the server counted before the file, so that a folder that is used again reports only this one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    transactions: TransactionStats,
    messages: u64,
}

/// What is true at the end; `None` for what could not be had.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Decided in this run; parked and open now.
    pub(crate) transactions: Option<TransactionStats>,
    /// Messages stored in this run.
    pub(crate) sent: Option<u64>,
    /// Accepted transfers of the file that were notified.
    pub(crate) applied: Option<u64>,
    /// Messages that came again and changed nothing, since the notifier was started last.
    pub(crate) duplicates: Option<u64>,
    /// Messages that the notifier gave up.
    pub(crate) dead: Option<u64>,
    /// The proofs of the reconcile job, one a ledger; `None`: it did not succeed.
    pub(crate) proofs: Option<Vec<Proof>>,
    /// Runs of it that ended, successful or not.
    pub(crate) runs: u64,
    /// The slowest transfer's trace.
    pub(crate) trace: Option<SlowestTrace>,
}

/// One trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlowestTrace {
    pub(crate) id: String,
    pub(crate) spans: u64,
    pub(crate) processes: u64,
}

impl Before {
    /// Looks at the server before the first transfer, once what an earlier process left open has ended: it would move money while
    /// the ledgers are added up. What cannot be had counts as zero.
    pub(crate) async fn look(clients: &Clients) -> Self {
        wait_until(Instant::now() + clients.patience, || async { none_open(clients).await.unwrap_or(true) }).await;
        let transactions = patient(clients, || clients.transactions.stats()).await.unwrap_or_default();
        let messages = topic(clients).await.map_or(0, |topic| topic.messages);
        Self { transactions, messages }
    }
}

/// Waits for the consequences of the `accepted` transfers, proves the ledgers, and gathers the counts.
pub(crate) async fn settle(clients: &Clients, accepted: &[String], before: Before) -> Settled {
    let applied = all_notified(clients, accepted).await;
    let give_up = Instant::now() + clients.patience;
    wait_until(give_up, || async { group(topic(clients).await).is_some_and(|group| group.lag_messages == 0) }).await;
    wait_until(give_up, || async { none_open(clients).await.unwrap_or(false) }).await;
    let run = reconcile(clients, give_up).await;
    let topic = topic(clients).await;
    let transactions = patient(clients, || clients.transactions.stats()).await.map(|stats| since(stats, before.transactions));
    if transactions.is_some_and(|stats| stats.committed > 0) {
        let is_wide = || async { clients.traces.stats().await.is_ok_and(|stats| stats.widest >= PROCESSES) };
        wait_until(Instant::now() + SPANS, is_wide).await;
    }
    Settled {
        transactions,
        sent: topic.as_ref().map(|topic| topic.messages.saturating_sub(before.messages)),
        applied,
        duplicates: patient(clients, || clients.notify.counts()).await.map(|counts| counts.duplicates_suppressed),
        dead: if accepted.is_empty() && topic.is_none() { Some(0) } else { group(topic).map(|group| group.dead) },
        runs: u64::from(run.as_ref().is_some_and(|run| run.state.is_over())),
        proofs: run.as_ref().and_then(proofs),
        trace: slowest_trace(clients).await,
    }
}

/// How many of the transfers were notified: all of them, or as many as were when nothing had come for as long as the clients have
/// patience.
async fn all_notified(clients: &Clients, accepted: &[String]) -> Option<u64> {
    let mut notified = 0;
    let mut give_up = Instant::now() + clients.patience;
    for chunk in accepted.chunks(ASKED_AT_ONCE) {
        let mut found = patient(clients, || clients.notify.notified(chunk.to_vec())).await?;
        while found < chunk.len() as u64 && Instant::now() < give_up {
            tokio::time::sleep(LOOK).await;
            let now = patient(clients, || clients.notify.notified(chunk.to_vec())).await?;
            if now > found {
                (found, give_up) = (now, Instant::now() + clients.patience);
            }
        }
        notified += found;
    }
    Some(notified)
}

/// Runs the reconcile job once, now, and follows it to its end, across the death of its server. Gives it as it was seen last.
async fn reconcile(clients: &Clients, give_up: Instant) -> Option<RunView> {
    let due = Timestamp::from_millis(env::wall_clock().millis());
    let trigger = Trigger { job: RECONCILE.to_owned(), due, reference: None };
    patient(clients, || clients.jobs.trigger(trigger.clone())).await?;
    let key = RunKey { job: RECONCILE.to_owned(), due };
    let mut last = None;
    let to_the_end = async {
        while let Err(fault) = follow(clients, &key, &mut last).await {
            tracing::debug!(%fault, "follow the reconcile job: once more");
            tokio::time::sleep(LOOK).await;
        }
    };
    let _or_as_far_as_it_came = tokio::time::timeout_at(give_up, to_the_end).await;
    last
}

/// Follows a run to its end; an error is the end of the stream only.
async fn follow(clients: &Clients, key: &RunKey, last: &mut Option<RunView>) -> Reply<()> {
    let mut updates = clients.jobs.follow(key.clone()).await?;
    while let Some(run) = updates.next().await {
        *last = Some(run?);
    }
    Ok(())
}

/// What each ledger says of itself; `None` unless every one of them did.
fn proofs(run: &RunView) -> Option<Vec<Proof>> {
    let all = run.state == RunStatus::Succeeded && u32::try_from(run.slices.len()) == Ok(LEDGERS);
    let proof = |result: Option<&String>| serde_json::from_str(result?).ok();
    all.then(|| run.slices.iter().map(|slice| proof(slice.result.as_ref())).collect()).flatten()
}

/// The slowest trace that the server has kept, of those that passed through the most processes.
async fn slowest_trace(clients: &Clients) -> Option<SlowestTrace> {
    let slowest = patient(clients, || clients.traces.stats()).await?.slowest?;
    let spans = patient(clients, || clients.traces.show(slowest)).await?;
    let processes: BTreeSet<_> = spans.iter().map(|span| &span.process).collect();
    Some(SlowestTrace { id: slowest.to_string(), spans: spans.len() as u64, processes: processes.len() as u64 })
}

async fn topic(clients: &Clients) -> Option<TopicView> {
    patient(clients, || clients.messages.topics()).await?.into_iter().find(|topic| topic.name == TRANSFERS)
}

fn group(topic: Option<TopicView>) -> Option<GroupView> {
    topic?.groups.into_iter().find(|group| group.name == GROUP)
}

fn since(now: TransactionStats, before: TransactionStats) -> TransactionStats {
    TransactionStats {
        committed: now.committed.saturating_sub(before.committed),
        aborted: now.aborted.saturating_sub(before.aborted),
        ..now
    }
}

/// Whether every transaction has ended or waits for an operator; `None`: nobody says.
async fn none_open(clients: &Clients) -> Option<bool> {
    clients.transactions.stats().await.ok().map(|stats| stats.open == stats.parked)
}

/// Looks until it is so, or until the time is over.
async fn wait_until<F: Future<Output = bool>>(give_up: Instant, mut look: impl FnMut() -> F) {
    while !look().await && Instant::now() < give_up {
        tokio::time::sleep(LOOK).await;
    }
}

/// The answer, or `None` and a line in the log.
async fn patient<T, F: Future<Output = Reply<T>>>(clients: &Clients, call: impl FnMut() -> F) -> Option<T> {
    let answer = repeat(clients.patience, |_| {}, call).await;
    answer.map_err(|fault: Fault<settee::Never>| tracing::error!(error = %Error::from(fault), "gather the report")).ok()
}
