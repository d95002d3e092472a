use settee::txn::Done;
use settee_sqlx::testing::{Branch, TestDatabase};
use sqlx::query_scalar;

use super::*;

/// A ledger in which A-1 has 100.
async fn ledger() -> (TestDatabase, Ledger) {
    let database = TestDatabase::open().await;
    ledger::create(&database).await.unwrap();
    let account = NewAccount { account: "A-1".into(), owner: "Ada".into(), currency: "CHF".into(), minor: 100, closed: false };
    ledger::open(&database, &[account]).await.unwrap();
    let ledger = Ledger { database: database.clone() };
    (database, ledger)
}

fn leg(minor: i64) -> Leg {
    Leg { transfer: "t-1".into(), account: "A-1".into(), minor, currency: "CHF".into() }
}

/// What A-1 has, and what of it is frozen.
async fn balance(database: &Database) -> (i64, i64) {
    let balance = ledger::find(database, "A-1").await.unwrap();
    (balance.minor, balance.frozen_minor)
}

async fn messages(database: &Database) -> i64 {
    let count = query_scalar("SELECT COUNT(*) FROM settee_outbox");
    count.fetch_one(&mut database.read().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_debit_that_is_asked_for_twice_takes_the_money_once_and_says_so_once() {
    let (database, ledger) = ledger().await;
    let debit = Branch::new(DebitServer::new(ledger, database.clone()), leg(30));
    for _ in 0..2 {
        assert_eq!(debit.attempt().await.unwrap(), Hold { minor: 30 });
        assert_eq!(balance(&database).await, (100, 30));
    }
    assert_eq!(messages(&database).await, 0, "no money has moved");
    assert_eq!(debit.confirm().await.unwrap(), Done::Real);
    assert_eq!(debit.confirm().await.unwrap(), Done::Already);
    assert_eq!((balance(&database).await, messages(&database).await), ((70, 0), 1));
    assert_eq!(ledger::out_of_balance(&database).await.unwrap(), 0);
}

#[tokio::test]
async fn a_cancelled_debit_gives_back_what_it_held_once() {
    let (database, ledger) = ledger().await;
    let debit = Branch::new(DebitServer::new(ledger, database.clone()), leg(30));
    debit.attempt().await.unwrap();
    assert_eq!(debit.cancel().await.unwrap(), Done::Real);
    assert_eq!(debit.cancel().await.unwrap(), Done::Already);
    assert_eq!((balance(&database).await, messages(&database).await), ((100, 0), 0));
}

#[tokio::test]
async fn a_debit_that_comes_after_its_cancel_holds_nothing() {
    let (database, ledger) = ledger().await;
    let debit = Branch::new(DebitServer::new(ledger, database.clone()), leg(30));
    assert_eq!(debit.cancel().await.unwrap(), Done::Empty);
    let error = debit.attempt().await.unwrap_err();
    assert_eq!(error.failure().map(Error::code), Some(&codes::SUPPRESSED));
    assert_eq!(balance(&database).await, (100, 0));
}

#[tokio::test]
async fn money_that_others_hold_makes_a_debit_come_again_and_money_that_is_not_there_refuses_it() {
    let (database, ledger) = ledger().await;
    let debit = |minor| Branch::new(DebitServer::new(ledger.clone(), database.clone()), leg(minor));
    assert_eq!(debit(101).attempt().await.unwrap_err().refusal(), Some(&Refusal::InsufficientFunds));
    debit(60).attempt().await.unwrap();
    let error = debit(60).attempt().await.unwrap_err();
    assert_eq!(error.failure().map(Error::kind), Some(ErrorKind::Limited));
    assert_eq!(balance(&database).await, (100, 60));
}
