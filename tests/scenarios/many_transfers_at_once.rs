//! Many transfers over few accounts at once: no money is made or lost, and no account is ever overdrawn.

use std::collections::BTreeMap;

use futures::future::join_all;
use settee_payments::api::{PaymentClient, Refusal, Transfer};
use settee_tests::{House, all_ended, balance, open, order, settle};

const TRANSFERS: usize = 200;
const ACCOUNTS: [&str; 10] = ["ann", "ben", "cem", "dan", "eva", "fay", "gus", "hal", "ida", "jim"];

/// So little that some transfers cannot be covered.
const OPENED: i64 = 50_00;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_transfers_over_ten_accounts_conserve_money() {
    let house = House::start().await;
    conserves_money(house, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_conserve_it_also_when_ledgers_are_restarted_meanwhile() {
    let house = House::start().await;
    conserves_money(house, async |house| {
        for name in ["account-1", "account-2", "account-1"] {
            house.stop_service(name).await;
            house.start_service(name).await;
        }
    })
    .await;
}

async fn conserves_money(mut house: House, meanwhile: impl AsyncFnOnce(&mut House)) {
    open(&house.caller, &ACCOUNTS, OPENED).await;
    let payment: PaymentClient = house.caller.client();
    let orders: Vec<_> = (0..TRANSFERS).map(transfer).collect();
    let paying = settee::spawn({
        let orders = orders.clone();
        async move { join_all(orders.iter().map(|order| settle(&payment, order))).await }
    });
    meanwhile(&mut house).await;
    let outcomes = paying.await.unwrap();

    all_ended(&house.caller).await;
    let mut expected: BTreeMap<_, _> = ACCOUNTS.iter().map(|account| ((*account).to_owned(), OPENED)).collect();
    for (order, outcome) in orders.iter().zip(&outcomes) {
        match outcome {
            Ok(_) => {
                *expected.get_mut(&order.debtor).unwrap() -= cents(order);
                *expected.get_mut(&order.creditor).unwrap() += cents(order);
            }
            Err(refusal) => assert_eq!(*refusal, Refusal::InsufficientFunds, "{}", order.id),
        }
    }
    for (account, expected) in expected {
        let found = balance(&house.caller, &account).await;
        assert_eq!(found, (expected, 0), "{account}");
        assert!(found.0 >= 0, "{account} is overdrawn");
    }
    assert!(outcomes.iter().any(Result::is_ok));
    house.stop().await;
}

/// Transfers over all pairs, of 1 to 13 EUR.
fn transfer(number: usize) -> Transfer {
    let debtor = number % ACCOUNTS.len();
    let creditor = (debtor + 1 + number / ACCOUNTS.len() % (ACCOUNTS.len() - 1)) % ACCOUNTS.len();
    order(&format!("t-{number}"), ACCOUNTS[debtor], ACCOUNTS[creditor], &(number % 13 + 1).to_string())
}

fn cents(order: &Transfer) -> i64 {
    order.amount.parse::<i64>().expect("whole EUR") * 100
}
