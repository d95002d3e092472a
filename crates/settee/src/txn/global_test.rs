//! The beginner's side, against a coordinator and participants that answer what the test says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::{Generation, ShardId};
use settee_core::{Certainty, Error};

use super::participant_test::{Hold, Order, Refusal};
use super::*;
use crate::rpc::{CallOptions, Fault, Reply, RouteKey, refuse};

/// A coordinator that notes what it is asked.
pub(super) struct FakeControl {
    pub(super) inquired: Mutex<Vec<Inquire>>,
    pub(super) inquiry: Mutex<Inquiry>,
    begun: Mutex<Vec<Begin>>,
    /// Whether there is no room for a new transaction.
    is_full: Mutex<bool>,
    decided: Mutex<Vec<Decide>>,
    /// Answers to the next askings for a decision; when there are none, what is asked for.
    answers: Mutex<VecDeque<Result<Decided, Certainty>>>,
    /// Whether nobody takes a question any more.
    is_away: Mutex<bool>,
    leased: Mutex<u8>,
    lease_valid: Mutex<Duration>,
}

impl Default for FakeControl {
    fn default() -> Self {
        Self {
            inquired: Mutex::default(),
            inquiry: Mutex::new(Inquiry::Undecided),
            begun: Mutex::default(),
            is_full: Mutex::default(),
            decided: Mutex::default(),
            answers: Mutex::default(),
            is_away: Mutex::default(),
            leased: Mutex::default(),
            lease_valid: Mutex::new(Duration::from_secs(60)),
        }
    }
}

fn unreachable<T>() -> Reply<T> {
    unreachable!("the test does not ask for it")
}

impl TransactionControl for FakeControl {
    async fn lease(&self, request: LeaseXids) -> Reply<XidRange> {
        let mut leased = self.leased.lock();
        *leased += 1;
        let valid_ms = u64::try_from(self.lease_valid.lock().as_millis()).unwrap();
        Ok(XidRange { shard: ShardId(*leased), generation: Generation(1), first: 100, count: request.count, valid_ms })
    }

    async fn begin(&self, request: Begin) -> Reply<()> {
        if *self.is_full.lock() {
            return Err(Error::new(ErrorKind::Full, codes::STORE_FULL, "begin").into());
        }
        self.begun.lock().push(request);
        Ok(())
    }

    async fn decide(&self, request: Decide) -> Reply<Decided> {
        let decision = request.decision;
        self.decided.lock().push(request);
        match self.answers.lock().pop_front() {
            None => Ok(Decided { decision, cause: Cause::Application }),
            Some(Ok(decided)) => Ok(decided),
            Some(Err(certainty)) => {
                Err(Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, "decide").with_certainty(certainty).into())
            }
        }
    }

    async fn inquire(&self, request: Inquire) -> Reply<Inquiry> {
        if *self.is_away.lock() {
            return Err(Error::new(ErrorKind::Unavailable, codes::NO_INSTANCE, "inquire").into());
        }
        self.inquired.lock().push(request);
        Ok(*self.inquiry.lock())
    }

    async fn ended(&self, xid: Xid) -> Reply<Inquiry> {
        self.inquire(Inquire { xid, branch: None }).await
    }

    async fn show(&self, _xid: Xid) -> Reply<TransactionView> {
        unreachable()
    }

    async fn list(&self, _request: ListTransactions) -> Reply<TransactionPage> {
        unreachable()
    }

    async fn stats(&self) -> Reply<TransactionStats> {
        unreachable()
    }

    async fn resume(&self, _request: Resume) -> Reply<()> {
        unreachable()
    }

    async fn close(&self, _request: Close) -> Reply<()> {
        unreachable()
    }
}

/// A participant whose answer the amount chooses.
pub(super) struct FakeDebit;

const REFUSED: i64 = 1;
const NOT_DONE: i64 = 2;
const UNKNOWN: i64 = 3;
const SILENT: i64 = 4;
const JOINING: i64 = 5;

impl TccClient for FakeDebit {
    type Order = Order;
    type Hold = Hold;
    type Refusal = Refusal;

