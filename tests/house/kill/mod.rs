//! `kill -9` again and again, under load, at any moment: what `cargo xtask kill` runs, and stories in short.
//!
//! ```text
//! cycle: open the doors --enough is acknowledged, and a moment more--> kill -9 -> close the doors -> start again (one time in four
//!        that start is killed too) -> what was under way ends -> look for everything that was acknowledged
//! ```
//! Callers note what they were answered and nothing else; the checkers then ask the system for it, through the public API, over
//! sockets. What a kill cannot show is a missing sync, since the kernel lives on: that is the witness of syncs.

mod account;
mod crowd;
mod messages;
mod runs;
mod server;
mod transactions;
mod verdict;

pub(crate) use crowd::Crowd;
pub(crate) use verdict::Wrong;
pub use verdict::{Findings, Tally};

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::BoxFuture;
use settee::Error;
use settee_core::env;

use crate::process::{Ended, Launch, Process};

/// How long anything may take that must happen after a restart, before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the callers may take until enough is acknowledged, and until what was under way has ended: the longest patience of a
/// client is 30 s.
const LOAD: Duration = Duration::from_secs(60);

/// How much longer at most the load goes on before the kill, so that it can come at any moment.
const MOMENT: Duration = Duration::from_millis(40);

/// One of so many starts is killed before it is ready.
const KILLED_STARTS: usize = 4;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// `settee server`, under transactions, messages and job runs.
    Server,
    /// The ledgers of the example, one after the other as it comes, under transfers.
    Account,
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The binary.
    pub settee: PathBuf,
    /// Where everything is kept; the data of what is killed in [`Plan::data`].
    pub folder: PathBuf,
    /// What is killed.
    pub what: What,
    /// The command behind which `settee server` is started, such as one that traces it.
    pub behind: Vec<OsString>,
}

impl Plan {
    /// The folder of the server's data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("server")
    }

    fn launch_server(&self, listen: SocketAddr) -> Launch {
        let launch = Launch::server(&self.settee, &self.data(), listen, &self.log("server"));
        launch.bound_to(&self.lifeline()).behind(self.behind.clone())
    }

    fn lifeline(&self) -> PathBuf {
        self.folder.join("lifeline")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

/// What is loaded, killed and looked through.
trait Target: Send {
    /// The callers, and what each crowd does in a cycle.
    fn crowds(&self) -> Vec<(&Crowd, Share)>;
    /// Before the doors open.
    fn begin_cycle(&mut self) -> BoxFuture<'_, Result<(), Error>>;
    /// Who is killed next, and how it is started again.
    fn victim(&mut self) -> (&mut Option<Process>, Launch);
    /// What is wrong with what was acknowledged since the last time.
    fn check(&mut self) -> BoxFuture<'_, Vec<Wrong>>;
    /// What is wrong with everything, at the end.
    fn check_all(&mut self) -> BoxFuture<'_, Vec<Wrong>>;
}

/// What a crowd does in a cycle.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// Operations that must be acknowledged before the kill.
    wanted: u64,
    /// Operations that may begin, and so must be looked for afterwards.
    at_most: u64,
}

impl Share {
    /// The callers would wait for ever if they might not begin as much as is wanted: that does not compile.
    const fn new(wanted: u64, at_most: u64) -> Self {
        assert!(wanted < at_most, "more is wanted than may begin");
        Self { wanted, at_most }
    }
}

/// A run of kills.
pub struct Kills {
    target: Box<dyn Target>,
    cycles: u64,
    findings: Findings,
}

