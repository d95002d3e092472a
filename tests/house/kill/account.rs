//! The ledgers of the example under transfers: each acknowledged transfer is in the books once, and the books are conserved.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use settee::Error;
use settee::app::{App, Running};
use settee::txn::{TransactionControl, TransactionControlClient};
use settee_core::env;
use settee_payments::api::{Account, AccountClient, NewAccount, Payment, PaymentClient, Transfer};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row, query};

use super::crowd::Crowd;
use super::verdict::Wrong;
use super::{LOAD, PATIENCE, Plan, Share, Target};
use crate::process::{Launch, Process};
use crate::{SERVICES, application, local, order, outcome, patiently, settings};

/// Callers that pay.
const CALLERS: usize = 16;

/// Transfers of a cycle.
const TRANSFERS: Share = Share::new(100, 10_000);

/// Accounts of both ledgers together.
const ACCOUNTS: usize = 24;

/// EUR cents of each: no transfer of a run is refused.
const OPENED: i64 = 1_000_000_000;

/// The ledgers, and who pays.
pub(super) struct Ledgers {
    /// The ledgers by name. Which one is killed next is drawn when a cycle begins.
    ledgers: BTreeMap<&'static str, (Option<Process>, Launch)>,
    victim: &'static str,
    books: [PathBuf; 2],
    transfers: Arc<Transfers>,
    control: TransactionControlClient,
    crowd: Crowd,
    /// The server and the payment service, and the caller's application.
    _others: (Vec<Process>, Running),
}

struct Transfers {
    payment: PaymentClient,
    number: AtomicU64,
    /// Those that were acknowledged.
    made: Mutex<Vec<Made>>,
}

/// A transfer that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    transfer: String,
    debtor: String,
    creditor: String,
    minor: i64,
}

impl Ledgers {
    pub(super) async fn start(plan: &Plan) -> Result<Self, Error> {
        super::make(&plan.folder)?;
        let started = |launch: Launch| async move { launch.start().await.map_err(|ended| super::stuck(&ended.to_string())) };
        let server = started(plan.launch_server(local())).await?;
        let address = server.address();
        let mut ledgers = BTreeMap::new();
        for name in ["account-1", "account-2"] {
            let launch = plan.launch_service(name, address);
            ledgers.insert(name, (Some(started(launch.clone()).await?), launch));
        }
        let payment = started(plan.launch_service("payment", address)).await?;
        let app = App::new("kill", settee::config::Settings { trace: false, ..settings(address) })?;
        open(&app.client()).await?;
        let transfers = Transfers { payment: app.client(), number: AtomicU64::new(0), made: Mutex::default() };
        let transfers = Arc::new(transfers);
        let paying = transfers.clone();
        let crowd = Crowd::of(CALLERS, move || paying.clone().once().boxed());
        let books = ["account-1", "account-2"].map(|name| plan.database(name));
        let control = app.control();
        let others = (vec![server, payment], app.start().await?);
        Ok(Self { ledgers, victim: "account-1", books, transfers, control, crowd, _others: others })
    }
}

/// What is wrong with the books, once nothing is open.
async fn wrong(control: TransactionControlClient, transfers: Arc<Transfers>, books: [PathBuf; 2]) -> Vec<Wrong> {
    let none_open = || async { (control.stats().await.ok()?.open == 0).then_some(()) };
    if patiently(PATIENCE, none_open).await.is_none() {
        return vec![Wrong::Lost(format!("transfers are still open after {PATIENCE:?}"))];
    }
    match futures::future::try_join_all(books.iter().map(|book| read(book))).await {
        Ok(books) => judge(&transfers.made(), &books.concat()),
        Err(error) => vec![Wrong::Lost(format!("the books cannot be read: {error}"))],
    }
}

impl Plan {
    fn database(&self, service: &str) -> PathBuf {
        self.folder.join(format!("{service}.db"))
    }

    fn launch_service(&self, name: &str, server: SocketAddr) -> Launch {
        let (application, share) = application(name);
        let (server, database) = (server.to_string(), self.database(name));
        let arguments = ["demo-process", application, "--server", &server, "--database"].map(OsStr::new);
        let launch = Launch::new(&self.settee, &self.log(name)).with(arguments).with([database.as_os_str()]);
        let share = share.iter().flat_map(|share| ["--share".as_ref(), OsStr::new(share)]);
        launch.with(share).bound_to(&self.lifeline())
    }
}

impl Target for Ledgers {
    fn crowds(&self) -> Vec<(&Crowd, Share)> {
        vec![(&self.crowd, TRANSFERS)]
    }

    fn begin_cycle(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        self.victim = SERVICES[env::random_below(self.ledgers.len())];
        async { Ok(()) }.boxed()
    }

    fn victim(&mut self) -> (&mut Option<Process>, Launch) {
        let (process, launch) = self.ledgers.get_mut(self.victim).expect("both ledgers are known");
        (process, launch.clone())
    }

    fn check(&mut self) -> BoxFuture<'_, Vec<Wrong>> {
        wrong(self.control.clone(), self.transfers.clone(), self.books.clone()).boxed()
    }

    /// The books are looked through as a whole each time.
    fn check_all(&mut self) -> BoxFuture<'_, Vec<Wrong>> {
        self.check()
    }
}

impl Transfers {
    /// One transfer, ordered again until it has its outcome: whether it was made.
    async fn once(self: Arc<Self>) -> bool {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (debtor, creditor) = pair();
        let minor = 1 + i64::try_from(number % 9_999).unwrap_or(0);
        let amount = format!("{}.{:02}", minor / 100, minor % 100);
        let order = order(&format!("k-{number}"), &account(debtor), &account(creditor), &amount);
        if !matches!(patiently(LOAD, || self.ask(&order)).await, Some(Ok(_))) {
            return false;
        }
        let Transfer { id: transfer, debtor, creditor, .. } = order;
        self.made().push(Made { transfer, debtor, creditor, minor });
        true
    }

