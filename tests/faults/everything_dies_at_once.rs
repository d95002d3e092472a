//! The power goes out: every process dies at once amid transfers, and comes back on the folders that it left.

use settee::txn::{TransactionControl, TransactionControlClient};
use settee_payments::api::{Notify, NotifyClient};
use settee_tests::{Ring, SERVICES, Street, until};

const TRANSFERS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_cut_every_order_is_made_once_and_notified_once() {
    let mut street = Street::start().await;
    let ring = Ring::open(&street.caller, TRANSFERS).await;
    let control: TransactionControlClient = street.caller.control();

    let paying = ring.pay(&street.caller.client());
    until(|| async { (control.stats().await.ok()?.committed > 2).then_some(()) }).await;
    street.kill_all().await;
    street.start_part("server").await;
    for name in SERVICES {
        street.start_part(name).await;
    }

    ring.is_paid(&street.caller, paying).await;
    let (notify, ids): (NotifyClient, Vec<_>) =
        (street.caller.client(), ring.orders().into_iter().map(|order| order.id).collect());
    until(|| async { (notify.notified(ids.clone()).await.ok()? == TRANSFERS as u64).then_some(()) }).await;
    assert_eq!(notify.counts().await.unwrap().rows, TRANSFERS as u64);
}
