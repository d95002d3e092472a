use std::time::Duration;

use serde::{Deserialize, Serialize};
use settee::txn::{Attempt, Decision, Done, PhaseTwo, run_attempt, run_phase_two};
use settee::{Fault, Reply, refuse};
use settee_core::id::{FencingToken, Generation, ShardId};
use settee_core::txn::fence::Request;
use settee_core::{Certainty, Timestamp};
use sqlx::query_scalar;

use super::*;
use crate::fixtures::{Home, Script, effect, effects};
use crate::{CommitFault, StatementFault};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    account: String,
    minor: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hold(i64);

#[settee::refusal]
pub(super) enum Refusal {
    #[code("AM04")]
    InsufficientFunds,
}

#[settee::tcc("pay.Debit", route = account)]
pub(super) trait Debit {
    type Tx: LocalTx;
    async fn attempt(&self, tx: &mut Self::Tx, order: &Order) -> Reply<Hold, Refusal>;
    async fn confirm(&self, tx: &mut Self::Tx, order: &Order, hold: &Hold) -> Reply<()>;
    async fn cancel(&self, tx: &mut Self::Tx, order: &Order, hold: &Hold) -> Reply<()>;
}

struct Ledger;

impl Debit for Ledger {
    type Tx = Tx<Sqlite>;

    async fn attempt(&self, tx: &mut Self::Tx, order: &Order) -> Reply<Hold, Refusal> {
        effect(tx, "try").await?;
        if order.minor > 100 { Err(refuse(Refusal::InsufficientFunds)) } else { Ok(Hold(order.minor)) }
    }

    async fn confirm(&self, tx: &mut Self::Tx, order: &Order, hold: &Hold) -> Reply<()> {
        assert_eq!(hold.0, order.minor);
        effect(tx, "confirm").await?;
        Ok(tx.publish("transfers", &order.account, &order.minor).await?)
    }

    async fn cancel(&self, tx: &mut Self::Tx, _order: &Order, _hold: &Hold) -> Reply<()> {
        Ok(effect(tx, "cancel").await?)
    }
}

fn xid() -> Xid {
    Xid::new(ShardId(7), Generation(1), 42, 0xfeed)
}

async fn try_once(database: &Database, minor: i64) -> Reply<Hold, Refusal> {
    let order = Order { account: "CH93".into(), minor };
    let attempt = Attempt { xid: xid(), branch: BranchId::root(1), remaining_ms: 5_000, order };
    run_attempt::<DebitTcc<Ledger>, _>(database, &Ledger, attempt).await.map(|attempted| attempted.hold)
}

async fn finish(database: &Database, decision: Decision) -> Result<Done, Error> {
    let phase_two = PhaseTwo { xid: xid(), branch: BranchId::root(1), decision, token: FencingToken::default() };
    Ok(run_phase_two::<DebitTcc<Ledger>, _>(database, &Ledger, &phase_two).await?.kind)
}

