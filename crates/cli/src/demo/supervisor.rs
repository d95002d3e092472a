//! All processes of the demo: started in order, watched, killed on request, stopped with the server last.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::time::Instant;

use super::child::{self, Launch};
use super::folder::Folder;
use super::keeper::{Keeper, Program};
use super::topology::Role;
use crate::failure::Failure;
use crate::memory::peak_rss_bytes;
use crate::without::Without;

/// The running processes. Dropping it kills them.
#[derive(Debug)]
pub(crate) struct Supervisor {
    keepers: BTreeMap<Role, Keeper>,
    server: SocketAddr,
}

/// How processes are started.
pub(crate) struct Processes<'a> {
    /// The binary that is every one of them.
    pub(crate) program: PathBuf,
    /// Where they keep their data.
    pub(crate) folder: &'a Folder,
    /// Where the server listens.
    pub(crate) listen: SocketAddr,
    /// Whether their logs go to our stderr rather than to the folder.
    pub(crate) verbose: bool,
    /// Parts that the server is started without.
    pub(crate) without: &'a [Without],
}

impl Supervisor {
    /// Starts every process; all of them are ready when it returns.
    pub(crate) async fn start(processes: &Processes<'_>) -> Result<Self, Failure> {
        let server = Keeper::start(&Role::Server.to_string(), processes.program(Role::Server, processes.listen));
        let address = processes.ready(Role::Server, &server).await?;
        let mut supervisor = Self { keepers: BTreeMap::from([(Role::Server, server)]), server: address };
        for role in Role::ALL.into_iter().skip(1) {
            supervisor.keepers.insert(role, Keeper::start(&role.to_string(), processes.program(role, address)));
        }
        for (role, keeper) in &supervisor.keepers {
            processes.ready(*role, keeper).await?;
        }
        Ok(supervisor)
    }

    /// Where the server listens, for good.
    pub(crate) fn server(&self) -> SocketAddr {
        self.server
    }

    /// Kills a process with SIGKILL; it is gone when this answers, and is being started again. Gives when it was killed.
    pub(crate) async fn kill(&self, role: Role) -> Result<Instant, Failure> {
        let unknown = || Failure::failed(format!("kill {role}: it was never started"));
        self.keepers.get(&role).ok_or_else(unknown)?.kill().await
    }

    /// Waits until a process cannot be kept running.
    pub(crate) async fn given_up(&self) -> Failure {
        let all = self.keepers.values().map(|keeper| Box::pin(keeper.given_up()));
        futures::future::select_all(all).await.0
    }

    /// The most memory that one of the processes, this one included, has held; `None` when the system does not say.
    pub(crate) fn peak_rss_bytes(&self) -> Option<u64> {
        let largest = self.keepers.values().map(Keeper::peak_rss_bytes).max();
        largest.max(peak_rss_bytes("self")).filter(|bytes| *bytes > 0)
    }

    /// Stops every process: the services together, then the server, which they still need to withdraw.
    pub(crate) async fn stop(mut self) {
        let server = self.keepers.remove(&Role::Server);
        futures::future::join_all(self.keepers.values_mut().map(Keeper::stop)).await;
        if let Some(mut keeper) = server {
            keeper.stop().await;
        }
    }
}

impl Processes<'_> {
    fn program(&self, role: Role, server: SocketAddr) -> Program {
        let (program, data, lifeline) = (self.program.clone(), self.folder.data(role), self.folder.lifeline());
        let lists = self.folder.lists();
        let log = (!self.verbose).then(|| self.folder.log(role));
        let without: Vec<_> = match role {
            Role::Server => self.without.iter().flat_map(|part| ["--without".into(), part.name().into()]).collect(),
            _ => Vec::new(),
        };
        Box::new(move |before| {
            // The server comes back where it was, since that is what everybody else was told.
            let server = before.filter(|_| role == Role::Server).unwrap_or(server);
            let arguments = [role.arguments(server, &data, &lists, &lifeline), without.clone()].concat();
            Launch { program: program.clone(), arguments, log: log.clone() }
        })
    }

    async fn ready(&self, role: Role, keeper: &Keeper) -> Result<SocketAddr, Failure> {
        let ready = keeper.up_after(0).await.map(|(_, address)| address);
        ready.map_err(|failure| failure.with_details(self.last_words(role)).with_next("settee demo -v"))
    }

    /// The end of its log, which says more than its exit code.
    fn last_words(&self, role: Role) -> String {
        let log = child::tail(&self.folder.log(role));
        if log.is_empty() { format!("{role} wrote no log") } else { log }
    }
}
