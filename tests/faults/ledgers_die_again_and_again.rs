//! Ledgers are killed one after the other amid transfers, wherever they happen to be.

use settee_tests::{Ring, Street};

const TRANSFERS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_amid_dying_ledgers_are_each_made_once() {
    let mut street = Street::start().await;
    let ring = Ring::open(&street.caller, TRANSFERS).await;
    let paying = ring.pay(&street.caller.client());
    for ledger in ["account-1", "account-2", "account-1"] {
        street.kill(ledger).await;
        street.start_part(ledger).await;
    }
    ring.is_paid(&street.caller, paying).await;
}