    async fn ask(&self, order: &Transfer) -> Option<Result<settee_payments::api::Receipt, settee_payments::api::Refusal>> {
        outcome(self.payment.transfer(order.clone()).await)
    }

    fn made(&self) -> MutexGuard<'_, Vec<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn open(ledgers: &AccountClient) -> Result<(), Error> {
    let new = |number| NewAccount {
        account: account(number),
        owner: "somebody".to_owned(),
        currency: "EUR".to_owned(),
        minor: OPENED,
        closed: false,
    };
    for new in (0..ACCOUNTS).map(new) {
        let opened = patiently(PATIENCE, || async { ledgers.open(new.account.clone(), vec![new.clone()]).await.ok() }).await;
        opened.ok_or_else(|| super::stuck("accounts are not opened"))?;
    }
    Ok(())
}

/// Two accounts, not the same.
fn pair() -> (usize, usize) {
    let debtor = env::random_below(ACCOUNTS);
    (debtor, (debtor + 1 + env::random_below(ACCOUNTS - 1)) % ACCOUNTS)
}

fn account(number: usize) -> String {
    format!("kill-{number}")
}

/// One account as its ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Book {
    account: String,
    balance: i64,
    frozen: i64,
    /// What was entered, by transfer.
    entries: BTreeMap<String, i64>,
}

/// Reads a ledger's file beside the process that has it.
async fn read(file: &Path) -> sqlx::Result<Vec<Book>> {
    let mut connection = SqliteConnectOptions::new().filename(file).read_only(true).connect().await?;
    let mut books = BTreeMap::new();
    for row in query("SELECT account, balance_minor, frozen_minor FROM accounts").fetch_all(&mut connection).await? {
        let account: String = row.try_get(0)?;
        let book = Book { account: account.clone(), balance: row.try_get(1)?, frozen: row.try_get(2)?, entries: BTreeMap::new() };
        books.insert(account, book);
    }
    for row in query("SELECT account, transfer, minor FROM entries").fetch_all(&mut connection).await? {
        if let Some(book) = books.get_mut(row.try_get::<&str, _>(0)?) {
            book.entries.insert(row.try_get(1)?, row.try_get(2)?);
        }
    }
    Ok(books.into_values().collect())
}

/// Holds the books against the transfers that were acknowledged, while nothing is open.
fn judge(made: &[Made], books: &[Book]) -> Vec<Wrong> {
    let mut expected: BTreeMap<&str, BTreeMap<String, i64>> = BTreeMap::new();
    for Made { transfer, debtor, creditor, minor } in made {
        expected.entry(debtor).or_default().insert(transfer.clone(), -minor);
        expected.entry(creditor).or_default().insert(transfer.clone(), *minor);
    }
    let mut wrong = Vec::new();
    for book in books {
        let wanted = expected.remove(book.account.as_str()).unwrap_or_default();
        wrong.extend(book.judge(&wanted));
    }
    wrong.extend(expected.into_keys().map(|account| Wrong::Lost(format!("account {account}"))));
    let sum: i64 = books.iter().map(|book| book.balance - OPENED).sum();
    if sum != 0 {
        wrong.push(Wrong::Lost(format!("the books are not conserved: {sum} cents too many")));
    }
    wrong
}

impl Book {
    fn judge(&self, wanted: &BTreeMap<String, i64>) -> Vec<Wrong> {
        let account = &self.account;
        let missing = wanted.iter().filter(|(transfer, minor)| self.entries.get(*transfer) != Some(minor));
        let mut wrong: Vec<_> =
            missing.map(|(id, minor)| Wrong::Lost(format!("{minor} of transfer {id} at {account}"))).collect();
        let entered: i64 = self.entries.values().sum();
        if self.balance != OPENED + entered {
            let what = format!("account {account} has {} cents, its entries add up to {}", self.balance, OPENED + entered);
            wrong.push(Wrong::Duplicated(what));
        }
        if self.frozen != 0 {
            wrong.push(Wrong::Lost(format!("{} cents of account {account} stay frozen", self.frozen)));
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(account: &str, balance: i64, frozen: i64, entries: &[(&str, i64)]) -> Book {
        let entries = entries.iter().map(|(transfer, minor)| ((*transfer).to_owned(), *minor)).collect();
        Book { account: account.to_owned(), balance: OPENED + balance, frozen, entries }
    }

    fn judged(debtor: Book, creditor: Book) -> Vec<String> {
        let made = Made { transfer: "k".to_owned(), debtor: "a".to_owned(), creditor: "b".to_owned(), minor: 5 };
        let wrong = judge(&[made], &[debtor, creditor]);
        wrong.iter().map(|wrong| wrong.to_string().split(':').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn money_that_is_lost_doubled_or_held_is_told() {
        let (paid, got) = (book("a", -5, 0, &[("k", -5)]), book("b", 5, 0, &[("k", 5)]));
        assert_eq!(judged(paid.clone(), got.clone()), Vec::<String>::new());
        let (nothing, untouched) = (book("a", 0, 0, &[]), book("b", 0, 0, &[]));
        assert_eq!(judged(nothing, untouched.clone()), ["lost", "lost"], "of both sides");
        assert_eq!(judged(paid.clone(), untouched), ["lost", "lost"], "of one side, and the books are not conserved");
        assert_eq!(judged(paid, book("b", 10, 0, &[("k", 5)])), ["duplicated", "lost"], "and the books are not conserved");
        assert_eq!(judged(book("a", -5, 5, &[("k", -5)]), got), ["lost"], "held for ever");
    }
}
