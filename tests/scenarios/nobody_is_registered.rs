//! Without the registry nobody finds anybody: calls fail, certainly had no effect, and say what is missing.

use settee::app::App;
use settee::error::{Certainty, ErrorKind, codes};
use settee_payments::api::{Account, AccountClient, Payment, PaymentClient};
use settee_tests::{House, balance, holder, local, open, order, settings, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_without_a_registry_moves_nothing_and_says_that_no_instance_is_published() {
    let house = House::start().await;
    open(&house.caller, &["alice", "bob"], 100_00).await;

    // The services run, and this caller cannot know where.
    let lost = App::new("lost", settings(local())).unwrap();
    let payment: PaymentClient = lost.client();
    let fault = payment.transfer(order("t-1", "alice", "bob", "12.50")).await.unwrap_err();
    let error = fault.failure().expect("not a refusal");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, &codes::NO_INSTANCE));
    assert_eq!((error.certainty(), error.is_retryable()), (Certainty::NotDone, true));
    assert!(error.message().contains("pay.Payment.transfer") && error.message().contains("no instance is published"), "{error}");
    assert_eq!(balance(&house.caller, "alice").await, (100_00, 0));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_of_a_ledger_that_left_is_told_who_is_there_instead() {
    let mut house = House::start().await;
    open(&house.caller, &["alice", "bob"], 100_00).await;
    house.stop_service(holder("alice")).await;

    let ledgers: AccountClient = house.caller.client();
    let told = until(|| async {
        let fault = ledgers.find("alice".into()).await.err()?;
        let error = fault.failure().filter(|error| *error.code() == codes::NO_INSTANCE)?;
        assert_eq!(error.certainty(), Certainty::NotDone);
        error.message().contains("known are").then(|| error.message().to_owned())
    })
    .await;
    assert!(told.contains("no instance for its routing key; known are 127.0.0.1:"), "{told}");

    house.start_service(holder("alice")).await;
    assert_eq!(balance(&house.caller, "alice").await, (100_00, 0), "the ledger is as it was left");
    house.stop().await;
}
