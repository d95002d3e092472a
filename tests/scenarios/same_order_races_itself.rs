//! The same order arrives many times at the same moment: one outcome stands, and the money moves once.

use futures::future::join_all;
use settee::txn::State;
use settee_payments::api::{Notify, NotifyClient, PaymentClient, Refusal};
use settee_tests::{House, all_ended, balance, open, order, settle, transactions_of, until};

const CALLERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_sent_by_many_at_once_is_made_once() {
    let house = House::start().await;
    open(&house.caller, &["alice", "bob"], 100_00).await;
    let payment: PaymentClient = house.caller.client();

    let same = order("t-1", "alice", "bob", "12.50");
    let outcomes = join_all((0..CALLERS).map(|_| settle(&payment, &same))).await;
    let receipt = outcomes[0].clone().expect("there is enough");
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(receipt.clone())), "{outcomes:#?}");
    all_ended(&house.caller).await;
    assert_eq!(balance(&house.caller, "alice").await, (87_50, 0));
    assert_eq!(balance(&house.caller, "bob").await, (112_50, 0));
    let tried = transactions_of(&house.caller, "t-1").await;
    assert_eq!(tried.iter().filter(|tried| tried.state == State::Committed).count(), 1, "{tried:#?}");
    let notify: NotifyClient = house.caller.client();
    until(|| async { (notify.counts().await.ok()?.rows == 1).then_some(()) }).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_orders_with_one_id_one_is_made_and_the_other_is_a_duplicate() {
    let house = House::start().await;
    open(&house.caller, &["alice", "bob"], 100_00).await;
    let payment: PaymentClient = house.caller.client();

    let (one, other) = (order("t-1", "alice", "bob", "1"), order("t-1", "alice", "bob", "2"));
    let (first, second) = tokio::join!(settle(&payment, &one), settle(&payment, &other));
    let (made, moved) = match (&first, &second) {
        (Ok(receipt), Err(Refusal::DuplicateId)) => (receipt, 1_00),
        (Err(Refusal::DuplicateId), Ok(receipt)) => (receipt, 2_00),
        both => panic!("one of two is made: {both:?}"),
    };
    all_ended(&house.caller).await;
    assert_eq!(balance(&house.caller, "alice").await, (100_00 - moved, 0));
    let tried = transactions_of(&house.caller, "t-1").await;
    let committed: Vec<_> =
        tried.iter().filter(|tried| tried.state == State::Committed).map(|tried| tried.xid.to_string()).collect();
    assert_eq!(committed, std::slice::from_ref(&made.xid), "{tried:#?}");
    house.stop().await;
}
