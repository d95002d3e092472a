//! Accounts in the ledgers of the example, and transfers between them that nobody refuses: what is loaded here is looked for in
//! the [`books`] afterwards.

pub(crate) mod books;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use settee::{Error, Reply};
use settee_core::env;
use settee_payments::api::{Account, AccountClient, NewAccount, Payment, PaymentClient, Receipt, Refusal, Transfer};

use crate::{PATIENCE, order, outcome, patiently};

/// Accounts of both ledgers together.
const ACCOUNTS: usize = 24;

/// EUR cents of each: no transfer of a run is refused.
const OPENED: i64 = 1_000_000_000;

/// How long a transfer is ordered again until it has its outcome: the longest patience of a client is 30 s.
const ORDERED: Duration = Duration::from_secs(60);

/// An amount from one account to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Movement {
    pub(crate) transfer: String,
    debtor: String,
    creditor: String,
    minor: i64,
}

/// Transfers of one run, and which of them were made.
pub(crate) struct Transfers {
    payment: PaymentClient,
    number: AtomicU64,
    made: Mutex<Vec<Movement>>,
}

impl Transfers {
    /// None yet.
    pub(crate) fn new(payment: PaymentClient) -> Self {
        Self { payment, number: AtomicU64::new(0), made: Mutex::default() }
    }

    /// The next transfer of the run.
    pub(crate) fn next(&self) -> Movement {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (debtor, creditor) = pair();
        let minor = 1 + i64::try_from(number % 9_999).unwrap_or(0);
        Movement { transfer: format!("k-{number}"), debtor: account(debtor), creditor: account(creditor), minor }
    }

    /// Orders a transfer, once.
    pub(crate) async fn ask(&self, movement: &Movement) -> Reply<Receipt, Refusal> {
        self.payment.transfer(movement.order()).await
    }

    /// The next transfer, ordered again until it has its outcome: whether it was made.
    pub(crate) async fn once(self: Arc<Self>) -> bool {
        let movement = self.next();
        let is_made = matches!(patiently(ORDERED, || async { outcome(self.ask(&movement).await) }).await, Some(Ok(_)));
        if is_made {
            self.made().push(movement);
        }
        is_made
    }

    /// Those that were made, as far as this process was told.
    pub(crate) fn made(&self) -> MutexGuard<'_, Vec<Movement>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Movement {
    /// What the payment service is asked for.
    pub(crate) fn order(&self) -> Transfer {
        let amount = format!("{}.{:02}", self.minor / 100, self.minor % 100);
        order(&self.transfer, &self.debtor, &self.creditor, &amount)
    }
}

/// Opens the accounts.
pub(crate) async fn open(ledgers: &AccountClient) -> Result<(), Error> {
    let new = |number| NewAccount {
        account: account(number),
        owner: "somebody".to_owned(),
        currency: "EUR".to_owned(),
        minor: OPENED,
        closed: false,
    };
    for new in (0..ACCOUNTS).map(new) {
        let opened = patiently(PATIENCE, || async { ledgers.open(new.account.clone(), vec![new.clone()]).await.ok() }).await;
        opened.ok_or_else(|| Error::internal(std::io::Error::other(format!("accounts are not opened within {PATIENCE:?}"))))?;
    }
    Ok(())
}

/// Two accounts, not the same.
fn pair() -> (usize, usize) {
    let debtor = env::random_below(ACCOUNTS);
    (debtor, (debtor + 1 + env::random_below(ACCOUNTS - 1)) % ACCOUNTS)
}

fn account(number: usize) -> String {
    format!("bank-{number}")
}
