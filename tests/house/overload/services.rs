//! The server and the example's services, each a process, with the flow rule that bounds them; and what they made of the orders.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use settee::app::{App, Running};
use settee::config::Settings;
use settee::flow::control::{FlowControl, FlowControlClient};
use settee::flow::{Limit, Mode, Rule, RuleSet, Side};
use settee::txn::{TransactionControl, TransactionControlClient};
use settee::{Error, Instant};
use settee_payments::api::{Notify, NotifyClient, PaymentClient};

use crate::bank::{self, Movement, books};
use crate::process::{Launch, Memory, Process};
use crate::{PATIENCE, SERVICES, local, patiently, settings};

/// How long everything that was begun may take to end, and to be notified.
const SETTLED: Duration = Duration::from_secs(60);

/// Transfers asked about at once.
const ASKED_AT_ONCE: usize = 500;

/// The processes, and a caller of them.
pub(super) struct Services {
    processes: Vec<Process>,
    books: [PathBuf; 2],
    payment: PaymentClient,
    notify: NotifyClient,
    control: TransactionControlClient,
    _caller: Running,
}

impl Services {
    /// Starts everything in a folder, with a rule for `limit` transfers at a time.
    pub(super) async fn start(settee: &Path, folder: &Path, limit: u32, mode: Mode) -> Result<Self, Error> {
        crate::kill::make(folder)?;
        let file = |name: &str, ending: &str| folder.join(format!("{name}.{ending}"));
        let lifeline = folder.join("lifeline");
        let server = Launch::server(settee, &folder.join("server"), local(), &file("server", "log"));
        let server = started(server.bound_to(&lifeline)).await?;
        let address = server.address();
        let mut processes = vec![server];
        for name in SERVICES {
            let launch = Launch::service(settee, name, address, &file(name, "db"), &file(name, "log"));
            processes.push(started(launch.bound_to(&lifeline)).await?);
        }
        let app = App::new("overload", Settings { trace: false, ..settings(address) })?;
        bank::open(&app.client()).await?;
        limit_transfers(&app.control(), limit, mode).await?;
        Ok(Self {
            processes,
            books: ["account-1", "account-2"].map(|name| file(name, "db")),
            payment: app.client(),
            notify: app.client(),
            control: app.control(),
            _caller: app.start().await?,
        })
    }

    pub(super) fn payment(&self) -> PaymentClient {
        self.payment.clone()
    }

    /// Memory of all processes together; `None` where the system does not say.
    pub(super) fn memory(&self) -> Option<Memory> {
        let add = |sum: Memory, one: Memory| Memory { bytes: sum.bytes + one.bytes, peak_bytes: sum.peak_bytes + one.peak_bytes };
        self.processes.iter().map(Process::memory).try_fold(Memory::default(), |sum, one| Some(add(sum, one?)))
    }

    /// Waits until no transaction is open.
    ///
    /// # Errors
    /// Some stay open.
    pub(super) async fn all_ended(&self) -> Result<(), Error> {
        let none_open = || async { (self.control.stats().await.ok()?.open == 0).then_some(()) };
        patiently(SETTLED, none_open).await.ok_or_else(|| late("transactions are still open"))
    }

    /// How many of these were notified, in the time that all of them have: what a transfer ends with, once it was made.
    pub(super) async fn notified(&self, movements: &[Movement]) -> u64 {
        let (began, mut notified) = (Instant::now(), 0);
        for chunk in movements.chunks(ASKED_AT_ONCE) {
            let ids: Vec<_> = chunk.iter().map(|movement| movement.transfer.clone()).collect();
            let seen = Cell::new(0);
            let look = || async {
                seen.set(self.notify.notified(ids.clone()).await.ok()?);
                (seen.get() == ids.len() as u64).then_some(())
            };
            let _told_by_the_count = patiently(SETTLED.saturating_sub(began.elapsed()), look).await;
            notified += seen.get();
        }
        notified
    }

    /// What is wrong with the books, in which these movements must be.
    pub(super) async fn wrong(&self, made: &[Movement]) -> Vec<String> {
        books::wrong(made, &self.books).await.iter().map(ToString::to_string).collect()
    }
}

async fn started(launch: Launch) -> Result<Process, Error> {
    launch.start().await.map_err(|ended| Error::internal(std::io::Error::other(format!("start the services: {ended}"))))
}

/// Puts the rule in force, and waits until the payment service is told of it.
async fn limit_transfers(flow: &FlowControlClient, calls: u32, mode: Mode) -> Result<(), Error> {
    let rule = Rule {
        name: "transfers".into(),
        service: "pay.Payment".into(),
        method: Some("transfer".into()),
        side: Side::Server,
        limit: Limit::Concurrency { calls },
        mode,
    };
    let rules = RuleSet { generation: 0, rules: vec![rule] };
    let put = || async { flow.put("payment".into(), rules.clone()).await.ok() };
    patiently(PATIENCE, put).await.ok_or_else(|| late("the flow rule is not taken"))?;
    let is_followed = || async {
        let applications = flow.applications().await.ok()?;
        applications.iter().any(|view| view.application == "payment" && view.followers > 0).then_some(())
    };
    patiently(PATIENCE, is_followed).await.ok_or_else(|| late("nobody follows the flow rule"))
}

fn late(what: &str) -> Error {
    Error::internal(std::io::Error::other(format!("overload: {what} within the time that this may take")))
}
