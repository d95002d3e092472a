//! A transaction that cannot end by itself is shown with its reason, waits for a person, and is ended by one.

use settee::error::codes;
use settee::txn::{
    Begin, BranchProgress, BranchSummary, Cause, Close, Decide, Decision, LeaseXids, ListTransactions, Resume, State,
    TransactionControl, TransactionControlClient, TransactionView, Transactions, TryState, Xid,
};
use settee_payments::api::DebitClient;
use settee_tests::{House, balance, open, order, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_a_ledger_cannot_carry_out_waits_for_a_person_and_says_why() {
    let house = House::start().await;
    open(&house.caller, &["alice", "bob"], 100_00).await;
    let control: TransactionControlClient = house.caller.control();
    let xid = commit_what_was_never_tried(&house, &control).await;

    // It is shown, with the reason.
    let shown = until(|| parked(&control, xid)).await;
    assert_eq!(shown.summary.reference.as_deref(), Some("t-1"));
    assert!(why(&shown).contains("was never tried"), "{shown:#?}");
    let list = ListTransactions { state: Some(State::CommitParked), limit: 10, ..ListTransactions::default() };
    assert_eq!(control.list(list).await.unwrap().transactions[0].xid, xid);
    assert_eq!(control.stats().await.unwrap().parked, 1);
    let error = house.caller.transactions().end(xid).await.expect_err("it cannot end by itself");
    assert_eq!(error.code(), &codes::PARKED);

    // Trying again does not help: the obstacle is still there.
    control.resume(Resume { xid, user: "ada".into() }).await.unwrap();
    until(|| async { parked(&control, xid).await.filter(|again| again.version > shown.version) }).await;

    // A person ends it, and must say on what evidence.
    let close = |evidence: &str| Close { xid, user: "ada".into(), evidence: evidence.into(), decision: None };
    control.close(close("")).await.expect_err("without evidence");
    control.close(close("the ledger has no such entry, see ticket 7")).await.unwrap();
    let closed = control.show(xid).await.unwrap();
    assert_eq!(closed.summary.state, State::ClosedByOperator);
    let closing = closed.closing.expect("who ended it");
    assert_eq!((closing.user.as_str(), closing.evidence.as_str()), ("ada", "the ledger has no such entry, see ticket 7"));
    assert_eq!(control.stats().await.unwrap().open, 0);
    assert_eq!(balance(&house.caller, "alice").await, (100_00, 0), "nothing was moved");
    house.stop().await;
}

/// A transaction that claims a try which its ledger knows nothing of: what a caller with a bug would do.
async fn commit_what_was_never_tried(house: &House, control: &TransactionControlClient) -> Xid {
    let lease = until(|| async { control.lease(LeaseXids { count: 1 }).await.ok() }).await;
    let xid = Xid::new(lease.shard, lease.generation, lease.first, 7);
    let begin =
        Begin { xid, name: "transfer".into(), reference: Some("t-1".into()), timeout_ms: 60_000, application: "caller".into() };
    control.begin(begin).await.unwrap();

    let debit: DebitClient = house.caller.client();
    let never = Transactions::branch(1, &debit, &order("t-1", "alice", "bob", "12.50").debit(12_50));
    let branches = vec![BranchSummary { state: TryState::Tried, ..never }];
    let decided = control.decide(Decide { xid, decision: Decision::Commit, branches }).await.unwrap();
    assert_eq!((decided.decision, decided.cause), (Decision::Commit, Cause::Application));
    xid
}

async fn parked(control: &TransactionControlClient, xid: Xid) -> Option<TransactionView> {
    control.show(xid).await.ok().filter(|shown| shown.summary.state == State::CommitParked)
}

fn why(shown: &TransactionView) -> &str {
    match &shown.branches[0].progress {
        BranchProgress::Parked { why, .. } => why,
        other => panic!("{other:?}"),
    }
}
