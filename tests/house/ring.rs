//! Accounts in a ring, each of which pays the next: every transfer has its own amount, so that one too many, or one that is
//! missing, shows in the balances.

use futures::future::join_all;
use settee::app::App;
use settee::txn::State;
use settee_core::env;
use settee_payments::api::{PaymentClient, Transfer};

use crate::{all_ended, balance, open, order, settle, transactions_of};

/// EUR cents with which every account is opened.
const OPENED: i64 = 100_000;

/// The ring.
#[derive(Clone, Debug)]
pub struct Ring(Vec<String>);

impl Ring {
    /// A ring of so many accounts, opened.
    ///
    /// # Panics
    /// When the ledgers do not take them.
    pub async fn open(caller: &App, accounts: usize) -> Self {
        let names: Vec<_> = (0..accounts).map(|number| format!("ring-{number}")).collect();
        open(caller, &names.iter().map(String::as_str).collect::<Vec<_>>(), OPENED).await;
        Self(names)
    }

    /// One order of each account for the next: of 1 EUR, of 2 EUR, and so on.
    #[must_use]
    pub fn orders(&self) -> Vec<Transfer> {
        let order = |number: usize| {
            let (debtor, creditor) = (&self.0[number], &self.0[(number + 1) % self.0.len()]);
            order(&format!("r-{number}"), debtor, creditor, &(number + 1).to_string())
        };
        (0..self.0.len()).map(order).collect()
    }

    /// Starts to pay everything at once; each order is repeated until it has its outcome.
    pub fn pay(&self, payment: &PaymentClient) -> Vec<env::JoinHandle<()>> {
        let pay = |order: Transfer| {
            let payment = payment.clone();
            env::spawn(async move {
                let receipt = settle(&payment, &order).await.expect("nothing speaks against it");
                assert_eq!(receipt.transfer, order.id);
            })
        };
        self.orders().into_iter().map(pay).collect()
    }

    /// Waits for what [`Ring::pay`] started, and proves that every transfer was made exactly once and nothing is held.
    ///
    /// # Panics
    /// When it was not.
    pub async fn is_paid(&self, caller: &App, paying: Vec<env::JoinHandle<()>>) {
        for paid in join_all(paying).await {
            paid.expect("every order has its outcome");
        }
        all_ended(caller).await;
        for (number, account) in self.0.iter().enumerate() {
            let (paid, got) = (cents(number), cents(number.checked_sub(1).unwrap_or(self.0.len() - 1)));
            assert_eq!(balance(caller, account).await, (OPENED - paid + got, 0), "{account}");
        }
        for order in self.orders() {
            let tried = transactions_of(caller, &order.id).await;
            let made = tried.iter().filter(|tried| tried.state == State::Committed).count();
            assert_eq!(made, 1, "{}: {tried:#?}", order.id);
        }
    }
}

fn cents(number: usize) -> i64 {
    i64::try_from(number + 1).expect("a small ring") * 100
}
