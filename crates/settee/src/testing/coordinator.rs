//! The coordinator of a system: the rule of `core::txn` over a map, and a task for everything that the rule says must be done.
//!
//! ```text
//! begin, decide, inquire ──> apply (one lock): the rule ──> answer
//!                 ^                       └──> effects: sleep for deadlines and retries, call for phase two ──┐
//!                 └───────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Memory is durable here: a system has no power cut. Nothing is forgotten, so what is unknown never began.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::id::{BranchId, Epoch, FencingToken, Generation, SHARDS, ShardId, Xid};
use settee_core::trace::TraceContext;
use settee_core::txn::{self, ATTEMPT_TIMEOUT, Absence, Answer, Decision, Effect, Event, State, Transaction};
use settee_core::{Context, Error, env};
use tokio::sync::watch;

use super::not_in_a_test;
use crate::Reply;
use crate::rpc::{CallOptions, Channels, RouteKey};
use crate::txn::{
    Begin, Close, Decide, Decided, Inquire, Inquiry, LeaseXids, ListTransactions, PHASE_TWO, PhaseTwo, Resume,
    TransactionControl, TransactionPage, TransactionStats, TransactionView, XidRange, answers,
};

/// The only life of the store, and its only owner.
pub(super) const OWNER: FencingToken = FencingToken { generation: Generation(1), epoch: Epoch(1) };

/// How long leased counters may be used, as in production.
const LEASE_VALID_MS: u64 = 60 * 60 * 1_000;

/// The coordinator of a system. Cheap to clone.
#[derive(Clone)]
pub(super) struct Coordinator(Arc<Inner>);

struct Inner {
    transactions: Mutex<BTreeMap<Xid, Transaction>>,
    leased: AtomicU64,
    participants: Channels,
    /// Sent whenever a transaction has changed.
    changed: watch::Sender<()>,
}

impl Coordinator {
    /// A coordinator that reaches participants through `participants`.
    pub(super) fn new(participants: Channels) -> Self {
        let (transactions, leased) = (Mutex::default(), AtomicU64::new(0));
        Self(Arc::new(Inner { transactions, leased, participants, changed: watch::Sender::new(()) }))
    }

    /// How many transactions there are and were.
    pub(super) fn count(&self) -> usize {
        self.0.transactions.lock().len()
    }

    /// The transactions that have not ended, for people.
    pub(super) fn open(&self) -> Vec<String> {
        let line = |transaction: &Transaction| {
            let name = transaction.progress().begun.as_ref().map_or("no begin", |begun| begun.name.as_str());
            format!("transaction {} ({name}) is {}", transaction.xid(), transaction.state())
        };
        let transactions = self.0.transactions.lock();
        transactions.values().filter(|transaction| !transaction.state().is_terminal()).map(line).collect()
    }

    /// Applies an event, starts what follows from it, and reads the transaction with what the rule answered.
    fn apply<T>(&self, xid: Xid, event: Event, read: impl FnOnce(&Transaction, Option<Answer>) -> T) -> Result<T, Error> {
        let (effects, seen) = {
            let mut transactions = self.0.transactions.lock();
            let absent = || Transaction::absent(xid, OWNER, Absence::judge(xid, OWNER.generation, None));
            let mut transaction = transactions.get(&xid).cloned().unwrap_or_else(absent);
            let effects = transaction.apply(event, env::wall_clock()).map_err(|illegal| answers::illegal(xid, &illegal))?;
            let seen = read(&transaction, answers::answer_of(&effects));
            transactions.insert(xid, transaction);
            (effects, seen)
        };
        for effect in effects {
            self.perform(xid, effect);
        }
        self.0.changed.send_replace(());
        Ok(seen)
    }

    fn perform(&self, xid: Xid, effect: Effect) {
        match effect {
            Effect::DeadlineIn(wait) => self.apply_in(wait, xid, Event::DeadlinePassed),
            Effect::RetryIn { branch, wait } => self.apply_in(wait, xid, Event::BranchRetryDue { branch }),
            Effect::Send { branch, decision, .. } => drop(env::spawn(self.clone().send(xid, branch, decision))),
            // What is in memory is durable, the answer was read, what has ended stays to be asked about, and what is parked
            // stays open, which fails the test.
            Effect::Persist(_) | Effect::Answer(_) | Effect::End | Effect::Alarm(_) => {}
        }
    }

    fn apply_in(&self, wait: Duration, xid: Xid, event: Event) {
        let coordinator = self.clone();
        env::spawn(async move {
            tokio::time::sleep(wait).await;
            coordinator.apply_own(xid, event);
        });
    }

