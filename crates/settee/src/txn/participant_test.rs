//! A participant over a database in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use settee_core::error::{ErrorKind, codes};
use settee_core::id::{FencingToken, Generation, ShardId};
use settee_core::txn::fence::Row;
use settee_core::{Certainty, Error, Timestamp, env};

use super::*;
use crate::rpc::{CallOptions, Channels, Fault, Listening, Never, Reply, ServerConfig, Services, StaticInstances, refuse};
use crate::trace::Tracer;

// What a user writes -------------------------------------------------------------------------

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) account: String,
    pub(crate) minor: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold(pub(crate) i64);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    InsufficientFunds,
}

impl crate::rpc::Refusal for Refusal {
    fn code(&self) -> &str {
        "AM04"
    }
}

/// Holds money of an account.
#[crate::tcc("pay.Debit", route = account)]
pub(crate) trait Debit {
    type Tx: LocalTx;
    async fn attempt(&self, tx: &mut Self::Tx, order: &Order) -> Reply<Hold, Refusal>;
    async fn confirm(&self, tx: &mut Self::Tx, order: &Order, hold: &Hold) -> Reply<()>;
    async fn cancel(&self, tx: &mut Self::Tx, order: &Order, hold: &Hold) -> Reply<()>;
}

/// The amount of an order for which the ledger needs another one.
const NESTING: i64 = 99;

/// Holds up to 100 an order; an order of 13 meets a broken statement.
pub(crate) struct Ledger;

impl Debit for Ledger {
    type Tx = MemoryTx;

    async fn attempt(&self, tx: &mut MemoryTx, order: &Order) -> Reply<Hold, Refusal> {
        tx.effect("try")?;
        if order.minor == 13 {
            return Err(Error::internal("a broken statement").into());
        }
        if order.minor == NESTING {
            let nested = tx.nested.clone().expect("the driver enters every try");
            let inner = Order { account: "inner".into(), minor: 1_000 };
            nested.attempt(&super::global_test::FakeDebit, inner).await?;
        }
        if order.minor > 100 {
            return Err(refuse(Refusal::InsufficientFunds));
        }
        Ok(Hold(order.minor))
    }

    async fn confirm(&self, tx: &mut MemoryTx, order: &Order, hold: &Hold) -> Reply<()> {
        assert_eq!(hold.0, order.minor);
        Ok(tx.effect("confirm")?)
    }

    async fn cancel(&self, tx: &mut MemoryTx, order: &Order, hold: &Hold) -> Reply<()> {
        assert_eq!(hold.0, order.minor);
        Ok(tx.effect("cancel")?)
    }
}

// A database in memory -----------------------------------------------------------------------

#[derive(Clone, Debug)]
struct Line {
    service: &'static str,
    state: Row,
    saved: Bytes,
    deadline: Timestamp,
}

#[derive(Clone, Debug, Default)]
struct Tables {
    fences: BTreeMap<FenceKey, Line>,
    effects: Vec<&'static str>,
}

#[derive(Clone, Default)]
pub(crate) struct MemoryStore {
    tables: Arc<tokio::sync::Mutex<Tables>>,
    faults: Arc<Mutex<Faults>>,
}

/// What goes wrong next, once.
#[derive(Default)]
struct Faults {
    lose_answer_of_commit: bool,
    break_effect: bool,
}

pub(crate) struct MemoryTx {
    committed: tokio::sync::OwnedMutexGuard<Tables>,
    working: Tables,
    faults: Arc<Mutex<Faults>>,
    nested: Option<Nested>,
}

impl MemoryStore {
    /// What was committed, in order.
    pub(crate) async fn effects(&self) -> Vec<&'static str> {
        self.tables.lock().await.effects.clone()
    }
}

impl MemoryTx {
    fn effect(&mut self, name: &'static str) -> Result<(), Error> {
        self.working.effects.push(name);
        match std::mem::take(&mut self.faults.lock().break_effect) {
            true => Err(Error::new(ErrorKind::Unavailable, codes::DATABASE_FAILED, "run a statement").unknown()),
            false => Ok(()),
        }
    }
}

impl LocalStore for MemoryStore {
    type Tx = MemoryTx;