    fn service(&self) -> &'static str {
        "pay.Debit"
    }

    fn route(&self, order: &Order) -> Option<RouteKey> {
        Some(RouteKey::new(&order.account))
    }

    async fn attempt(&self, attempt: &Attempt<Order>, _options: CallOptions) -> Reply<Attempted<Hold>, Refusal> {
        let lost = Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, "attempt");
        let child = BranchSummary { branch: attempt.branch.child(1), ..listed(1, TryState::Tried) };
        match attempt.order.minor {
            REFUSED => Err(refuse(Refusal::InsufficientFunds)),
            NOT_DONE => Err(Fault::Failed(lost)),
            UNKNOWN => Err(Fault::Failed(lost.unknown())),
            SILENT => std::future::pending().await,
            JOINING => Ok(Attempted { hold: Hold(JOINING), joins: vec![child] }),
            minor => Ok(Attempted { hold: Hold(minor), joins: Vec::new() }),
        }
    }
}

fn order(minor: i64) -> Order {
    Order { account: "CH93".into(), minor }
}

fn listed(call: u32, state: TryState) -> BranchSummary {
    BranchSummary { branch: BranchId::root(call), service: "pay.Debit".into(), route: Some("CH93".into()), state }
}

struct Fixture {
    control: Arc<FakeControl>,
    transactions: Transactions,
}

impl Fixture {
    fn new() -> Self {
        let control = Arc::new(FakeControl::default());
        let transactions = Transactions::new(TransactionControlClient::in_process(control.clone()), "payment");
        Self { control, transactions }
    }

    fn begin(&self) -> GlobalTransaction {
        self.transactions.begin("transfer", Duration::from_secs(5)).with_reference("E2E-1")
    }