async fn states(database: &Database) -> Vec<i64> {
    query_scalar("SELECT state FROM settee_fence").fetch_all(&mut database.read().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn whatever_is_repeated_happens_once_and_is_answered_the_same() {
    let home = Home::new();
    let database = home.open().await;
    for _ in 0..2 {
        assert_eq!(try_once(&database, 7).await.unwrap(), Hold(7));
    }
    assert_eq!(finish(&database, Decision::Commit).await.unwrap(), Done::Real);
    assert_eq!(finish(&database, Decision::Commit).await.unwrap(), Done::Already);
    assert_eq!(try_once(&database, 7).await.unwrap(), Hold(7));
    assert_eq!((effects(&database).await, states(&database).await), (vec!["try".to_owned(), "confirm".into()], vec![2]));
}

#[tokio::test]
async fn a_try_that_comes_after_its_cancel_has_no_effect() {
    let home = Home::new();
    let database = home.open().await;
    assert_eq!(finish(&database, Decision::Abort).await.unwrap(), Done::Empty);
    let Err(Fault::Failed(error)) = try_once(&database, 7).await else { panic!("it is suppressed") };
    assert_eq!(error.code(), &codes::SUPPRESSED);
    assert_eq!((effects(&database).await, states(&database).await), (Vec::<String>::new(), vec![4]));
}

#[tokio::test]
async fn a_refused_try_and_a_confirm_of_nothing_leave_no_row() {
    let home = Home::new();
    let database = home.open().await;
    assert!(matches!(try_once(&database, 101).await, Err(Fault::Refused(Refusal::InsufficientFunds))));
    assert_eq!(finish(&database, Decision::Commit).await.unwrap_err().code(), &codes::FENCE_VIOLATION);
    assert_eq!((effects(&database).await, states(&database).await), (Vec::<String>::new(), vec![]));
}

#[tokio::test]
async fn a_cancelled_try_is_taken_back_once() {
    let home = Home::new();
    let database = home.open().await;
    try_once(&database, 7).await.unwrap();
    assert_eq!(finish(&database, Decision::Abort).await.unwrap(), Done::Real);
    assert_eq!(finish(&database, Decision::Abort).await.unwrap(), Done::Already);
    assert_eq!(finish(&database, Decision::Commit).await.unwrap_err().code(), &codes::FENCE_VIOLATION);
    assert_eq!(effects(&database).await, ["try", "cancel"]);
}

#[tokio::test]
async fn a_lost_answer_of_a_commit_is_unknown_and_the_repeat_finds_out() {
    for (fault, first_effects) in [(CommitFault::DoneUnknown, 1), (CommitFault::LostUnknown, 0)] {
        let (home, script) = (Home::new(), std::sync::Arc::<Script>::default());
        let database = home.open_with(script.options()).await;
        script.commits.lock().push_back(fault);
        let Err(Fault::Failed(error)) = try_once(&database, 7).await else { panic!("the answer is lost") };
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert_eq!(effects(&database).await.len(), first_effects);
        assert_eq!(try_once(&database, 7).await.unwrap(), Hold(7));
        assert_eq!(effects(&database).await, ["try"]);
    }
}

#[tokio::test]
async fn a_try_that_breaks_at_any_statement_leaves_nothing_and_can_be_repeated() {
    for fault in [StatementFault::Busy, StatementFault::Failed, StatementFault::Unknown] {
        for step in 0..4 {
            let (home, script) = (Home::new(), std::sync::Arc::<Script>::default());
            let database = home.open_with(script.options()).await;
            script.statements.lock().extend(std::iter::repeat_n(None, step).chain([Some(fault)]));
            let Err(Fault::Failed(error)) = try_once(&database, 7).await else { panic!("step {step} fails") };
            assert_eq!(error.certainty(), Certainty::NotDone, "{fault:?} at {step}: {error}");
            assert_eq!((effects(&database).await.len(), states(&database).await.len()), (0, 0), "{fault:?} at {step}");
            assert_eq!(try_once(&database, 7).await.unwrap(), Hold(7));
        }
    }
}

#[tokio::test]
async fn a_participant_that_dies_between_try_and_confirm_finishes_after_its_restart() {
    let home = Home::new();
    let database = home.open().await;
    try_once(&database, 7).await.unwrap();
    let claim = claim(xid(), Request::Confirm, Timestamp::EPOCH);
    let mut tx = database.begin().await.unwrap();
    assert_eq!(tx.fence(&claim).await.unwrap().before, Some(State::Tried));
    tx.set_fence(&claim.key, State::Confirmed, None).await.unwrap();
    drop((tx, database));
    let database = home.open().await;
    assert_eq!(states(&database).await, [1]);
    assert_eq!(finish(&database, Decision::Commit).await.unwrap(), Done::Real);
    assert_eq!(effects(&database).await, ["try", "confirm"]);
}

fn claim(xid: Xid, request: Request, deadline: Timestamp) -> FenceClaim {
    FenceClaim { key: FenceKey { xid, branch: BranchId::root(1) }, service: "pay.Debit", request, deadline }
}

#[tokio::test]
async fn only_overdue_tries_are_found_page_by_page() {
    let home = Home::new();
    let database = home.open().await;
    let now = Timestamp::from_millis(10_000);
    let number = |counter| Xid::new(ShardId(1), Generation(1), counter, 0);
    let mut tx = database.begin().await.unwrap();
    for counter in 1..=5 {
        tx.fence(&claim(number(counter), Request::Try, now.before(Duration::from_secs(1)))).await.unwrap();
    }
    tx.fence(&claim(number(6), Request::Try, now)).await.unwrap();
    tx.fence(&claim(number(7), Request::Cancel, Timestamp::EPOCH)).await.unwrap();
    tx.set_fence(&claim(number(2), Request::Try, now).key, State::Confirmed, None).await.unwrap();
    tx.commit().await.unwrap();

    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = OverdueQuery { service: "pay.Debit", deadline_before: now, after: after.clone(), limit: 3 };
        let keys = LocalStore::overdue(&database, page).await.unwrap();
        found.extend(keys.iter().map(|key| key.xid.counter()));
        let Some(last) = keys.last() else { break };
        after = Some(last.clone());
    }
    assert_eq!(found, [1, 3, 4, 5]);
    let other = OverdueQuery { service: "pay.Credit", deadline_before: now, after: None, limit: 3 };
    assert_eq!(LocalStore::overdue(&database, other).await.unwrap(), []);
}

#[tokio::test]
async fn a_clock_that_is_set_back_during_a_try_does_not_keep_what_it_holds_for_hours() {
    let home = Home::new();
    let database = home.open().await;
    let hours_ahead = env::wall_clock().after(Duration::from_secs(6 * 60 * 60));
    let claim = claim(xid(), Request::Try, hours_ahead);
    let mut tx = database.begin().await.unwrap();
    tx.fence(&claim).await.unwrap();
    let written_ahead = query("UPDATE settee_fence SET updated_at_ms = ?").bind(hours_ahead.millis());
    written_ahead.execute(&mut tx).await.unwrap();
    // The clock is right again before the try ends.
    tx.set_fence(&claim.key, State::Tried, Some(Bytes::from_static(b"hold"))).await.unwrap();
    LocalTx::commit(tx).await.unwrap();
    let page = OverdueQuery { service: "pay.Debit", deadline_before: env::wall_clock(), after: None, limit: 9 };
    assert_eq!(LocalStore::overdue(&database, page).await.unwrap(), [claim.key]);
}