    /// Applies what nobody waits for the answer of.
    fn apply_own(&self, xid: Xid, event: Event) {
        if let Err(illegal) = self.apply(xid, event, |_, _| ()) {
            tracing::error!(%xid, %illegal, "the coordinator broke its own rule");
        }
    }

    async fn send(self, xid: Xid, branch: BranchId, decision: Decision) {
        let Some((service, route, trace)) = self.address(xid, &branch) else { return };
        let options = CallOptions { route, xid: Some(xid), timeout: Some(ATTEMPT_TIMEOUT), ..CallOptions::default() };
        let message = PhaseTwo { xid, branch: branch.clone(), decision, token: OWNER };
        let channel = self.0.participants.channel(&service);
        let reply = answers::phase_two_context(trace).scope(channel.call(&PHASE_TWO, &message, options)).await;
        self.apply_own(xid, Event::BranchAnswered { branch, outcome: answers::outcome(reply) });
    }

    /// Where phase two of a branch goes, and in which trace.
    fn address(&self, xid: Xid, branch: &BranchId) -> Option<(String, Option<RouteKey>, Option<TraceContext>)> {
        let transactions = self.0.transactions.lock();
        let transaction = transactions.get(&xid)?;
        let listed = transaction.decision()?.branches.iter().find(|listed| listed.branch == *branch)?;
        let trace = transaction.progress().begun.as_ref().and_then(|begun| begun.trace);
        Some((listed.service.clone(), listed.route.as_deref().map(RouteKey::new), trace))
    }

    /// Whether the deadline has come, and its timer perhaps had no turn yet.
    fn is_overdue(&self, xid: Xid) -> bool {
        let transactions = self.0.transactions.lock();
        let begun = transactions.get(&xid).and_then(|transaction| transaction.progress().begun.as_ref());
        begun.is_some_and(|begun| begun.at.after(begun.timeout) <= env::wall_clock())
    }

    fn is_under_way(&self, xid: Xid) -> bool {
        let transactions = self.0.transactions.lock();
        let state = transactions.get(&xid).map_or(State::Absent, Transaction::state);
        !(state.is_terminal() || state.is_parked() || state == State::Absent)
    }
}

impl TransactionControl for Coordinator {
    async fn lease(&self, request: LeaseXids) -> Reply<XidRange> {
        let shard = ShardId(u8::try_from(env::random_below(SHARDS)).unwrap_or(0));
        let count = request.count.max(1);
        let first = self.0.leased.fetch_add(u64::from(count), Ordering::Relaxed);
        Ok(XidRange { shard, generation: OWNER.generation, first, count, valid_ms: LEASE_VALID_MS })
    }

    async fn begin(&self, request: Begin) -> Reply<()> {
        let Begin { xid, name, reference, timeout_ms, application } = request;
        let (timeout, trace) = (Duration::from_millis(timeout_ms), Context::try_current().map(|context| context.trace));
        let event = Event::Begin(txn::Begin { name, reference, application, timeout, trace });
        Ok(answers::begun(xid, self.apply(xid, event, |_, answer| answer)?)?)
    }

    async fn decide(&self, request: Decide) -> Reply<Decided> {
        let Decide { xid, decision, branches } = request;
        if self.is_overdue(xid) {
            self.apply_own(xid, Event::DeadlinePassed);
        }
        Ok(answers::decided(xid, self.apply(xid, Event::Decide { decision, branches }, |_, answer| answer)?)?)
    }

    async fn inquire(&self, request: Inquire) -> Reply<Inquiry> {
        let Inquire { xid, branch } = request;
        let read = |transaction: &Transaction, answer| answers::inquiry(transaction, branch.as_ref(), answer);
        Ok(self.apply(xid, Event::Inquired, read)?)
    }

    async fn ended(&self, xid: Xid) -> Reply<Inquiry> {
        let mut changed = self.0.changed.subscribe();
        while self.is_under_way(xid) {
            let _the_sender_is_ours = changed.changed().await;
        }
        Ok(self.apply(xid, Event::Inquired, answers::ended)?)
    }

    async fn show(&self, xid: Xid) -> Reply<TransactionView> {
        Err(not_in_a_test(&format!("show transaction {xid}")).into())
    }

    async fn list(&self, _request: ListTransactions) -> Reply<TransactionPage> {
        Err(not_in_a_test("list transactions").into())
    }

    async fn stats(&self) -> Reply<TransactionStats> {
        Err(not_in_a_test("count transactions").into())
    }

    async fn resume(&self, request: Resume) -> Reply<()> {
        Err(not_in_a_test(&format!("resume {}", request.xid)).into())
    }

    async fn close(&self, request: Close) -> Reply<()> {
        Err(not_in_a_test(&format!("close {}", request.xid)).into())
    }
}
