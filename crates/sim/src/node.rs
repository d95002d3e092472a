//! Nodes: simulated machines. A node has an address, a wall clock and a program; a process is one life of that program.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::Timestamp;
use tokio::time::sleep;

use crate::guard::WALL_START;
use crate::process::Process;
use crate::run::spawn_outside;
use crate::world::World;

/// How long the supervisor of a server waits before it starts a program that has ended by itself again.
const SUPERVISED_RESTART: Duration = Duration::from_secs(1);

pub(crate) type Main = Box<dyn Fn(Boot) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Which node: 1 for the first one that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u16);

impl NodeId {
    pub(crate) fn nth(index: usize) -> Self {
        Self(u16::try_from(index + 1).expect("a world has fewer than 65535 nodes"))
    }

    /// The node's address on the simulated network.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        let [high, low] = self.0.to_be_bytes();
        Ipv4Addr::new(10, 0, high, low).into()
    }

    /// Whose address `ip` is, if it is one of the simulated network.
    #[must_use]
    pub(crate) fn of_ip(ip: IpAddr) -> Option<Self> {
        match ip {
            IpAddr::V4(ip) if ip.octets()[..2] == [10, 0] => Some(Self(u16::from_be_bytes([ip.octets()[2], ip.octets()[3]]))),
            _ => None,
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "n{}", self.0)
    }
}

/// What faults a node suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

/// What a program is told when its process starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The node it runs on.
    pub node: NodeId,
    /// 1 at the first start, one more at each restart.
    pub incarnation: u32,
    /// Whether the last process ended by a power cut: then what was not synced is gone. The program's first act is to tell
    /// its simulated disks.
    pub after_power_cut: bool,
}

/// A handle to a node.
#[derive(Clone)]
pub struct Node(Arc<Machine>);

struct Machine {
    world: World,
    id: NodeId,
    name: String,
    role: Role,
    main: Main,
    clock: Arc<Clock>,
    life: Mutex<Life>,
}

struct Life {
    incarnation: u32,
    lost_power: bool,
    process: Option<Arc<Process>>,
}

impl Node {
    pub(crate) fn new(world: World, id: NodeId, name: &str, role: Role, main: Main) -> Self {
        let life = Mutex::new(Life { incarnation: 0, lost_power: false, process: None });
        Self(Arc::new(Machine { world, id, name: name.into(), role, main, clock: Arc::default(), life }))
    }

