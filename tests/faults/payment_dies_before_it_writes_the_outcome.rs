//! The payment service is killed when the money has moved and its book does not say so: the order repeated moves nothing.

use settee::txn::State;
use settee_payments::api::{Notify, NotifyClient, Payment, PaymentClient};
use settee_tests::{Street, balance, open, order, reach, settle, transactions_of, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_repeated_after_a_crash_gets_the_receipt_of_the_transfer_that_was_made() {
    let mut street = Street::start().await;
    open(&street.caller, &["alice", "bob"], 100_00).await;
    let payment: PaymentClient = street.caller.client();
    reach(&payment).await;
    // The first commit of an order says which transaction tries it, the second how that ended.
    street.part("payment").hold("sql.commit", 1).await;

    let transfer = order("t-1", "alice", "bob", "12.50");
    let (first, asked) = (payment.clone(), transfer.clone());
    let unanswered = settee::spawn(async move { first.transfer(asked).await });
    street.part("payment").is_held_at("sql.commit").await;
    assert_eq!(balance(&street.caller, "alice").await, (87_50, 0), "the money has moved");
    street.kill("payment").await;
    assert!(unanswered.await.unwrap().is_err(), "and nobody was told");
    street.start_part("payment").await;

    let receipt = settle(&payment, &transfer).await.expect("it was made");
    let tried = transactions_of(&street.caller, "t-1").await;
    assert_eq!(tried.len(), 1, "{tried:#?}");
    assert_eq!((tried[0].state, tried[0].xid.to_string()), (State::Committed, receipt.xid.clone()));
    assert_eq!(settle(&payment, &transfer).await, Ok(receipt));
    assert_eq!(balance(&street.caller, "alice").await, (87_50, 0));
    assert_eq!(balance(&street.caller, "bob").await, (112_50, 0));
    let notify: NotifyClient = street.caller.client();
    until(|| async { (notify.counts().await.ok()?.rows == 1).then_some(()) }).await;
}
