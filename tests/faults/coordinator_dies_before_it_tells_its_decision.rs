//! The coordinator is killed when its decision is on disk and nobody has heard of it: it stands.

use settee::txn::State;
use settee_tests::{Street, all_ended, balance, transactions_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_nobody_heard_of_is_carried_out() {
    let mut street = Street::start().await;
    let paying = street.stop_at_an_untold_decision().await;
    street.kill("server").await;
    street.start_part("server").await;

    let receipt = paying.await.unwrap().expect("nothing speaks against it");
    all_ended(&street.caller).await;
    let tried = transactions_of(&street.caller, "t-1").await;
    assert_eq!(tried.len(), 1, "the decision of before stands: {tried:#?}");
    assert_eq!((tried[0].state, tried[0].xid.to_string()), (State::Committed, receipt.xid));
    assert_eq!(balance(&street.caller, "alice").await, (87_50, 0));
    assert_eq!(balance(&street.caller, "bob").await, (112_50, 0));
}