    /// Which node this is.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// The name it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where `port` of this node is reached.
    #[must_use]
    pub fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.0.id.ip(), port)
    }

    pub(crate) fn role(&self) -> Role {
        self.0.role
    }

    /// How many processes it has had.
    #[must_use]
    pub fn incarnation(&self) -> u32 {
        self.0.life.lock().incarnation
    }

    /// Whether its process lives, running or paused.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.life.lock().process.is_some()
    }

    /// Tasks of its process that have not ended.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.0.life.lock().process.as_ref().map_or(0, |process| process.tasks())
    }

    /// Kills the process as `kill -9` does: its sockets are reset and its listeners gone before its tasks end.
    ///
    /// `false` if there is none.
    #[must_use]
    pub fn kill(&self) -> bool {
        self.stop("kill", false)
    }

    /// Takes the machine's power: like a kill, but peers hear nothing, and the disks lose what was not synced.
    ///
    /// `false` if there is no process.
    #[must_use]
    pub fn cut_power(&self) -> bool {
        self.stop("power cut", true)
    }

    fn stop(&self, how: &'static str, power_cut: bool) -> bool {
        let Some(process) = self.0.life.lock().process.take() else { return false };
        self.0.life.lock().lost_power = power_cut;
        self.0.world.record(how, self.0.id);
        process.stop(power_cut);
        true
    }

    /// Starts the program again if there is no process.
    pub fn restart(&self) {
        let mut life = self.0.life.lock();
        if life.process.is_some() {
            return;
        }
        life.incarnation += 1;
        let after_power_cut = std::mem::take(&mut life.lost_power);
        let boot = Boot { node: self.0.id, incarnation: life.incarnation, after_power_cut };
        let process = Process::new(&self.0.world, boot, self.0.clock.clone());
        life.process = Some(process.clone());
        drop(life);
        self.0.world.record("start", format_args!("{} {}", self.0.id, boot.incarnation));
        let node = self.clone();
        process.start(&self.0.main, boot, move || node.exited(boot.incarnation));
    }

    fn exited(&self, incarnation: u32) {
        let mut life = self.0.life.lock();
        if life.incarnation != incarnation {
            return;
        }
        let process = life.process.take();
        drop(life);
        let Some(process) = process else { return };
        self.0.world.record("exit", self.0.id);
        process.stop(false);
        if self.0.role == Role::Server {
            self.restart_later();
        }
    }

    /// What a supervisor does. To be called within the world's runtime.
    pub(crate) fn restart_later(&self) {
        let node = self.clone();
        spawn_outside(async move {
            sleep(SUPERVISED_RESTART).await;
            node.restart();
        });
    }

    /// Stops scheduling the process, as `SIGSTOP` does: its sockets stay open and fill up. `false` if it does not run.
    #[must_use]
    pub fn pause(&self) -> bool {
        let process = self.0.life.lock().process.clone();
        let paused = process.is_some_and(|process| process.pause());
        if paused {
            self.0.world.record("pause", self.0.id);
        }
        paused
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        let process = self.0.life.lock().process.clone();
        if process.is_some_and(|process| process.resume()) {
            self.0.world.record("resume", self.0.id);
        }
    }

    /// Sets the wall clock to true time plus `offset_micros`, from now on drifting by `drift_ppm` microseconds a second.
    pub fn set_clock(&self, offset_micros: i64, drift_ppm: i64) {
        self.0.clock.set(self.0.world.elapsed(), offset_micros, drift_ppm);
    }

    /// Whether its process is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.0.life.lock().process.as_ref().is_some_and(|process| process.is_paused())
    }

    /// The latest time that its wall clock has shown before it was last set: how far a wrong clock was ahead.
    #[must_use]
    pub fn furthest_clock(&self) -> Timestamp {
        self.0.clock.0.lock().furthest
    }

    /// Runs `work` as this node's process: what it spawns and opens belongs to that. `None` if there is no process.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let process = self.0.life.lock().process.clone()?;
        Some(process.run(work))
    }

    pub(crate) fn end(&self) {
        let process = self.0.life.lock().process.take();
        if let Some(process) = process {
            process.stop(false);
        }
    }
}

/// A wall clock that may be wrong.
#[derive(Default)]
pub(crate) struct Clock(Mutex<Skew>);

#[derive(Clone, Copy, Default)]
struct Skew {
    /// The latest time shown before this skew began.
    furthest: Timestamp,
    since: Duration,
    offset_micros: i64,
    drift_ppm: i64,
}

impl Clock {
    fn set(&self, since: Duration, offset_micros: i64, drift_ppm: i64) {
        let furthest = self.at(since).max(self.0.lock().furthest);
        *self.0.lock() = Skew { furthest, since, offset_micros, drift_ppm };
    }

    pub(crate) fn at(&self, elapsed: Duration) -> Timestamp {
        let skew = *self.0.lock();
        let drifting = i64::try_from(elapsed.saturating_sub(skew.since).as_micros()).unwrap_or(i64::MAX);
        let wrong_by = skew.offset_micros + drifting * skew.drift_ppm / 1_000_000;
        Timestamp::from_micros(WALL_START.after(elapsed).micros() + wrong_by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_by_its_offset_and_a_drift_that_grows() {
        let clock = Clock::default();
        assert_eq!(clock.at(Duration::from_secs(1)), WALL_START.after(Duration::from_secs(1)));
        clock.set(Duration::from_secs(10), -2_000, 100);
        let right = WALL_START.after(Duration::from_secs(20));
        assert_eq!(clock.at(Duration::from_secs(20)).micros() - right.micros(), -2_000 + 1_000);
    }

    #[test]
    fn how_far_a_clock_was_ahead_is_known_after_it_was_set_right() {
        let clock = Clock::default();
        clock.set(Duration::from_secs(10), 3_600_000_000, 0);
        clock.set(Duration::from_secs(20), 0, 0);
        assert_eq!(clock.0.lock().furthest, WALL_START.after(Duration::from_secs(3_620)));
        clock.set(Duration::from_secs(40), 0, 0);
        assert_eq!(clock.0.lock().furthest, WALL_START.after(Duration::from_secs(3_620)));
    }

    #[test]
    fn an_address_belongs_to_its_node() {
        for id in [NodeId::nth(0), NodeId::nth(299)] {
            assert_eq!(NodeId::of_ip(id.ip()), Some(id));
        }
        assert_eq!(NodeId::of_ip(Ipv4Addr::LOCALHOST.into()), None);
    }
}
