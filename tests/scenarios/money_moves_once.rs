//! One transfer goes through all eight components; the same order again moves nothing.

use settee::job::control::{RunKey, Trigger};
use settee::job::{JobControl, JobControlClient};
use settee::trace::control::{TraceControl, TraceControlClient};
use settee::txn::{ListTransactions, TransactionControl, TransactionControlClient};
use settee_payments::api::{Notify, NotifyClient, Payment, PaymentClient, RECONCILE, Refusal};
use settee_tests::{House, balance, open, order, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_moves_money_once_and_is_notified_traced_and_reconciled() {
    let house = House::start().await;
    open(&house.caller, &["alice", "bob", "carol"], 100_00).await;
    let payment: PaymentClient = house.caller.client();

    // The money moves.
    let transfer = order("t-1", "alice", "bob", "12.50");
    let receipt = until(|| async { payment.transfer(transfer.clone()).await.ok() }).await;
    assert_eq!((balance(&house.caller, "alice").await, balance(&house.caller, "bob").await), ((87_50, 0), (112_50, 0)));

    // The same order again repeats its outcome; another under its id is refused.
    assert_eq!(payment.transfer(transfer.clone()).await.unwrap(), receipt);
    let other = payment.transfer(order("t-1", "alice", "bob", "99")).await.unwrap_err();
    assert_eq!(other.refusal(), Some(&Refusal::DuplicateId));

    // Refusals hold nothing.
    for (id, debtor, creditor, amount, reason) in [
        ("t-2", "alice", "bob", "0", Refusal::ZeroAmount),
        ("t-3", "alice", "bob", "1.005", Refusal::InvalidAmount),
        ("t-4", "nobody", "bob", "1", Refusal::UnknownAccount),
        ("t-5", "alice", "alice", "1", Refusal::SameAccount),
        ("t-6", "alice", "carol", "1000", Refusal::InsufficientFunds),
    ] {
        let fault = payment.transfer(order(id, debtor, creditor, amount)).await.unwrap_err();
        assert_eq!(fault.refusal(), Some(&reason), "{id}: {fault}");
    }
    assert_eq!(balance(&house.caller, "alice").await, (87_50, 0));

    // One notification, found by the transaction's reference.
    let notify: NotifyClient = house.caller.client();
    until(|| async { (notify.notified(vec!["t-1".into()]).await.ok()? == 1).then_some(()) }).await;
    let transactions: TransactionControlClient = house.caller.control();
    let list = ListTransactions { reference: Some("t-1".into()), limit: 10, ..ListTransactions::default() };
    let found = transactions.list(list).await.unwrap();
    assert_eq!(found.transactions[0].xid.to_string(), receipt.xid);

    // The reconcile job has a slice for each ledger.
    let jobs: JobControlClient = house.caller.control();
    let due = settee_core::env::wall_clock();
    let trigger = Trigger { job: RECONCILE.into(), due, reference: None };
    until(|| async { jobs.trigger(trigger.clone()).await.ok() }).await;
    let run = until(|| async {
        let run = jobs.run(RunKey { job: RECONCILE.into(), due }).await.ok()?;
        run.slices.iter().all(|slice| slice.state.is_over()).then_some(run)
    })
    .await;
    assert_eq!(run.slices.len(), 2, "{run:?}");

    // One trace spans them all.
    let traces: TraceControlClient = house.caller.control();
    until(|| async { (traces.stats().await.ok()?.widest >= 5).then_some(()) }).await;
    house.stop().await;
}
