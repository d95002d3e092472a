//! What the nodes of one bank share: where things are, what is planted, and the notes from which the checks are made.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use settee::config::Settings;
use settee_core::{Context, env};

use super::desk::Visits;
use super::directory::Views;
use super::folder::Folder;
use super::journal::Journal;
use super::letters::Letters;
use super::plant::Plant;
use super::runs::Firings;
use super::server::Starts;
use super::till::Coins;
use crate::history::Violation;
use crate::node::{Boot, Node, NodeId};
use crate::world::World;

/// Where the server listens.
pub(super) const SERVER_PORT: u16 = 7_400;

/// Where an application listens.
pub(super) const PORT: u16 = 7_401;

/// How long a customer waits for one answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// Shared by all nodes of one seed.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) plant: Option<Plant>,
    pub(super) folder: Folder,
    /// Where the server is: the first node.
    pub(super) server: SocketAddr,
    pub(super) starts: Starts,
    pub(super) journal: Journal,
    pub(super) letters: Letters,
    pub(super) coins: Coins,
    pub(super) desk: Visits,
    pub(super) firings: Firings,
    pub(super) views: Views,
}

impl Stage {
    pub(super) fn new(world: &World, plant: Option<Plant>) -> Arc<Self> {
        let folder = Folder::take(world.seed()).expect("a simulation needs a folder for its databases");
        let first = NodeId::nth(world.nodes().len());
        Arc::new(Self {
            world: world.clone(),
            plant,
            folder,
            server: SocketAddr::new(first.ip(), SERVER_PORT),
            starts: Starts::default(),
            journal: Journal::default(),
            letters: Letters::default(),
            coins: Coins::default(),
            desk: Visits::default(),
            firings: Firings::default(),
            views: Views::default(),
        })
    }

    /// The machine of the server.
    pub(super) fn server_node(&self) -> Option<Node> {
        NodeId::of_ip(self.server.ip()).and_then(|id| self.world.node(id))
    }

    /// Whether spans are recorded: in half of the seeds.
    pub(super) fn traced(&self) -> bool {
        self.world.seed() & 1 == 0
    }

    pub(super) fn settings(&self, boot: Boot, share: Option<&str>) -> Settings {
        Settings {
            server: self.server,
            listen: SocketAddr::new(boot.node.ip(), PORT),
            share: share.map(str::to_owned),
            trace: self.traced(),
            ..Settings::default()
        }
    }

    pub(super) fn database(&self, name: &str) -> PathBuf {
        self.folder.database(name)
    }

    /// Where an application keeps the last good instance lists.
    pub(super) fn lists(&self) -> PathBuf {
        self.folder.lists()
    }

    pub(super) fn has(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    /// Something does not hold, found while the system runs.
    pub(super) fn violated(&self, invariant: &str, detail: impl std::fmt::Display) {
        self.world.violated(Violation::new(invariant, detail));
    }
}

/// The context of one call of a customer.
pub(super) fn call_context() -> Context {
    Context::root("bank").with_timeout(PATIENCE)
}

/// A time between two, drawn, in milliseconds.
pub(super) fn millis_between(from: usize, to: usize) -> Duration {
    let millis = from + env::random_below((to - from).max(1));
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// Sleeps for a time between two, in milliseconds.
pub(super) async fn sleep_between(from: usize, to: usize) {
    tokio::time::sleep(millis_between(from, to)).await;
}
