//! A transfer whose deadline passes is aborted, also when nobody asks for it, and what it held is free again.

use std::time::Duration;

use settee::Error;
use settee::error::{Certainty, codes};
use settee::txn::{Cause, State, TransactionControl, TransactionControlClient};
use settee_payments::api::{DebitClient, PaymentClient};
use settee_tests::{House, all_ended, balance, open, order, settle, transactions_of, until};

/// Long enough for a try on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_nobody_decides_is_aborted_and_its_money_is_free_again() {
    let house = House::start().await;
    open(&house.caller, &["alice", "bob"], 100_00).await;
    let debit: DebitClient = house.caller.client();
    let control: TransactionControlClient = house.caller.control();
    let transactions = house.caller.transactions();
    until(|| async { control.stats().await.ok() }).await;

    let transfer = transactions.begin("transfer", TIMEOUT).with_reference("t-1");
    let leg = order("t-1", "alice", "bob", "80").debit(80_00);
    until(|| async { transfer.attempt(&debit, leg.clone()).await.ok() }).await;
    assert_eq!(balance(&house.caller, "alice").await, (100_00, 80_00), "the try holds it");

    // Time passes, and nobody says a word.
    until(|| async { (balance(&house.caller, "alice").await == (100_00, 0)).then_some(()) }).await;
    all_ended(&house.caller).await;
    let tried = transactions_of(&house.caller, "t-1").await;
    assert_eq!((tried.len(), tried[0].state, tried[0].cause), (1, State::Aborted, Some(Cause::Deadline)), "{tried:#?}");

    // A commit that comes too late is told so, and changes nothing.
    let error: Error = transfer.commit().await.expect_err("it was aborted");
    assert_eq!((error.certainty(), error.code()), (Certainty::NotDone, &codes::DECIDED_OTHERWISE));
    let payment: PaymentClient = house.caller.client();
    settle(&payment, &order("t-2", "alice", "bob", "100")).await.expect("all of it is free");
    assert_eq!(balance(&house.caller, "alice").await, (0, 0));
    house.stop().await;
}
