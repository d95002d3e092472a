//! What stories are told on: a server on the embedded engines and the services of the example, over real sockets and real files.
//!
//! - [`House`]: everything in this process, for stories about what components do together.
//! - [`Street`]: every part a process of its own, which a story stops where it hurts and then kills, as `kill -9` does.
//! - [`Reader`]: somebody who reads a page of the book and does everything that it says.
//! - [`Program`]: any program that serves, such as those of the README.
//! - [`Demo`]: `settee demo`, run to its end.
//! - [`Process`]: the binary `settee` itself, on its command line. [`kill`] loads, kills and checks it for as long as one likes;
//!   [`overload`] offers its services too much.
//! - What a process lives through: a [`SmallDisk`], a [`SyncTrap`]; what it did, as [`trace`] read it; a [`Probe`] that asks it.

mod bank;
mod child;
mod demo;
pub mod driver;
mod hold;
mod home;
mod http;
pub mod kill;
pub mod overload;
pub mod page;
mod probe;
mod process;
mod program;
mod reader;
mod relay;
mod ring;
mod role;
mod skip;
mod small_disk;
mod street;
mod sync_trap;
mod terminal;
pub mod trace;

pub use child::Child;
pub use demo::Demo;
pub use home::House;
pub use http::{Page, browse, get, post};
pub use probe::Probe;
pub use process::{Ended, Launch, Memory, Process, Starting};
pub use program::Program;
pub use reader::{Reader, checkout, in_crate, source, target};
pub use relay::Relay;
pub use ring::Ring;
pub use role::play_if_asked;
pub use skip::skipped;
pub use small_disk::SmallDisk;
pub use street::Street;
pub use sync_trap::SyncTrap;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use settee::app::App;
use settee::config::Settings;
use settee::txn::{ListTransactions, TransactionControl, TransactionControlClient, TransactionSummary};
use settee::{Error, Fault, Instant, Reply};
use settee_core::registry::Share;
use settee_payments::api::{Account, AccountClient, NewAccount, Payment, PaymentClient, Receipt, Refusal, Transfer};
use settee_payments::{account, notify, payment};
use settee_sqlx::DatabaseOptions;

/// How long a story waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The services of a house, in the order in which they start.
pub const SERVICES: [&str; 4] = ["account-1", "account-2", "payment", "notify"];

/// Between two looks at something that must happen.
const LOOK: Duration = Duration::from_millis(5);

/// Asks again until there is an answer.
///
/// # Panics
/// When there is none in time.
pub async fn until<T, F: Future<Output = Option<T>>>(ask: impl FnMut() -> F) -> T {
    patiently(PATIENCE, ask).await.unwrap_or_else(|| panic!("it did not happen within {PATIENCE:?}"))
}

/// Asks again until there is an answer, or until the patience is over.
pub async fn patiently<T, F: Future<Output = Option<T>>>(patience: Duration, mut ask: impl FnMut() -> F) -> Option<T> {
    let started = Instant::now();
    loop {
        match ask().await {
            Some(answer) => return Some(answer),
            None if started.elapsed() >= patience => return None,
            None => tokio::time::sleep(LOOK).await,
        }
    }
}

/// An order of `amount` EUR.
#[must_use]
pub fn order(id: &str, debtor: &str, creditor: &str, amount: &str) -> Transfer {
    Transfer {
        id: id.to_owned(),
        debtor: debtor.to_owned(),
        creditor: creditor.to_owned(),
        amount: amount.to_owned(),
        currency: "EUR".to_owned(),
        text: "rent".to_owned(),
    }
}

/// Opens accounts of `minor` EUR cents each, in the ledgers that hold them.
///
/// # Panics
/// When the ledgers do not take them.
pub async fn open(caller: &App, accounts: &[&str], minor: i64) {
    let ledgers: AccountClient = caller.client();
    for name in accounts {
        let new = NewAccount {
            account: (*name).to_owned(),
            owner: "somebody".to_owned(),
            currency: "EUR".to_owned(),
            minor,
            closed: false,
        };
        until(|| async { ledgers.open((*name).to_owned(), vec![new.clone()]).await.ok() }).await;
    }
}

/// The balance of an account in EUR cents, and how much of it is frozen.
///
/// # Panics
/// When nobody can say.
pub async fn balance(caller: &App, account: &str) -> (i64, i64) {
    let ledgers: AccountClient = caller.client();
    let balance = until(|| async { ledgers.find(account.to_owned()).await.ok() }).await;
    (balance.minor, balance.frozen_minor)
}

/// Waits until the payment service is known here, for stories whose next call must arrive.
///
/// # Panics
/// When it stays away.
pub async fn reach(payment: &PaymentClient) {
    until(|| async { payment.known(Vec::new()).await.ok() }).await;
}

/// What the caller of a payment does: repeats the order until it has its outcome.
///
/// # Panics
/// When it has none in time.
pub async fn settle(payment: &PaymentClient, order: &Transfer) -> Result<Receipt, Refusal> {
    until(|| async { outcome(payment.transfer(order.clone()).await) }).await
}

/// What a reply says for ever; `None` for a failure, after which the order is repeated.
pub fn outcome(reply: Reply<Receipt, Refusal>) -> Option<Result<Receipt, Refusal>> {
    match reply {
        Ok(receipt) => Some(Ok(receipt)),
        Err(Fault::Refused(refusal)) => Some(Err(refusal)),
        Err(Fault::Failed(_)) => None,
    }
}

/// The global transactions of an order.
///
/// # Panics
/// When the coordinator does not say.
pub async fn transactions_of(caller: &App, reference: &str) -> Vec<TransactionSummary> {
    let control: TransactionControlClient = caller.control();
    let query = ListTransactions { reference: Some(reference.to_owned()), limit: 100, ..ListTransactions::default() };
    until(|| async { control.list(query.clone()).await.ok() }).await.transactions
}

/// Waits until no global transaction is open any more.
///
/// # Panics
/// When one stays open.
pub async fn all_ended(caller: &App) {
    let control: TransactionControlClient = caller.control();
    until(|| async { (control.stats().await.ok()?.open == 0).then_some(()) }).await;
}

/// The application of one of the [`SERVICES`], with its database in `folder`.
pub(crate) async fn service(name: &str, app: App, folder: &Path, options: DatabaseOptions) -> Result<App, Error> {
    let database = folder.join(format!("{name}.db"));
    let app = match name {
        "payment" => payment::service(app, &payment::Config { database }, options).await,
        "notify" => notify::service(app, &notify::Config { database }, options).await,
        _account => account::service(app, &account::Config { database }, options).await,
    };
    app.map_err(Error::from)
}

/// The application name of one of the [`SERVICES`], and which share of the accounts it holds.
pub(crate) fn application(name: &str) -> (&str, Option<String>) {
    match name.split_once('-') {
        Some((application, "1")) => (application, Some("0/2".to_owned())),
        Some((application, _)) => (application, Some("1/2".to_owned())),
        None => (name, None),
    }
}

/// The service that holds an account.
#[must_use]
pub fn holder(account: &str) -> &'static str {
    if Share::of_key(account, 2).index == 0 { "account-1" } else { "account-2" }
}

/// Settings of a process that talks to the server at this address.
#[must_use]
pub fn settings(server: SocketAddr) -> Settings {
    Settings { server, listen: local(), drain_ms: 2_000, ..Settings::default() }
}

/// Any free port of this machine.
#[must_use]
pub fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
