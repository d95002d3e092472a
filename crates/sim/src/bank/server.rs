//! The node that remembers: `settee-server` on a simulated disk, or on memory engines beside the nodes that lose answers.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::Error;
use settee_core::error::ErrorKind;
use settee_core::id::FencingToken;
use settee_core::mq::GroupPolicy;
use settee_core::port::Disk;
use settee_engines::embedded::LogOptions;
use settee_engines::memory::{MemoryKv, MemoryLog};
use settee_server::{Engines, Gauge, Server, ServerOptions};

use super::plant::Plant;
use super::stage::{SERVER_PORT, Stage};
use crate::engines::NodeDisk;
use crate::node::Boot;
use crate::world::Phase;

/// One seed in so many has engines of its own beside the nodes, which no fault of a node reaches.
pub(super) const SEEDS_BESIDE: u64 = 3;

/// Calls under way at a stop do not concern a simulated server: it is killed.
pub(super) const DRAIN: Duration = Duration::from_secs(1);

/// The longest wait before a message is delivered again: what failed often while faults struck is done before the seed ends.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Small, so that a seed's log goes from one segment to the next several times.
const SEGMENT_BYTES: u64 = 64 << 10;

/// What became of every start.
#[derive(Default)]
pub(super) struct Starts(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    failed: Vec<FailedStart>,
    /// The ownership of each life that served.
    tokens: Vec<(u32, FencingToken)>,
    /// The life that serves now.
    serving: Weak<Server>,
}

/// A start that failed.
#[derive(Clone, Debug)]
pub(super) struct FailedStart {
    pub(super) incarnation: u32,
    /// When it began.
    pub(super) phase: Phase,
    pub(super) kind: ErrorKind,
    pub(super) message: String,
}

impl Starts {
    pub(super) fn failed(&self) -> Vec<FailedStart> {
        self.0.lock().failed.clone()
    }

    fn serves(&self, incarnation: u32, server: &Arc<Server>) {
        let mut inner = self.0.lock();
        inner.tokens.push((incarnation, server.token()));
        inner.serving = Arc::downgrade(server);
    }

    /// The ownership of each life that served, in order.
    pub(super) fn tokens(&self) -> Vec<(u32, FencingToken)> {
        self.0.lock().tokens.clone()
    }

    /// What the server holds that can grow; nothing while there is none.
    pub(super) fn gauges(&self) -> Vec<Gauge> {
        let serving = self.0.lock().serving.upgrade();
        serving.map(|server| server.gauges()).unwrap_or_default()
    }
}

#[derive(Clone)]
enum Storage {
    Disk(NodeDisk),
    Beside(MemoryKv, MemoryLog),
}

/// Adds the server. Gives its engines if they are beside the nodes, where others could open them too.
pub(super) fn add(stage: &Arc<Stage>) -> Option<(MemoryKv, MemoryLog)> {
    let world = &stage.world;
    let storage = if world.seed().is_multiple_of(SEEDS_BESIDE) && !stage.plant.is_some_and(Plant::needs_disk) {
        let faulty = MemoryKv::new().with_faults(world.kv_faults());
        Storage::Beside(faulty, MemoryLog::with_faults(world.log_faults()))
    } else {
        Storage::Disk(NodeDisk::new(world))
    };
    let beside = match &storage {
        Storage::Beside(kv, log) => Some((kv.clone(), log.clone())),
        Storage::Disk(_) => None,
    };
    let stage = stage.clone();
    world.server("server", move |boot| serve(stage.clone(), boot, storage.clone()));
    beside
}

async fn serve(stage: Arc<Stage>, boot: Boot, storage: Storage) {
    let phase = stage.world.phase();
    let started = match start(&stage, boot, storage).await {
        Ok(server) => Arc::new(server),
        Err(error) => {
            stage.world.reached("server refused to start");
            stage.world.record("server refused to start", &error);
            let (incarnation, kind, message) = (boot.incarnation, error.kind(), error.to_string());
            let failed = FailedStart { incarnation, phase, kind, message };
            return stage.starts.0.lock().failed.push(failed);
        }
    };
    stage.world.reached("server started");
    stage.starts.serves(boot.incarnation, &started);
    started.lost().await;
    stage.world.reached("server lost its store");
    stage.world.record("server lost its store", "");
}

async fn start(stage: &Stage, boot: Boot, storage: Storage) -> Result<Server, Error> {
    let engines = match storage {
        Storage::Disk(disk) => {
            if stage.has(Plant::RotsDisk) && boot.incarnation > 1 {
                rot(&disk);
            }
            let log = LogOptions { segment_bytes: SEGMENT_BYTES };
            Engines::on_disk(disk.boot(boot), log).await?
        }
        Storage::Beside(kv, log) => Engines::new(Arc::new(kv), Arc::new(log)),
    };
    let listen = (boot.node.ip(), SERVER_PORT).into();
    let group = GroupPolicy { backoff_max: BACKOFF_MAX, ..GroupPolicy::default() };
    let messages = settee_server::mq::Config { group, ..settee_server::mq::Config::default() };
    let options = ServerOptions { listen, drain: DRAIN, trace: stage.traced(), messages, ..ServerOptions::default() };
    Server::start(engines, options, Arc::new(())).await
}

/// A bit near the beginning of every file of the log.
fn rot(disk: &NodeDisk) {
    let names = disk.medium().list().unwrap_or_default();
    for name in names.iter().filter(|name| name.contains("log")) {
        let _there_may_be_less = disk.medium().flip(name, 40, 3);
    }
}
