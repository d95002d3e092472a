//! Everything in one process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use settee::app::{App, Running};
use settee::config::Settings;
use settee::flow::Flow;
use settee_server::{Engines, Server, ServerOptions};
use settee_sqlx::DatabaseOptions;
use tempfile::TempDir;

use crate::{SERVICES, application, local, service, settings};

/// A house in this process. Its folder goes with it.
pub struct House {
    /// Where everything is stored.
    pub folder: TempDir,
    /// A caller beside the services.
    pub caller: App,
    traces: bool,
    server: Server,
    services: BTreeMap<&'static str, Served>,
}

struct Served {
    running: Running,
    flow: Flow,
}

impl House {
    /// Starts everything in a new folder.
    ///
    /// # Panics
    /// When a part does not start: the story cannot be told.
    pub async fn start() -> Self {
        Self::build(true).await
    }

    /// The same house, in which nobody records spans.
    ///
    /// # Panics
    /// As [`House::start`].
    pub async fn without_traces() -> Self {
        Self::build(false).await
    }

    async fn build(traces: bool) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let engines = Engines::embedded(&folder.path().join("server")).await.expect("the engines open");
        let options = ServerOptions { listen: local(), drain: Duration::from_secs(2), trace: traces, ..ServerOptions::default() };
        let server = Server::start(engines, options, Arc::new(())).await.expect("the server starts");
        let caller = Settings { trace: traces, ..settings(server.address()) };
        let caller = App::new("caller", caller).expect("settings that make sense");
        let mut house = Self { folder, caller, traces, server, services: BTreeMap::new() };
        for name in SERVICES {
            house.start_service(name).await;
        }
        house
    }

    /// Starts one of [`SERVICES`] on the files that it left.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_service(&mut self, name: &'static str) {
        let (application, share) = application(name);
        let settings = Settings { share, trace: self.traces, ..settings(self.server.address()) };
        let app = App::new(application, settings).expect("settings that make sense");
        let app = service(name, app, self.folder.path(), DatabaseOptions::default()).await.expect("the database opens");
        let flow = app.flow();
        let running = app.start().await.expect("the service starts");
        self.services.insert(name, Served { running, flow });
    }

    /// Stops a service in order.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn stop_service(&mut self, name: &str) {
        self.services.remove(name).expect("a service that runs").running.stop().await;
    }

    /// Where the server listens.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where a service listens.
    #[must_use]
    pub fn address(&self, name: &str) -> SocketAddr {
        self.services[name].running.address()
    }

    /// The flow rules of a service, at work.
    #[must_use]
    pub fn flow(&self, name: &str) -> &Flow {
        &self.services[name].flow
    }

    /// Stops everything in order.
    pub async fn stop(self) {
        for served in self.services.into_values() {
            served.running.stop().await;
        }
        self.server.stop().await;
    }
}
