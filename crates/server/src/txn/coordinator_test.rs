//! The coordinator over a store in memory, with participants that are the fence's rule and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee::rpc::{Fault, Reply, RouteKey};
use settee::txn::{
    Begin, BranchId, BranchProgress, BranchSummary, Cause, Close, Decide, Decided, Decision, Done, Inquire, Inquiry, LeaseXids,
    ListTransactions, PhaseTwo, PhaseTwoAnswer, Resume, State, TransactionControl, TransactionStats, TryState, Xid,
};
use settee_core::error::{Certainty, ErrorKind, codes};
use settee_core::id::{Generation, ShardId};
use settee_core::port::{BoxFuture, Kv};
use settee_core::shutdown::{self, ShutdownTrigger};
use settee_core::txn::fence::{Action, Request, Row};
use settee_core::{Error, env};
use settee_engines::memory::MemoryKv;

use super::*;
use crate::shard::Shards;

/// Participants that keep their fences and answer as they are told.
#[derive(Default)]
pub(super) struct Bank {
    pub(super) rows: Mutex<BTreeMap<(Xid, BranchId), Row>>,
    /// Services that do not answer, and those that fail.
    pub(super) silent: Mutex<Vec<&'static str>>,
    pub(super) failing: Mutex<Vec<&'static str>>,
    pub(super) received: Mutex<Vec<(String, Option<String>, PhaseTwo)>>,
}

impl Bank {
    /// Carries out a request by the fence's table.
    pub(super) fn request(&self, xid: Xid, branch: &BranchId, request: Request) -> Result<Done, Error> {
        let mut rows = self.rows.lock();
        let key = (xid, branch.clone());
        match request.on(rows.get(&key).copied()) {
            Action::RunBusiness(next) => {
                rows.insert(key, next);
                Ok(Done::Real)
            }
            Action::AckEmpty => {
                rows.insert(key, Row::Suppressed);
                Ok(Done::Empty)
            }
            Action::AckDone | Action::ReturnSaved => Ok(Done::Already),
            Action::RefuseSuppressed => Err(Error::new(ErrorKind::Conflict, codes::SUPPRESSED, "try")),
            Action::Violation => Err(Error::new(ErrorKind::Conflict, codes::FENCE_VIOLATION, format!("{request:?} of {branch}"))),
        }
    }

    fn row(&self, xid: Xid, call: u32) -> Option<Row> {
        self.rows.lock().get(&(xid, BranchId::root(call))).copied()
    }
}

impl Participants for Bank {
    fn phase_two<'a>(
        &'a self,
        service: &'a str,
        route: Option<RouteKey>,
        message: PhaseTwo,
    ) -> BoxFuture<'a, Reply<PhaseTwoAnswer>> {
        Box::pin(async move {
            let route = route.map(|route| route.as_str().to_owned());
            self.received.lock().push((service.to_owned(), route, message.clone()));
            if self.silent.lock().contains(&service) {
                return std::future::pending().await;
            }
            if self.failing.lock().contains(&service) {
                return Err(Error::new(ErrorKind::Unavailable, codes::NO_INSTANCE, "call").into());
            }
            let kind = self.request(message.xid, &message.branch, Request::phase_two(message.decision))?;
            Ok(PhaseTwoAnswer { kind })
        })
    }
}

/// One life of a coordinator over a store and a bank that outlive it.
pub(super) struct Life {
    pub(super) coordinator: Coordinator,
    pub(super) bank: Arc<Bank>,
    kv: Arc<dyn Kv>,
    _stop: ShutdownTrigger,
}

impl Life {
    pub(super) async fn first() -> Self {
        Self::start(Arc::new(MemoryKv::new()), Arc::default(), Config::default()).await
    }

    pub(super) async fn start(kv: Arc<dyn Kv>, bank: Arc<Bank>, config: Config) -> Self {
        let (stop, shutdown) = shutdown::pair();
        let shards = Shards::open(kv.clone()).await.unwrap();
        let coordinator = Coordinator::start(config, shards, kv.clone(), bank.clone(), shutdown).await.unwrap();
        Self { coordinator, bank, kv, _stop: stop }
    }

    /// The process dies, and another takes over.
    async fn restart(self) -> Self {
        self.restart_with(Config::default()).await
    }

    pub(super) async fn restart_with(self, config: Config) -> Self {
        let Self { kv, bank, .. } = self;
        Self::start(kv, bank, config).await
    }

    pub(super) async fn xid(&self) -> Xid {
        let range = self.coordinator.lease(LeaseXids { count: 1 }).await.unwrap();
        Xid::new(range.shard, range.generation, range.first, env::random_u64())
    }

    pub(super) async fn begin(&self, xid: Xid) -> Reply<()> {
        let begin = Begin {
            xid,
            name: "transfer".into(),
            reference: Some("E2E-1".into()),
            timeout_ms: 5_000,
            application: "payment".into(),
        };
        self.coordinator.begin(begin).await
    }

