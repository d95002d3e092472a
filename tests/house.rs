//! A whole house on loopback: a server on the embedded engines and the four services of the example, in one process, over real
//! sockets and real files. Stories are told on it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use settee::app::{App, Running};
use settee::config::Settings;
use settee::{Error, Instant};
use settee_payments::api::{Account, AccountClient, NewAccount, Transfer};
use settee_payments::{account, notify, payment};
use settee_server::{Engines, Server, ServerOptions};
use settee_sqlx::DatabaseOptions;
use tempfile::TempDir;

/// How long a story waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The running house. Its folder goes with it.
pub struct House {
    /// Where everything is stored.
    pub folder: TempDir,
    /// A caller beside the services.
    pub caller: App,
    server: Option<Server>,
    services: Vec<Running>,
}

impl House {
    /// Starts everything in a new folder.
    ///
    /// # Panics
    /// When a part does not start: the story cannot be told.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let server = server(folder.path(), local()).await;
        let at = server.address();
        let services = vec![
            account(folder.path(), at, 0).await,
            account(folder.path(), at, 1).await,
            payment(folder.path(), at).await,
            notify(folder.path(), at).await,
        ];
        let caller = App::new("caller", settings(at)).expect("settings that make sense");
        Self { folder, caller, server: Some(server), services }
    }

    /// Opens accounts of `minor` EUR cents each, in the ledgers that hold them.
    ///
    /// # Panics
    /// When the ledgers do not take them.
    pub async fn open(&self, accounts: &[&str], minor: i64) {
        let ledgers: AccountClient = self.caller.client();
        for name in accounts {
            let new = NewAccount {
                account: (*name).to_owned(),
                owner: "somebody".to_owned(),
                currency: "EUR".to_owned(),
                minor,
                closed: false,
            };
            until(|| async { ledgers.open((*name).to_owned(), vec![new.clone()]).await.is_ok().then_some(()) }).await;
        }
    }

    /// The balance of an account in EUR cents, and how much of it is frozen.
    ///
    /// # Panics
    /// When there is no such account.
    pub async fn balance(&self, account: &str) -> (i64, i64) {
        let ledgers: AccountClient = self.caller.client();
        let balance = ledgers.find(account.to_owned()).await.expect("the account is open");
        (balance.minor, balance.frozen_minor)
    }

    /// Stops everything in order.
    pub async fn stop(mut self) {
        for service in std::mem::take(&mut self.services) {
            service.stop().await;
        }
        if let Some(server) = self.server.take() {
            server.stop().await;
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

/// Asks again until there is an answer.
///
/// # Panics
/// When there is none in time.
pub async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "it did not happen within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn server(folder: &Path, listen: SocketAddr) -> Server {
    let engines = Engines::embedded(&folder.join("server")).await.expect("the engines open");
    let options = ServerOptions { listen, drain: Duration::from_secs(2), trace: true };
    Server::start(engines, options, Arc::new(())).await.expect("the server starts")
}

async fn account(folder: &Path, server: SocketAddr, index: u32) -> Running {
    let settings = Settings { share: Some(format!("{index}/2")), ..settings(server) };
    let config = account::Config { database: folder.join(format!("account-{}.db", index + 1)) };
    let app = App::new("account", settings).expect("settings that make sense");
    let app = account::service(app, &config, DatabaseOptions::default()).await;
    started(app.map_err(Error::from)).await
}

async fn payment(folder: &Path, server: SocketAddr) -> Running {
    let config = payment::Config { database: folder.join("payment.db") };
    let app = App::new("payment", settings(server)).expect("settings that make sense");
    started(payment::service(app, &config, DatabaseOptions::default()).await.map_err(Error::from)).await
}

async fn notify(folder: &Path, server: SocketAddr) -> Running {
    let config = notify::Config { database: folder.join("notify.db") };
    let app = App::new("notify", settings(server)).expect("settings that make sense");
    started(notify::service(app, &config, DatabaseOptions::default()).await.map_err(Error::from)).await
}

async fn started(app: Result<App, Error>) -> Running {
    app.expect("the database opens").start().await.expect("the service starts")
}

fn settings(server: SocketAddr) -> Settings {
    Settings { server, listen: local(), drain_ms: 2_000, ..Settings::default() }
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
