//! The ledger that holds the money is killed after its try and before its confirmation: the hold outlives it.

use settee::txn::State;
use settee_payments::api::PaymentClient;
use settee_tests::{Street, all_ended, balance, holder, open, order, settle, transactions_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_a_dead_ledger_held_is_moved_when_it_is_back() {
    let mut street = Street::start().await;
    open(&street.caller, &["alice", "bob"], 100_00).await;
    let ledger = holder("alice");
    street.part(ledger).hold("pay.Debit.phase_two", 0).await;

    let payment: PaymentClient = street.caller.client();
    let paying = settee::spawn(async move { settle(&payment, &order("t-1", "alice", "bob", "12.50")).await });
    street.part(ledger).is_held_at("pay.Debit.phase_two").await;
    assert_eq!(balance(&street.caller, "alice").await, (100_00, 12_50), "tried, and not confirmed");
    street.kill(ledger).await;
    street.start_part(ledger).await;

    let receipt = paying.await.unwrap().expect("nothing speaks against it");
    all_ended(&street.caller).await;
    let tried = transactions_of(&street.caller, "t-1").await;
    assert_eq!(tried.len(), 1, "{tried:#?}");
    assert_eq!((tried[0].state, tried[0].xid.to_string()), (State::Committed, receipt.xid));
    assert_eq!(balance(&street.caller, "alice").await, (87_50, 0));
    assert_eq!(balance(&street.caller, "bob").await, (112_50, 0));
}
