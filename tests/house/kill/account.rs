//! The ledgers of the example under transfers: each acknowledged transfer is in the books once, and the books are conserved.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use settee::Error;
use settee::app::{App, Running};
use settee::txn::{TransactionControl, TransactionControlClient};
use settee_core::env;

use super::crowd::Crowd;
use super::verdict::Wrong;
use super::{PATIENCE, Plan, Share, Target};
use crate::bank::{self, Transfers, books};
use crate::process::{Launch, Process};
use crate::{SERVICES, local, patiently, settings};

/// Callers that pay.
const CALLERS: usize = 16;

/// Transfers of a cycle.
const TRANSFERS: Share = Share::new(100, 10_000);

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
        bank::open(&app.client()).await?;
        let transfers = Arc::new(Transfers::new(app.client()));
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
    let made = transfers.made().clone();
    books::wrong(&made, &books).await
}

impl Plan {
    fn database(&self, service: &str) -> PathBuf {
        self.folder.join(format!("{service}.db"))
    }

    fn launch_service(&self, name: &str, server: SocketAddr) -> Launch {
        Launch::service(&self.settee, name, server, &self.database(name), &self.log(name)).bound_to(&self.lifeline())
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
