//! The memory engines under the faults of a seed: lost answers of `Kv` and `Log`, and a disk whose machine loses power.
//!
//! `Kv` and `Log` stand for services beside the nodes: one for the whole world, which no fault of a node reaches. A disk belongs
//! to one node and outlives its processes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::port::{Append, Disk};
use settee_engines::memory::{AppendFault, DiskFault, DiskOperation, KvFault, KvFaults, LogFaults, MemoryDisk};

use crate::faults::Fault;
use crate::node::{Boot, NodeId};
use crate::world::World;

/// A sync takes as long as so many other operations of a disk, at least: what they wait for is the page cache.
const SYNC_TAKES: f64 = 8.0;

/// How long a slow answer of an engine takes at least, and how much more at most.
const SLOW_MILLIS: (u64, u64) = (20, 980);

/// When an append lands that comes late, at least, and how much later at most: around the 2 s after which a partition gives it up.
const LATE_MILLIS: (u64, u64) = (500, 4_000);

impl World {
    /// Faults for a `MemoryKv` of this world.
    #[must_use]
    pub fn kv_faults(&self) -> Arc<dyn KvFaults> {
        let world = self.clone();
        Arc::new(move || world.kv_fault())
    }

    fn kv_fault(&self) -> KvFault {
        if self.strikes(Fault::KvUnknown) {
            return [KvFault::DoneUnknown, KvFault::LostUnknown, KvFault::Refused][self.below(3)];
        }
        if self.strikes(Fault::SlowWork) {
            return KvFault::Delayed(Duration::from_millis(SLOW_MILLIS.0 + self.faults().detail(SLOW_MILLIS.1)));
        }
        KvFault::None
    }

    /// Faults for a `MemoryLog` of this world. Some appends are never answered.
    #[must_use]
    pub fn log_faults(&self) -> impl LogFaults + use<> {
        let world = self.clone();
        move |_: &Append| world.strikes(Fault::LogUnknown).then(|| world.append_fault())
    }

    fn append_fault(&self) -> AppendFault {
        use AppendFault::{Refused, SilentAfter, SilentBefore, SilentLate, UnknownAfter, UnknownBefore};
        let late = SilentLate(Duration::from_millis(LATE_MILLIS.0 + self.faults().detail(LATE_MILLIS.1)));
        [Refused, UnknownBefore, UnknownAfter, SilentBefore, SilentAfter, late][self.below(6)]
    }

    fn below(&self, bound: u8) -> usize {
        usize::try_from(self.faults().detail(bound.into())).unwrap_or(0)
    }
}

/// The disk of one node. A clone is the same disk: the workload keeps one to look at, the program boots from the other.
#[derive(Clone)]
pub struct NodeDisk {
    world: World,
    disk: MemoryDisk,
    machine: Arc<Mutex<Machine>>,
}

/// The machine that a disk belongs to.
#[derive(Default)]
struct Machine {
    node: Option<NodeId>,
    /// Its power went in the middle of a sync.
    died_in_sync: bool,
}

impl NodeDisk {
    /// An empty disk that suffers what the seed of `world` drew.
    #[must_use]
    pub fn new(world: &World) -> Self {
        let disk = Self { world: world.clone(), disk: MemoryDisk::new(), machine: Arc::default() };
        let suffering = disk.clone();
        disk.disk.set_faults(Arc::new(move |operation| suffering.fault(operation)));
        disk
    }

    /// The disk as the program finds it when its process starts: its first act. What the last process had not synced is lost
    /// if the power was cut, and there if it was only killed.
    #[must_use]
    pub fn boot(&self, boot: Boot) -> Arc<dyn Disk> {
        let died_in_sync = {
            let mut machine = self.machine.lock();
            machine.node = Some(boot.node);
            std::mem::take(&mut machine.died_in_sync)
        };
        if boot.after_power_cut {
            let is_torn = self.world.strikes(Fault::DiskTorn) || died_in_sync;
            self.disk.crash(|| is_torn && self.world.faults().detail(2) == 0);
        } else {
            self.disk.kill();
        }
        Arc::new(self.disk.clone())
    }

