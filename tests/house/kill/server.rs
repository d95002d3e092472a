//! `settee server` under transactions, messages and runs. This process is the application that calls it, serves the branches and
//! runs the jobs, and lives all the time.

use std::net::SocketAddr;

use futures::FutureExt;
use futures::future::BoxFuture;
use settee::Error;
use settee::app::{App, Running};
use settee::config::Settings;

use super::crowd::Crowd;
use super::messages::Messages;
use super::runs::{self, Runs};
use super::transactions::Transactions;
use super::verdict::Wrong;
use super::{Plan, Share, Target};
use crate::process::{Launch, Process};
use crate::{local, settings};

/// Callers of each kind.
const CALLERS: usize = 8;

/// What is done of each kind in a cycle: a hundred and some acknowledgements together.
const TRANSACTIONS: Share = Share::new(40, 1_000);
const MESSAGES: Share = Share::new(40, 1_000);
const RUNS: Share = Share::new(25, runs::BETWEEN_CHECKS);

/// The server and its callers.
pub(super) struct Server {
    process: Option<Process>,
    launch: Launch,
    transactions: Transactions,
    messages: Messages,
    runs: Runs,
    crowds: [(Crowd, Share); 3],
    _running: Running,
}

impl Server {
    pub(super) async fn start(plan: &Plan) -> Result<Self, Error> {
        super::make(&plan.folder)?;
        let process = plan.launch_server(local()).start().await.map_err(|ended| super::stuck(&ended.to_string()))?;
        let address = process.address();
        let app = App::new("kill", quiet(address))?;
        let (app, transactions) = Transactions::join(app, &plan.folder).await?;
        let (app, runs) = Runs::join(app);
        let messages = Messages::open(app.messages()).await?;
        let running = app.start().await?;
        let crowds = {
            let (transactions, messages, runs) = (transactions.clone(), messages.clone(), runs.clone());
            [
                (Crowd::of(CALLERS, move || transactions.clone().once().boxed()), TRANSACTIONS),
                (Crowd::of(CALLERS, move || messages.clone().once().boxed()), MESSAGES),
                (Crowd::of(CALLERS, move || runs.clone().once().boxed()), RUNS),
            ]
        };
        // It comes back where it was, since that is what this process was told.
        let launch = plan.launch_server(address);
        Ok(Self { process: Some(process), launch, transactions, messages, runs, crowds, _running: running })
    }
}

impl Target for Server {
    fn crowds(&self) -> Vec<(&Crowd, Share)> {
        self.crowds.iter().map(|(crowd, share)| (crowd, *share)).collect()
    }

    fn begin_cycle(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        self.messages.begin_cycle().boxed()
    }

    fn victim(&mut self) -> (&mut Option<Process>, Launch) {
        (&mut self.process, self.launch.clone())
    }

    fn check(&mut self) -> BoxFuture<'_, Vec<Wrong>> {
        async { tokio::join!(self.transactions.check(), self.messages.check(), self.runs.check()) }.map(flat).boxed()
    }

    fn check_all(&mut self) -> BoxFuture<'_, Vec<Wrong>> {
        async { tokio::join!(self.transactions.check_all(), self.messages.check_all(), self.runs.check_all()) }.map(flat).boxed()
    }
}

/// Settings of a process whose spans would only be in the way.
fn quiet(server: SocketAddr) -> Settings {
    Settings { trace: false, ..settings(server) }
}

fn flat(wrong: (Vec<Wrong>, Vec<Wrong>, Vec<Wrong>)) -> Vec<Wrong> {
    [wrong.0, wrong.1, wrong.2].concat()
}