    /// Begins, and tries `calls` branches.
    pub(super) async fn tried(&self, calls: u32) -> Xid {
        let xid = self.xid().await;
        self.begin(xid).await.unwrap();
        for call in 1..=calls {
            self.bank.request(xid, &BranchId::root(call), Request::Try).unwrap();
        }
        xid
    }

    pub(super) async fn decide(&self, xid: Xid, decision: Decision, states: &[TryState]) -> Decided {
        self.coordinator.decide(Decide { xid, decision, branches: listed(states) }).await.unwrap()
    }

    async fn state(&self, xid: Xid) -> State {
        self.coordinator.show(xid).await.unwrap().summary.state
    }

    pub(super) async fn inquire(&self, xid: Xid, call: Option<u32>) -> Inquiry {
        self.coordinator.inquire(Inquire { xid, branch: call.map(BranchId::root) }).await.unwrap()
    }

    async fn stats(&self) -> TransactionStats {
        self.coordinator.stats().await.unwrap()
    }
}

/// Lets everything that can happen now happen, and `seconds` of what is timed.
pub(super) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_millis(seconds * 1_000 + 1)).await;
}

pub(super) const SERVICES: [&str; 2] = ["pay.Debit", "pay.Credit"];

pub(super) fn listed(states: &[TryState]) -> Vec<BranchSummary> {
    let branch = |(call, state): (u32, &TryState)| BranchSummary {
        branch: BranchId::root(call),
        service: SERVICES[(call as usize - 1) % 2].into(),
        route: Some(format!("CH{call}")),
        state: *state,
    };
    (1..).zip(states).map(branch).collect()
}

pub(super) const TRIED: TryState = TryState::Tried;
const COMMITTED: Decided = Decided { decision: Decision::Commit, cause: Cause::Application };

fn aborted(cause: Cause) -> Decided {
    Decided { decision: Decision::Abort, cause }
}

#[tokio::test(start_paused = true)]
async fn a_commit_confirms_every_branch_where_its_data_is() {
    let life = Life::first().await;
    let xid = life.tried(2).await;
    assert_eq!(life.state(xid).await, State::Active);
    assert_eq!(life.decide(xid, Decision::Commit, &[TRIED, TRIED]).await, COMMITTED);
    pass(0).await;
    assert_eq!((life.bank.row(xid, 1), life.bank.row(xid, 2)), (Some(Row::Confirmed), Some(Row::Confirmed)));
    let mut sent: Vec<_> = life.bank.received.lock().iter().map(|(service, route, _)| (service.clone(), route.clone())).collect();
    sent.sort();
    assert_eq!(sent, [("pay.Credit".into(), Some("CH2".into())), ("pay.Debit".into(), Some("CH1".into()))]);
    let view = life.coordinator.show(xid).await.unwrap();
    assert_eq!((view.summary.state, view.summary.reference.as_deref()), (State::Committed, Some("E2E-1")));
    assert!(view.branches.iter().all(|branch| matches!(branch.progress, BranchProgress::Done { how: Done::Real, .. })));
}