    /// The disk itself, for checks and for faults of the workload's own.
    #[must_use]
    pub fn medium(&self) -> &MemoryDisk {
        &self.disk
    }

    fn fault(&self, operation: DiskOperation) -> DiskFault {
        match operation {
            DiskOperation::Read => DiskFault::None,
            DiskOperation::Sync if self.world.faults().strikes_in(Fault::DiskDies, SYNC_TAKES) => {
                self.machine.lock().died_in_sync = true;
                self.die()
            }
            DiskOperation::Sync if self.world.strikes(Fault::DiskSync) => DiskFault::Fail(io::ErrorKind::Other),
            DiskOperation::Sync => DiskFault::None,
            _ if self.world.strikes(Fault::DiskDies) => self.die(),
            DiskOperation::Write | DiskOperation::Create | DiskOperation::SetLength if self.world.strikes(Fault::DiskFull) => {
                DiskFault::Fail(io::ErrorKind::StorageFull)
            }
            _ => DiskFault::None,
        }
    }

    /// The machine loses power before this operation. The work that asked for it runs on, but nothing it does has an effect.
    fn die(&self) -> DiskFault {
        let node = self.machine.lock().node.and_then(|node| self.world.node(node));
        if let Some(node) = node.filter(crate::Node::cut_power) {
            node.restart_later();
        }
        DiskFault::Die
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use settee_core::env;

    use super::*;
    use crate::faults::{Rate, Swarm};
    use crate::run::NoChecks;
    use crate::{Checks, Options, Workload, seed};

    /// Appends numbered bytes to a file and notes each that was synced; at every boot all of those must still be there.
    struct Writer;

    impl Workload for Writer {
        fn build(&self, world: &World) -> Box<dyn Checks> {
            let (disk, synced, seen) = (NodeDisk::new(world), Arc::new(Mutex::new(BTreeSet::new())), world.clone());
            world.server("writer", move |boot| write(seen.clone(), disk.boot(boot), synced.clone()));
            Box::new(NoChecks)
        }
    }

    async fn write(world: World, disk: Arc<dyn Disk>, synced: Arc<Mutex<BTreeSet<u64>>>) {
        let Ok(file) = disk.open("bytes", true).and_then(|file| disk.sync_folder().map(|()| file)) else { return };
        let length = file.len().unwrap();
        for position in synced.lock().iter() {
            let mut byte = [0];
            let is_there = file.read_at(*position, &mut byte).is_ok() && byte == [7];
            assert!(is_there, "{position} was synced and is gone");
        }
        for position in length.. {
            let (writing, noted) = (file.clone(), synced.clone());
            let done = env::blocking(move || {
                writing.write_at(position, &[7])?;
                writing.sync()?;
                noted.lock().insert(position);
                std::io::Result::Ok(())
            });
            if done.await.is_err() {
                return world.reached("stopped by its disk");
            }
            world.reached("synced");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[test]
    fn what_a_disk_had_synced_survives_every_way_to_lose_power() {
        let rates = [
            (Fault::DiskDies, Rate::Share(0.002)),
            (Fault::DiskSync, Rate::Share(0.01)),
            (Fault::DiskTorn, Rate::Share(0.5)),
            (Fault::PowerCut, Rate::Every(Duration::from_secs(2))),
            (Fault::Kill, Rate::Every(Duration::from_secs(3))),
        ];
        let options = Options { swarm: Some(Swarm { rates: rates.into() }), ..Options::default() };
        let report = seed(&(Arc::new(Writer) as Arc<dyn Workload>), 5, &options);
        assert_eq!(report.violations, []);
        for fault in ["disk_dies", "disk_sync", "disk_torn", "power_cut"] {
            assert!(report.faults.contains_key(fault), "{fault}: {:?}", report.faults);
        }
        assert!(report.states["synced"] > 500 && report.states["stopped by its disk"] > 3, "{:?}", report.states);
    }
}
