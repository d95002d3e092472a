//! The coordinator is killed while some transfers are being tried and others are being confirmed: each of them ends, once.

use settee::txn::{ListTransactions, State, TransactionControl, TransactionControlClient};
use settee_tests::{Ring, Street, until};

const TRANSFERS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_were_open_all_end_and_no_money_is_made_or_lost() {
    let mut street = Street::start().await;
    let ring = Ring::open(&street.caller, TRANSFERS).await;

    // One ledger takes no tries, the other no confirmations: no transfer can end.
    street.part("account-1").hold("pay.Debit.attempt", 0).await;
    street.part("account-2").hold("pay.Debit.phase_two", 0).await;
    let paying = ring.pay(&street.caller.client());
    let control: TransactionControlClient = street.caller.control();
    until(|| async {
        (count(&control, State::Active).await? + count(&control, State::Committing).await? == TRANSFERS).then_some(())
    })
    .await;
    assert!(count(&control, State::Active).await.unwrap() > 0, "some are still being tried");
    assert!(count(&control, State::Committing).await.unwrap() > 0, "some are being confirmed");

    street.kill("server").await;
    street.start_part("server").await;
    street.part("account-1").release().await;
    street.part("account-2").release().await;
    ring.is_paid(&street.caller, paying).await;
}

async fn count(control: &TransactionControlClient, state: State) -> Option<usize> {
    let list = ListTransactions { state: Some(state), limit: 100, ..ListTransactions::default() };
    Some(control.list(list).await.ok()?.transactions.len())
}