    async fn begin(&self) -> Result<MemoryTx, Error> {
        let committed = self.tables.clone().lock_owned().await;
        Ok(MemoryTx { working: committed.clone(), committed, faults: self.faults.clone(), nested: None })
    }

    async fn overdue(&self, query: OverdueQuery) -> Result<Vec<FenceKey>, Error> {
        let tables = self.tables.lock().await;
        let is_due = |(key, line): &(&FenceKey, &Line)| {
            let is_behind = query.after.as_ref().is_none_or(|after| *key > after);
            line.service == query.service && line.state == Row::Tried && line.deadline < query.deadline_before && is_behind
        };
        Ok(tables.fences.iter().filter(is_due).map(|(key, _)| key.clone()).take(query.limit).collect())
    }
}

impl LocalTx for MemoryTx {
    async fn fence(&mut self, claim: &FenceClaim) -> Result<FenceRow, Error> {
        if let Some(line) = self.working.fences.get(&claim.key) {
            return Ok(FenceRow { before: Some(line.state), saved: line.saved.clone() });
        }
        let FenceClaim { service, deadline, .. } = *claim;
        let line = Line { service, state: claim.request.initial_row(), saved: Bytes::new(), deadline };
        self.working.fences.insert(claim.key.clone(), line);
        Ok(FenceRow { before: None, saved: Bytes::new() })
    }

    async fn set_fence(&mut self, key: &FenceKey, row: Row, saved: Option<Bytes>) -> Result<(), Error> {
        let line = self.working.fences.get_mut(key).expect("the row is fenced");
        line.state = row;
        line.saved = saved.unwrap_or_else(|| line.saved.clone());
        Ok(())
    }

    fn enter(&mut self, branch: Nested) {
        self.nested = Some(branch);
    }

    async fn commit(mut self) -> Result<(), Error> {
        *self.committed = self.working;
        match std::mem::take(&mut self.faults.lock().lose_answer_of_commit) {
            true => Err(Error::new(ErrorKind::Unavailable, codes::DATABASE_FAILED, "commit").unknown()),
            false => Ok(()),
        }
    }

    async fn rollback(self) -> Result<(), Error> {
        Ok(())
    }
}

// The fears ----------------------------------------------------------------------------------

fn xid() -> Xid {
    Xid::new(ShardId(7), Generation(1), 42, 0xfeed)
}

fn attempt(minor: i64) -> Attempt<Order> {
    let order = Order { account: "CH93".into(), minor };
    Attempt { xid: xid(), branch: BranchId::root(1), remaining_ms: 5_000, order }
}

async fn try_once(store: &MemoryStore, minor: i64) -> Reply<Hold, Refusal> {
    run_attempt::<DebitTcc<Ledger>, _>(store, &Ledger, attempt(minor)).await.map(|attempted| attempted.hold)
}

async fn finish(store: &MemoryStore, decision: Decision) -> Result<Done, Error> {
    let phase_two = PhaseTwo { xid: xid(), branch: BranchId::root(1), decision, token: FencingToken::default() };
    let answer = run_phase_two::<DebitTcc<Ledger>, _>(store, &Ledger, &phase_two).await;
    answer.map(|answer| answer.kind).map_err(Error::from)
}

async fn rows(store: &MemoryStore) -> Vec<Row> {
    store.tables.lock().await.fences.values().map(|line| line.state).collect()
}

#[tokio::test]
async fn whatever_is_repeated_happens_once_and_is_answered_the_same() {
    let store = MemoryStore::default();
    for _ in 0..2 {
        assert_eq!(try_once(&store, 7).await.unwrap(), Hold(7));
    }
    assert_eq!(finish(&store, Decision::Commit).await.unwrap(), Done::Real);
    assert_eq!(finish(&store, Decision::Commit).await.unwrap(), Done::Already);
    assert_eq!(try_once(&store, 7).await.unwrap(), Hold(7));
    assert_eq!(store.effects().await, ["try", "confirm"]);
}