impl Kills {
    /// Starts everything in the plan's folder.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn start(plan: &Plan) -> Result<Self, Error> {
        let target: Box<dyn Target> = match plan.what {
            What::Server => Box::new(server::Server::start(plan).await?),
            What::Account => Box::new(account::Ledgers::start(plan).await?),
        };
        Ok(Self { target, cycles: 0, findings: Findings::default() })
    }

    /// One cycle.
    ///
    /// # Errors
    /// The callers get nothing acknowledged, or what they began does not end.
    pub async fn cycle(&mut self) -> Result<(), Error> {
        self.load().await?;
        self.kill().await;
        self.restart_and_check().await
    }

    /// The first part of a cycle: the doors are open, and enough was acknowledged.
    ///
    /// # Errors
    /// The callers get nothing acknowledged.
    pub async fn load(&mut self) -> Result<(), Error> {
        self.target.begin_cycle().await?;
        for (crowd, share) in self.target.crowds() {
            crowd.open(share.at_most);
        }
        self.enough_is_acknowledged().await
    }

    /// The second part: the victim is dead, its data is as it left it, and nothing more begins.
    pub async fn kill(&mut self) {
        tokio::time::sleep(env::random_duration(MOMENT)).await;
        let (victim, _) = self.target.victim();
        if let Some(process) = victim.take() {
            process.kill().await;
        }
        for (crowd, _) in self.target.crowds() {
            crowd.close();
        }
    }

    /// The last part.
    ///
    /// # Errors
    /// What was under way does not end.
    pub async fn restart_and_check(&mut self) -> Result<(), Error> {
        if !self.restart().await {
            return Ok(());
        }
        let rest = futures::future::join_all(self.target.crowds().into_iter().map(|(crowd, _)| crowd.rests()));
        tokio::time::timeout(LOAD, rest).await.map_err(|_| stuck("what was under way does not end"))?;
        let wrong = self.target.check().await;
        self.findings.add(wrong);
        self.cycles += 1;
        Ok(())
    }

    /// Looks through everything once more.
    pub async fn end(&mut self) {
        if self.is_running() {
            let wrong = self.target.check_all().await;
            self.findings.add(wrong);
        }
    }

    /// Where the victim serves, while it runs.
    pub fn address(&mut self) -> Option<SocketAddr> {
        self.target.victim().0.as_ref().map(Process::address)
    }

    /// How the victim ended by itself; `None` when it does not.
    pub async fn victim_ended(&mut self) -> Option<Ended> {
        let victim = self.target.victim().0.as_mut()?;
        tokio::time::timeout(PATIENCE, victim.ended()).await.ok()
    }

    /// Whether the victim runs: after a start that failed there is nobody to ask.
    pub fn is_running(&mut self) -> bool {
        self.target.victim().0.is_some()
    }

    /// The figures so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let acknowledged = self.target.crowds().into_iter().map(|(crowd, _)| crowd.acknowledged()).sum();
        let Findings { lost, duplicated, failed_opens, .. } = self.findings;
        Tally { cycles: self.cycles, acknowledged, lost, duplicated, failed_opens }
    }

    /// What is wrong, in words.
    #[must_use]
    pub fn told(&self) -> &[String] {
        self.findings.told()
    }

    async fn enough_is_acknowledged(&self) -> Result<(), Error> {
        let crowds = self.target.crowds();
        let enough = crowds.into_iter().map(|(crowd, share)| crowd.acknowledges(crowd.acknowledged() + share.wanted));
        let waited = tokio::time::timeout(LOAD, futures::future::join_all(enough)).await;
        waited.map(|_| ()).map_err(|_| stuck("the callers get too little acknowledged"))
    }

    /// Starts the victim again; `false` when it does not get ready.
    async fn restart(&mut self) -> bool {
        let (victim, launch) = self.target.victim();
        if env::random_below(KILLED_STARTS) == 0 {
            let starting = launch.begin();
            tokio::time::sleep(env::random_duration(MOMENT)).await;
            starting.kill().await;
        }
        match launch.start().await {
            Ok(process) => {
                *victim = Some(process);
                true
            }
            Err(ended) => {
                self.findings.add([Wrong::FailedOpen(ended.to_string())]);
                false
            }
        }
    }
}

fn stuck(what: &str) -> Error {
    Error::internal(std::io::Error::other(format!("kill: {what} within {LOAD:?}")))
}

/// Makes the folder of a run.
pub(crate) fn make(folder: &Path) -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "the folder of a real process; nothing of it is simulated")]
    std::fs::create_dir_all(folder).map_err(Error::internal)
}
