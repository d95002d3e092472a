//! The node that remembers: `settee-server` on a simulated disk, or on memory engines beside the nodes that lose answers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::ErrorKind;
use settee_core::mq::GroupPolicy;
use settee_core::port::{Disk, DiskFile, DiskLock};
use settee_core::{Error, env};
use settee_engines::embedded::LogOptions;
use settee_engines::memory::{MemoryKv, MemoryLog};
use settee_server::{Engines, Server, ServerOptions};

use super::plant::Plant;
use super::stage::{SERVER_PORT, Stage};
use crate::engines::NodeDisk;
use crate::node::{Boot, Node};
use crate::world::Phase;

/// One seed in so many has engines of its own beside the nodes, which no fault of a node reaches.
const SEEDS_BESIDE: u64 = 3;

/// Calls under way at a stop do not concern a simulated server: it is killed.
const DRAIN: Duration = Duration::from_secs(1);

/// The longest wait before a message is delivered again: what failed often while faults struck is done before the seed ends.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Small, so that a seed's log goes from one segment to the next several times.
const SEGMENT_BYTES: u64 = 64 << 10;

/// A share of syncs that the planted bug drops, one in so many.
const DROPPED: usize = 2;

/// What became of the store at every start.
#[derive(Default)]
pub(super) struct Starts(Mutex<Vec<Refused>>);

/// A start that failed.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) incarnation: u32,
    /// When it began.
    pub(super) phase: Phase,
    pub(super) kind: ErrorKind,
    pub(super) message: String,
}

impl Starts {
    pub(super) fn refused(&self) -> Vec<Refused> {
        self.0.lock().clone()
    }
}

#[derive(Clone)]
enum Storage {
    Disk(NodeDisk),
    Beside(MemoryKv, MemoryLog),
}

/// Adds the server.
pub(super) fn add(stage: &Arc<Stage>) -> Node {
    let world = &stage.world;
    let storage = if world.seed().is_multiple_of(SEEDS_BESIDE) && !needs_disk(stage.plant) {
        let faulty = MemoryKv::new().with_faults(world.kv_faults());
        Storage::Beside(faulty, MemoryLog::with_faults(world.log_faults()))
    } else {
        Storage::Disk(NodeDisk::new(world))
    };
    let stage = stage.clone();
    world.server("server", move |boot| serve(stage.clone(), boot, storage.clone()))
}

fn needs_disk(plant: Option<Plant>) -> bool {
    matches!(plant, Some(Plant::DropsSyncs | Plant::RotsDisk))
}

async fn serve(stage: Arc<Stage>, boot: Boot, storage: Storage) {
    let phase = stage.world.phase();
    let started = match start(&stage, boot, storage).await {
        Ok(server) => server,
        Err(error) => {
            stage.world.reached("server refused to start");
            stage.world.record("server refused to start", &error);
            let (incarnation, kind, message) = (boot.incarnation, error.kind(), error.to_string());
            let refused = Refused { incarnation, phase, kind, message };
            return stage.starts.0.lock().push(refused);
        }
    };
    stage.world.reached("server started");
    started.lost().await;
    stage.world.reached("server lost its store");
    stage.world.record("server lost its store", "");
}

async fn start(stage: &Stage, boot: Boot, storage: Storage) -> Result<Server, Error> {
    let engines = match storage {
        Storage::Disk(disk) => {
            if stage.plant == Some(Plant::RotsDisk) && boot.incarnation > 1 {
                rot(&disk);
            }
            let booted = disk.boot(boot);
            let lazy = stage.plant == Some(Plant::DropsSyncs);
            let log = LogOptions { segment_bytes: SEGMENT_BYTES };
            Engines::on_disk(if lazy { Arc::new(Lazy(booted)) } else { booted }, log).await?
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

/// The planted bug: a disk that drops syncs.
struct Lazy(Arc<dyn Disk>);

struct LazyFile(Arc<dyn DiskFile>);

impl Disk for Lazy {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open(name, create).map(|file| Arc::new(LazyFile(file)) as Arc<dyn DiskFile>)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.0.sync_folder()
    }

    fn lock(&self) -> io::Result<Box<dyn DiskLock>> {
        self.0.lock()
    }
}

impl DiskFile for LazyFile {
    fn read_at(&self, position: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_at(position, bytes)
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(position, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        if env::random_below(DROPPED) == 0 { Ok(()) } else { self.0.sync() }
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}