#[tokio::test]
async fn a_try_whose_saved_answer_a_newer_version_cannot_read_is_never_called_not_done() {
    let store = MemoryStore::default();
    try_once(&store, 7).await.unwrap();
    store.tables.lock().await.fences.values_mut().for_each(|line| line.saved = Bytes::from_static(b"\xc1"));
    let Err(Fault::Failed(error)) = try_once(&store, 7).await else { panic!("it cannot be read") };
    assert_eq!((error.kind(), error.certainty()), (ErrorKind::Damaged, Certainty::Done));
    assert_eq!(finish(&store, Decision::Commit).await.unwrap_err().certainty(), Certainty::NotDone, "nothing was confirmed");
}

#[tokio::test]
async fn a_refused_try_leaves_nothing_behind() {
    let store = MemoryStore::default();
    let fault = try_once(&store, 101).await.unwrap_err();
    assert_eq!(fault.refusal(), Some(&Refusal::InsufficientFunds));
    assert_eq!((store.effects().await, rows(&store).await), (vec![], vec![]));
}

#[tokio::test]
async fn a_try_that_fails_on_the_way_certainly_did_not_happen() {
    let store = MemoryStore::default();
    let Err(Fault::Failed(error)) = try_once(&store, 13).await else { panic!("it failed") };
    assert_eq!(error.certainty(), Certainty::NotDone);
    assert_eq!((store.effects().await, rows(&store).await), (vec![], vec![]));
}

#[tokio::test]
async fn a_try_that_comes_after_its_cancel_has_no_effect() {
    let store = MemoryStore::default();
    assert_eq!(finish(&store, Decision::Abort).await.unwrap(), Done::Empty);
    assert_eq!(finish(&store, Decision::Abort).await.unwrap(), Done::Already);
    let Err(Fault::Failed(error)) = try_once(&store, 7).await else { panic!("it is suppressed") };
    assert_eq!((error.code(), error.certainty()), (&codes::SUPPRESSED, Certainty::NotDone));
    assert_eq!((store.effects().await, rows(&store).await), (vec![], vec![Row::Suppressed]));
}