    fn decided(&self) -> Vec<(Decision, Vec<BranchSummary>)> {
        self.control.decided.lock().iter().map(|decide| (decide.decision, decide.branches.clone())).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_transfer_begins_once_and_commits_what_was_tried() {
    let fixture = Fixture::new();
    let transfer = fixture.begin();
    let holds = tokio::try_join!(transfer.attempt(&FakeDebit, order(70)), transfer.attempt(&FakeDebit, order(71))).unwrap();
    assert_eq!(holds, (Hold(70), Hold(71)));
    let xid = transfer.xid().await.unwrap();
    transfer.commit().await.unwrap();
    let begun = fixture.control.begun.lock().clone();
    let expected =
        Begin { xid, name: "transfer".into(), reference: Some("E2E-1".into()), timeout_ms: 5_000, application: "payment".into() };
    assert_eq!(begun, [expected]);
    assert_eq!(fixture.decided(), [(Decision::Commit, vec![listed(1, TryState::Tried), listed(2, TryState::Tried)])]);
}

#[tokio::test(start_paused = true)]
async fn counters_that_are_over_when_they_arrive_end_the_begin_and_are_not_asked_for_for_ever() {
    let fixture = Fixture::new();
    *fixture.control.lease_valid.lock() = Duration::ZERO;
    let error = fixture.begin().xid().await.unwrap_err();
    assert_eq!((error.code(), error.certainty()), (&codes::BAD_REPLY, Certainty::NotDone));
    assert!(*fixture.control.leased.lock() < 4, "a few times, for the background too");
    *fixture.control.lease_valid.lock() = Duration::from_secs(60);
    fixture.begin().xid().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_is_dropped_aborts_everything_it_may_have_tried() {
    let fixture = Fixture::new();
    let transfer = fixture.begin();
    transfer.attempt(&FakeDebit, order(70)).await.unwrap();
    let refused = tokio::time::timeout(Duration::from_secs(1), transfer.attempt(&FakeDebit, order(SILENT))).await;
    assert!(refused.is_err());
    drop(transfer);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(fixture.decided(), [(Decision::Abort, vec![listed(1, TryState::Tried), listed(2, TryState::Unknown)])]);
}

#[tokio::test(start_paused = true)]
async fn what_a_try_answered_is_what_the_decision_lists() {
    let child = BranchSummary { branch: BranchId::root(1).child(1), ..listed(1, TryState::Tried) };
    let cases = [
        (REFUSED, vec![listed(1, TryState::Refused)]),
        (UNKNOWN, vec![listed(1, TryState::Unknown)]),
        (NOT_DONE, vec![]),
        (JOINING, vec![listed(1, TryState::Tried), child]),
    ];
    for (minor, branches) in cases {
        let fixture = Fixture::new();
        let transfer = fixture.begin();
        let _answer = transfer.attempt(&FakeDebit, order(minor)).await;
        transfer.commit().await.unwrap();
        assert_eq!(fixture.decided(), [(Decision::Commit, branches)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_tried_nothing_tells_nobody() {
    let fixture = Fixture::new();
    fixture.begin().commit().await.unwrap();
    fixture.begin().abort().await.unwrap();
    drop(fixture.begin());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((fixture.decided().len(), fixture.control.begun.lock().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_aborted_says_so_and_why() {
    for (cause, code) in [(Cause::BranchUnknown, codes::BRANCH_UNKNOWN), (Cause::Deadline, codes::DECIDED_OTHERWISE)] {
        let fixture = Fixture::new();
        fixture.control.answers.lock().push_back(Ok(Decided { decision: Decision::Abort, cause }));
        let transfer = fixture.begin();
        transfer.attempt(&FakeDebit, order(70)).await.unwrap();
        let error = transfer.commit().await.unwrap_err();
        assert_eq!((error.certainty(), error.code()), (Certainty::NotDone, &code));
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_what_was_turned_away_says_why_at_once_and_still_frees_what_was_tried() {
    let fixture = Fixture::new();
    *fixture.control.is_full.lock() = true;
    let transfer = fixture.begin();
    transfer.attempt(&FakeDebit, order(70)).await.unwrap();
    let error = transfer.commit().await.unwrap_err();
    assert_eq!((error.certainty(), error.code()), (Certainty::NotDone, &codes::STORE_FULL));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(fixture.decided(), [(Decision::Abort, vec![listed(1, TryState::Tried)])]);
}

#[tokio::test(start_paused = true)]
async fn a_commit_asks_again_until_it_is_answered() {
    let fixture = Fixture::new();
    fixture.control.answers.lock().extend([Err(Certainty::Unknown), Err(Certainty::NotDone)]);
    let transfer = fixture.begin();
    transfer.attempt(&FakeDebit, order(70)).await.unwrap();
    transfer.commit().await.unwrap();
    assert_eq!(fixture.decided().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_nobody_answered_is_unknown_if_it_may_have_arrived() {
    for (first, certainty) in [(Certainty::Unknown, Certainty::Unknown), (Certainty::NotDone, Certainty::NotDone)] {
        let fixture = Fixture::new();
        fixture.control.answers.lock().push_back(Err(first));
        fixture.control.answers.lock().extend(std::iter::repeat_n(Err(Certainty::NotDone), 1_000));
        let transfer = fixture.begin();
        transfer.attempt(&FakeDebit, order(70)).await.unwrap();
        assert_eq!(transfer.commit().await.unwrap_err().certainty(), certainty);
    }
}

#[tokio::test]
async fn a_question_that_nobody_took_does_not_say_that_the_transaction_did_not_happen() {
    let fixture = Fixture::new();
    let xid = fixture.begin().xid().await.unwrap();
    *fixture.control.is_away.lock() = true;
    assert_eq!(fixture.transactions.ask(xid).await.unwrap_err().certainty(), Certainty::Unknown);
    assert_eq!(fixture.transactions.end(xid).await.unwrap_err().certainty(), Certainty::Unknown);
    fixture.control.answers.lock().push_back(Err(Certainty::NotDone));
    assert_eq!(fixture.transactions.resolve(xid, Vec::new()).await.unwrap_err().certainty(), Certainty::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_try_after_the_deadline_is_never_sent() {
    let fixture = Fixture::new();
    let transfer = fixture.begin();
    tokio::time::advance(Duration::from_secs(6)).await;
    let Err(Fault::Failed(error)) = transfer.attempt(&FakeDebit, order(70)).await else { panic!("it is too late") };
    assert_eq!(error.certainty(), Certainty::NotDone);
    assert_eq!(fixture.control.begun.lock().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn xids_come_from_many_shards_in_turn_and_never_twice() {
    let fixture = Fixture::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut shards = std::collections::BTreeSet::new();
    for _ in 0..10_000 {
        let xid = fixture.begin().xid().await.unwrap();
        assert!(seen.insert((xid.shard(), xid.counter())), "{xid} again");
        shards.insert(xid.shard());
        tokio::task::yield_now().await;
    }
    assert!(shards.len() >= 8, "{shards:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_expired_is_not_used() {
    let fixture = Fixture::new();
    let first = fixture.begin().xid().await.unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let second = fixture.begin().xid().await.unwrap();
    assert_ne!(first.shard(), second.shard());
}
