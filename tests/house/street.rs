//! A house whose every part is a process that can be killed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use settee::app::App;
use settee_payments::api::{PaymentClient, Receipt, Refusal};
use tempfile::TempDir;

use crate::child::Child;
use crate::{SERVICES, balance, local, open, order, settings, settle};

/// The server and services, each a process of its own in one folder.
pub struct Street {
    /// A caller beside the services, in this process.
    pub caller: App,
    parts: BTreeMap<String, Child>,
    server: SocketAddr,
    /// After the processes, which write into it.
    folder: TempDir,
}

impl Street {
    /// Starts everything in a new folder.
    ///
    /// # Panics
    /// When a part does not start: the story cannot be told.
    pub async fn start() -> Self {
        let mut street = Self::server_only().await;
        let children = SERVICES.map(|name| Child::start(name, street.folder.path(), street.server));
        let children = futures::future::join_all(children).await;
        street.parts.extend(SERVICES.map(str::to_owned).into_iter().zip(children));
        street
    }

    /// Starts the server alone.
    ///
    /// # Panics
    /// As [`Street::start`].
    pub async fn server_only() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let server = Child::start("server", folder.path(), local()).await;
        let address = server.address();
        let caller = App::new("caller", settings(address)).expect("settings that make sense");
        Self { caller, parts: BTreeMap::from([("server".to_owned(), server)]), server: address, folder }
    }

    /// Stands where a transfer of 12.50 from alice to bob, who have 100 each, is decided on the disk of the server and nobody has heard
    /// of it. Gives who waits for its outcome.
    ///
    /// # Panics
    /// When it does not come so far.
    pub async fn stop_at_an_untold_decision(&mut self) -> settee_core::env::JoinHandle<Result<Receipt, Refusal>> {
        open(&self.caller, &["alice", "bob"], 10_000).await;
        self.part("server").hold("decided", 0).await;
        let payment: PaymentClient = self.caller.client();
        let paying = settee::spawn(async move { settle(&payment, &order("t-1", "alice", "bob", "12.50")).await });
        self.part("server").is_held_at("decided").await;
        assert_eq!(balance(&self.caller, "alice").await, (10_000, 1_250), "tried, and not confirmed");
        paying
    }

    /// Starts a part on the files that it left; the server at the address where it was.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_part(&mut self, name: &str) {
        self.start_part_behind(name, self.server).await;
    }

    /// The same, for a service that reaches the server through another address.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_part_behind(&mut self, name: &str, server: SocketAddr) {
        let child = Child::start(name, self.folder.path(), server).await;
        self.parts.insert(name.to_owned(), child);
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&mut self, name: &str) {
        self.parts.remove(name).expect("a part that runs").kill().await;
    }

    /// `kill -9` of everything at once.
    ///
    /// # Panics
    /// When the operating system refuses.
    pub async fn kill_all(&mut self) {
        let parts = std::mem::take(&mut self.parts);
        futures::future::join_all(parts.into_values().map(Child::kill)).await;
    }

    /// A part that runs.
    ///
    /// # Panics
    /// When it does not run.
    pub fn part(&mut self, name: &str) -> &mut Child {
        self.parts.get_mut(name).expect("a part that runs")
    }

    /// Where the server listens.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Where everything is stored.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