#[tokio::test]
async fn a_decision_that_contradicts_what_happened_changes_nothing() {
    let store = MemoryStore::default();
    assert_eq!(finish(&store, Decision::Commit).await.unwrap_err().code(), &codes::FENCE_VIOLATION);
    assert_eq!(rows(&store).await, []);
    try_once(&store, 7).await.unwrap();
    finish(&store, Decision::Commit).await.unwrap();
    assert_eq!(finish(&store, Decision::Abort).await.unwrap_err().code(), &codes::FENCE_VIOLATION);
    assert_eq!((store.effects().await, rows(&store).await), (vec!["try", "confirm"], vec![Row::Confirmed]));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_and_found_again() {
    let store = MemoryStore::default();
    store.faults.lock().lose_answer_of_commit = true;
    let Err(Fault::Failed(error)) = try_once(&store, 7).await else { panic!("the answer is lost") };
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert_eq!(try_once(&store, 7).await.unwrap(), Hold(7));
    store.faults.lock().lose_answer_of_commit = true;
    assert_eq!(finish(&store, Decision::Abort).await.unwrap_err().certainty(), Certainty::Unknown);
    assert_eq!(finish(&store, Decision::Abort).await.unwrap(), Done::Already);
    assert_eq!(store.effects().await, ["try", "cancel"]);
}

#[tokio::test]
async fn phase_two_that_fails_can_be_sent_again() {
    let store = MemoryStore::default();
    try_once(&store, 7).await.unwrap();
    store.faults.lock().break_effect = true;
    assert_eq!(finish(&store, Decision::Commit).await.unwrap_err().certainty(), Certainty::NotDone);
    assert_eq!(rows(&store).await, [Row::Tried]);
    assert_eq!(finish(&store, Decision::Commit).await.unwrap(), Done::Real);
    assert_eq!(store.effects().await, ["try", "confirm"]);
}

#[tokio::test]
async fn an_order_too_large_to_keep_is_refused_before_anything_stays() {
    let store = MemoryStore::default();
    let order = Order { account: "x".repeat(MAX_SAVED_BYTES), minor: 7 };
    let attempt = Attempt { order, ..attempt(7) };
    let reply = run_attempt::<DebitTcc<Ledger>, _>(&store, &Ledger, attempt).await;
    let Err(Fault::Failed(error)) = reply else { panic!("it is too large") };
    assert_eq!(error.code(), &codes::TRANSACTION_TOO_LARGE);
    assert_eq!((store.effects().await, rows(&store).await), (vec![], vec![]));
}

#[tokio::test]
async fn a_try_that_arrives_after_the_deadline_is_not_run() {
    let store = MemoryStore::default();
    let late = Attempt { remaining_ms: 0, ..attempt(7) };
    assert!(run_attempt::<DebitTcc<Ledger>, _>(&store, &Ledger, late).await.is_err());
    assert_eq!(rows(&store).await, []);
}

#[tokio::test]
async fn a_try_that_nobody_finished_is_ended_as_the_coordinator_says() {
    let store = MemoryStore::default();
    let server = DebitServer::new(Ledger, store.clone());
    try_once(&store, 7).await.unwrap();
    let control = super::global_test::FakeControl::default();
    assert_eq!(server.sweep_once(&control).await, 0, "it is not overdue");
    assert_eq!(control.inquired.lock().len(), 0);

    let long_ago = env::wall_clock().before(SWEEP_GRACE + Duration::from_secs(1));
    store.tables.lock().await.fences.values_mut().for_each(|line| line.deadline = long_ago);
    assert_eq!(server.sweep_once(&control).await, 0, "it is undecided");
    *control.inquiry.lock() = Inquiry::Decided(Decided { decision: Decision::Abort, cause: Cause::Presumed });
    assert_eq!(server.sweep_once(&control).await, 1);
    let asked = Inquire { xid: xid(), branch: Some(BranchId::root(1)) };
    assert_eq!(*control.inquired.lock(), [asked.clone(), asked]);
    assert_eq!((store.effects().await, rows(&store).await), (vec!["try", "cancel"], vec![Row::Cancelled]));
}

#[tokio::test]
async fn what_a_participant_tried_elsewhere_joins_and_a_repeated_try_says_so_again() {
    let store = MemoryStore::default();
    let child = BranchSummary {
        branch: BranchId::received("1.1"),
        service: "pay.Debit".into(),
        route: Some("inner".into()),
        state: TryState::Tried,
    };
    store.faults.lock().lose_answer_of_commit = true;
    assert!(run_attempt::<DebitTcc<Ledger>, _>(&store, &Ledger, attempt(NESTING)).await.is_err());
    let again = run_attempt::<DebitTcc<Ledger>, _>(&store, &Ledger, attempt(NESTING)).await.unwrap();
    assert_eq!(again.joins, [child]);
    assert_eq!(store.effects().await, ["try"]);
}

#[tokio::test]
async fn both_phases_cross_the_wire_and_a_violation_is_told_as_one() {
    let store = MemoryStore::default();
    let services = Arc::new(Services::new().with(DebitServer::new(Ledger, store.clone())));
    let at = "127.0.0.1:0".parse().unwrap();
    let listening = Listening::start(at, services, Arc::new(()), ServerConfig::default()).await.unwrap();
    let channels = Channels::new(Arc::new(StaticInstances::new().otherwise([listening.address()])), Tracer::off());
    let debit: DebitClient = channels.client();
    assert_eq!(debit.route(&attempt(7).order).unwrap().as_str(), "CH93");

    let refused = debit.attempt(&attempt(101), CallOptions::default()).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(&Refusal::InsufficientFunds));
    let attempted = debit.attempt(&attempt(7), CallOptions::default()).await.unwrap();
    assert_eq!(attempted.hold, Hold(7));

    let phase_two = |decision| {
        let message = PhaseTwo { xid: xid(), branch: BranchId::root(1), decision, token: FencingToken::default() };
        let channel = channels.channel("pay.Debit");
        async move { channel.call::<_, PhaseTwoAnswer, Never>(&PHASE_TWO, &message, CallOptions::default()).await }
    };
    assert_eq!(phase_two(Decision::Commit).await.unwrap().kind, Done::Real);
    let contradicted = Error::from(phase_two(Decision::Abort).await.unwrap_err());
    assert_eq!((contradicted.code(), contradicted.certainty()), (&codes::FENCE_VIOLATION, Certainty::NotDone));
    assert_eq!(store.effects().await, ["try", "confirm"]);
}
