//! Without traces everything ends as it does with them, and nobody records a span.

use settee::trace::control::{TraceControl, TraceControlClient};
use settee_payments::api::{Notify, NotifyClient, PaymentClient, Refusal};
use settee_tests::{House, balance, open, order, settle, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_are_the_same_with_and_without_traces() {
    let (traced, untraced) = tokio::join!(House::start(), House::without_traces());
    assert_eq!(outcomes(&traced).await, outcomes(&untraced).await);

    let with: TraceControlClient = traced.caller.control();
    until(|| async { (with.stats().await.ok()?.spans > 0).then_some(()) }).await;
    let without: TraceControlClient = untraced.caller.control();
    assert_eq!(without.stats().await.unwrap().spans, 0);
    assert!(without.recent(10).await.unwrap().is_empty());
    tokio::join!(traced.stop(), untraced.stop());
}

/// How a good and a bad order end, and where the money is then.
async fn outcomes(house: &House) -> (Vec<Result<String, Refusal>>, [(i64, i64); 2]) {
    open(&house.caller, &["alice", "bob"], 100_00).await;
    let payment: PaymentClient = house.caller.client();
    let mut outcomes = Vec::new();
    for (id, amount) in [("t-1", "12.50"), ("t-2", "1000"), ("t-3", "0"), ("t-1", "12.50"), ("t-1", "13")] {
        outcomes.push(settle(&payment, &order(id, "alice", "bob", amount)).await.map(|receipt| receipt.transfer));
    }
    let notify: NotifyClient = house.caller.client();
    until(|| async { (notify.counts().await.ok()?.rows == 1).then_some(()) }).await;
    (outcomes, [balance(&house.caller, "alice").await, balance(&house.caller, "bob").await])
}