#[tokio::test(start_paused = true)]
async fn the_answer_does_not_wait_for_participants() {
    let life = Life::first().await;
    life.bank.silent.lock().extend(SERVICES);
    let xid = life.tried(2).await;
    assert_eq!(life.decide(xid, Decision::Commit, &[TRIED, TRIED]).await, COMMITTED);
    assert_eq!(life.state(xid).await, State::Committing);
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_answered_the_same_however_often_and_late_it_is_asked_for() {
    let life = Life::first().await;
    let xid = life.tried(2).await;
    life.decide(xid, Decision::Commit, &[TRIED, TRIED]).await;
    assert_eq!(life.decide(xid, Decision::Abort, &[TRIED]).await, COMMITTED);
    pass(60).await;
    assert_eq!(life.decide(xid, Decision::Abort, &[]).await, COMMITTED);
    let begun_again = life.begin(xid).await.unwrap_err();
    assert_eq!(begun_again.failure().unwrap().code(), &codes::DECIDED_OTHERWISE);
    let life = life.restart().await;
    assert_eq!(life.decide(xid, Decision::Abort, &[]).await, COMMITTED);
    assert_eq!(life.stats().await, TransactionStats { committed: 1, aborted: 0, parked: 0, open: 0 });
}

#[tokio::test(start_paused = true)]
async fn an_unknown_xid_is_aborted_for_ever_before_anybody_is_told() {
    let life = Life::first().await;
    let xid = life.xid().await;
    let told = Inquiry::Decided(aborted(Cause::Presumed));
    assert_eq!(life.inquire(xid, Some(1)).await, told);
    assert!(life.begin(xid).await.is_err());
    let life = life.restart().await;
    assert!(life.begin(xid).await.is_err());
    assert_eq!(life.inquire(xid, None).await, told);
    assert_eq!(life.decide(xid, Decision::Commit, &[TRIED]).await, aborted(Cause::Presumed));
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_begin_never_arrived_cancels_what_was_tried() {
    let life = Life::first().await;
    let xid = life.xid().await;
    life.bank.request(xid, &BranchId::root(1), Request::Try).unwrap();
    life.bank.failing.lock().push("pay.Debit");
    assert_eq!(life.decide(xid, Decision::Commit, &[TRIED]).await, aborted(Cause::Presumed));
    pass(0).await;
    let life = life.restart().await;
    life.bank.failing.lock().clear();
    pass(1).await;
    assert_eq!(life.bank.row(xid, 1), Some(Row::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_nobody_decides_aborts_at_its_deadline() {
    let life = Life::first().await;
    let xid = life.tried(2).await;
    assert_eq!(life.inquire(xid, Some(1)).await, Inquiry::Undecided);
    pass(4).await;
    assert_eq!(life.state(xid).await, State::Active);
    pass(1).await;
    assert_eq!(life.inquire(xid, Some(1)).await, Inquiry::Decided(aborted(Cause::Deadline)));
    assert_eq!(life.decide(xid, Decision::Commit, &[TRIED, TRIED]).await, aborted(Cause::Deadline));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_wins_even_over_a_late_timer() {
    let life = Life::first().await;
    let xid = life.tried(1).await;
    // The clock jumps over the deadline; the decision is handled before the timer's task runs.
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(life.decide(xid, Decision::Commit, &[TRIED]).await, aborted(Cause::Deadline));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_branch_forbids_the_commit_and_is_cancelled_too() {
    let life = Life::first().await;
    let xid = life.tried(1).await;
    assert_eq!(life.decide(xid, Decision::Commit, &[TRIED, TryState::Unknown]).await, aborted(Cause::BranchUnknown));
    pass(0).await;
    assert_eq!((life.bank.row(xid, 1), life.bank.row(xid, 2)), (Some(Row::Cancelled), Some(Row::Suppressed)));
    assert_eq!(life.state(xid).await, State::Aborted);
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_the_commit_does_not_list_is_told_to_cancel() {
    let life = Life::first().await;
    let xid = life.tried(2).await;
    life.decide(xid, Decision::Commit, &[TRIED]).await;
    assert_eq!(life.inquire(xid, Some(1)).await, Inquiry::Decided(COMMITTED));
    let unlisted = Decided { decision: Decision::Abort, ..COMMITTED };
    assert_eq!(life.inquire(xid, Some(2)).await, Inquiry::Decided(unlisted));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_down_gets_its_branch_when_it_is_back_and_holds_up_nobody() {
    let life = Life::first().await;
    life.bank.failing.lock().push("pay.Credit");
    let xid = life.tried(2).await;
    life.decide(xid, Decision::Commit, &[TRIED, TRIED]).await;
    pass(3_600).await;
    assert_eq!((life.bank.row(xid, 1), life.bank.row(xid, 2)), (Some(Row::Confirmed), Some(Row::Tried)));
    assert_eq!(life.state(xid).await, State::Committing);
    let attempts = life.bank.received.lock().len();
    assert!(attempts < 500, "{attempts} calls in an hour");
    life.bank.failing.lock().clear();
    pass(30).await;
    assert_eq!(life.state(xid).await, State::Committed);
}

#[tokio::test(start_paused = true)]
async fn a_violation_is_parked_with_its_cause_survives_a_restart_and_can_be_resumed() {
    let life = Life::first().await;
    let xid = life.tried(1).await;
    life.decide(xid, Decision::Commit, &[TRIED, TRIED]).await;
    pass(0).await;
    assert_eq!(life.stats().await, TransactionStats { committed: 1, aborted: 0, parked: 1, open: 1 });
    let life = life.restart().await;
    let view = life.coordinator.show(xid).await.unwrap();
    assert_eq!(view.summary.state, State::CommitParked);
    let cause = view.branches.iter().find_map(|branch| match &branch.progress {
        BranchProgress::Parked { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(cause.is_some_and(|why| why.contains("TXN0005")));
    life.bank.request(xid, &BranchId::root(2), Request::Try).unwrap();
    life.coordinator.resume(Resume { xid, user: "ana".into() }).await.unwrap();
    pass(0).await;
    assert_eq!(life.state(xid).await, State::Committed);
    assert_eq!(life.stats().await, TransactionStats { committed: 1, aborted: 0, parked: 0, open: 0 });
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_end_what_is_parked_only_with_evidence() {
    let life = Life::first().await;
    let xid = life.tried(1).await;
    life.decide(xid, Decision::Commit, &[TRIED, TRIED]).await;
    pass(0).await;
    let close = |evidence: &str| Close { xid, user: "ana".into(), evidence: evidence.into(), decision: None };
    assert!(life.coordinator.close(close("")).await.is_err());
    life.coordinator.close(close("booked by hand, ticket 7")).await.unwrap();
    let life = life.restart().await;
    let view = life.coordinator.show(xid).await.unwrap();
    assert_eq!(view.summary.state, State::ClosedByOperator);
    assert_eq!(view.closing.map(|closing| closing.evidence).as_deref(), Some("booked by hand, ticket 7"));
    assert!(life.coordinator.close(close("again")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_xid_of_before_a_restore_is_parked_and_not_presumed_aborted() {
    let life = Life::first().await;
    let xid = Xid::new(ShardId(7), Generation(0), 5, 9);
    assert_eq!(life.inquire(xid, Some(1)).await, Inquiry::Parked);
    let life = life.restart().await;
    assert_eq!(life.inquire(xid, Some(1)).await, Inquiry::Parked);
    let close = Close { xid, user: "ana".into(), evidence: "backup of May".into(), decision: Some(Decision::Commit) };
    life.coordinator.close(close).await.unwrap();
    assert_eq!(life.inquire(xid, Some(1)).await, Inquiry::Decided(Decided { cause: Cause::Operator, ..COMMITTED }));
}

#[tokio::test(start_paused = true)]
async fn what_was_forgotten_is_still_counted_and_never_presumed_aborted() {
    let mut life = Life::first().await;
    let xid = life.tried(2).await;
    life.decide(xid, Decision::Commit, &[TRIED, TRIED]).await;
    pass(0).await;
    // The wall clock does not stand still with the runtime's, so a retention of nothing is over at the next sweep.
    let config = Config { retention: Duration::ZERO, sweep_every: Duration::from_secs(60), ..Config::default() };
    life = Life::start(life.kv, life.bank, config).await;
    pass(61).await;
    let missing = life.coordinator.show(xid).await.unwrap_err();
    assert_eq!(missing.failure().unwrap().code(), &codes::NO_TRANSACTION);
    let life = life.restart().await;
    assert_eq!(life.stats().await, TransactionStats { committed: 1, aborted: 0, parked: 0, open: 0 });
    assert_eq!(life.inquire(xid, Some(1)).await, Inquiry::Parked);
    let by_reference = ListTransactions { reference: Some("E2E-1".into()), limit: 10, ..ListTransactions::default() };
    assert_eq!(life.coordinator.list(by_reference).await.unwrap().transactions, []);
}

#[tokio::test(start_paused = true)]
async fn counters_are_never_leased_twice() {
    let mut life = Life::first().await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        for _ in 0..200 {
            let xid = life.xid().await;
            assert!(seen.insert((xid.shard(), xid.counter())), "{xid} again");
        }
        life = life.restart().await;
    }
}

#[tokio::test(start_paused = true)]
async fn lists_find_every_transaction_once_page_by_page() {
    let life = Life::first().await;
    let mut expected = Vec::new();
    for index in 0..40 {
        let xid = life.tried(2).await;
        expected.push(xid);
        if index % 2 == 0 {
            life.decide(xid, Decision::Commit, &[TRIED, TRIED]).await;
        }
    }
    pass(0).await;
    expected.sort();
    let found = |state, reference: Option<&str>| {
        let (coordinator, reference) = (life.coordinator.clone(), reference.map(str::to_owned));
        async move {
            let mut request = ListTransactions { state, reference, limit: 7, ..ListTransactions::default() };
            let mut xids = Vec::new();
            loop {
                let page = coordinator.list(request.clone()).await.unwrap();
                xids.extend(page.transactions.iter().map(|line| line.xid));
                request.after = page.next;
                if page.next.is_none() {
                    return xids;
                }
            }
        }
    };
    assert_eq!(found(None, None).await, expected);
    assert_eq!(found(None, Some("E2E-1")).await, expected);
    assert_eq!(found(None, Some("E2E")).await, []);
    assert_eq!(found(Some(State::Committed), None).await.len(), 20);
    assert_eq!(found(Some(State::Active), None).await.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn too_many_open_transactions_turn_new_ones_away_and_let_old_ones_end() {
    let config = Config { max_open: 1, ..Config::default() };
    let life = Life::start(Arc::new(MemoryKv::new()), Arc::default(), config).await;
    let xid = life.tried(1).await;
    let other = life.xid().await;
    let Err(Fault::Failed(error)) = life.begin(other).await else { panic!("it is turned away") };
    assert_eq!((error.kind(), error.certainty()), (ErrorKind::Limited, Certainty::NotDone));
    life.decide(xid, Decision::Commit, &[TRIED]).await;
    pass(0).await;
    life.begin(other).await.unwrap();
}
