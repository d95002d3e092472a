//! One life of a node's program: the host of its tasks.
//!
//! Killing it first makes its ports inert (peers are told what the network would tell them), then closes the gate, then ends
//! its tasks. A destructor of an ended task finds a dead host: what it spawns is ended at once, what it opens fails.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use settee_core::Timestamp;
use settee_core::env::{self, Accept, Host, Io, on_host};
use tokio::task::AbortHandle;

use crate::faults::Fault;
use crate::guard;
use crate::net::ProcessId;
use crate::node::{Boot, Clock, Main};
use crate::world::World;

/// Finished tasks are dropped from the list each time it has doubled, but not below this.
const MIN_TASKS_BEFORE_PRUNING: usize = 64;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(crate) struct Process {
    world: World,
    id: ProcessId,
    clock: Arc<Clock>,
    state: Mutex<State>,
}

struct State {
    gate: Gate,
    tasks: Vec<AbortHandle>,
    prune_at: usize,
    random: StdRng,
}

enum Gate {
    Running,
    /// Whom to wake when it goes on.
    Paused(Vec<Waker>),
    Ended,
}

/// Also a panic of the first task ends the process.
struct OnExit<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnExit<F> {
    fn drop(&mut self) {
        if let Some(exited) = self.0.take() {
            exited();
        }
    }
}

impl Process {
    pub(crate) fn new(world: &World, boot: Boot, clock: Arc<Clock>) -> Arc<Self> {
        let id = world.network().join(boot.node);
        let random = StdRng::seed_from_u64(world.seed().wrapping_add(id.0 << 20) ^ 0x9e0d);
        let state = State { gate: Gate::Running, tasks: Vec::new(), prune_at: MIN_TASKS_BEFORE_PRUNING, random };
        Arc::new(Self { world: world.clone(), id, clock, state: Mutex::new(state) })
    }

    /// Spawns `main` as the first task; `exited` is called when that ends, however it does.
    pub(crate) fn start(self: &Arc<Self>, main: &Main, boot: Boot, exited: impl FnOnce() + Send + 'static) {
        self.run(|| {
            let program = main(boot);
            let exit = OnExit(Some(exited));
            env::spawn(async move {
                let _exit = exit;
                program.await;
            });
        });
    }

    pub(crate) fn run<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        let host: Arc<dyn Host> = self.clone();
        on_host(&host, work)
    }

    pub(crate) fn stop(&self, silently: bool) {
        self.world.network().leave(self.id, silently);
        let (tasks, gate) = {
            let mut state = self.state.lock();
            (std::mem::take(&mut state.tasks), std::mem::replace(&mut state.gate, Gate::Ended))
        };
        drop(gate);
        tasks.iter().for_each(AbortHandle::abort);
    }

    /// Tasks that have not ended.
    pub(crate) fn tasks(&self) -> usize {
        self.state.lock().tasks.iter().filter(|task| !task.is_finished()).count()
    }

    pub(crate) fn pause(&self) -> bool {
        let mut state = self.state.lock();
        let runs = matches!(state.gate, Gate::Running);
        if runs {
            state.gate = Gate::Paused(Vec::new());
        }
        runs
    }

    pub(crate) fn resume(&self) -> bool {
        let mut state = self.state.lock();
        let Gate::Paused(waiting) = &mut state.gate else { return false };
        let waiting = std::mem::take(waiting);
        state.gate = Gate::Running;
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        true
    }

    pub(crate) fn is_paused(&self) -> bool {
        matches!(self.state.lock().gate, Gate::Paused(_))
    }

    /// What blocking work takes: mostly less than the clock's millisecond, now and then a few, long when the seed says so.
    fn draw_work_time(&self) -> Duration {
        let slow = self.world.strikes(Fault::SlowWork);
        let random = &mut self.state.lock().random;
        match random.random_range(0..10_u32) {
            _ if slow => Duration::from_millis(random.random_range(20..1_000)),
            0..=6 => Duration::ZERO,
            7 | 8 => Duration::from_millis(1),
            _ => Duration::from_millis(random.random_range(2..6)),
        }
    }
}

impl Host for Process {
    fn poll_gate(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        match &mut state.gate {
            Gate::Running => {}
            Gate::Paused(waiting) => {
                if !waiting.iter().any(|other| other.will_wake(waker)) {
                    waiting.push(waker.clone());
                }
                return false;
            }
            Gate::Ended => return false,
        }
        drop(state);
        let elapsed = self.world.elapsed();
        guard::set_clocks(elapsed, self.clock.at(elapsed));
        true
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<io::Result<Box<dyn Io>>> {
        let dialled = self.world.network().dial(self.id, to);
        Box::pin(async move { dialled?.connected().await.map(|socket| Box::new(socket) as Box<dyn Io>) })
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Accept>> {
        self.world.network().listen(self.id, at).map(|listener| Box::new(listener) as Box<dyn Accept>)
    }

    fn spawned(&self, task: AbortHandle) {
        let mut state = self.state.lock();
        if matches!(state.gate, Gate::Ended) {
            task.abort();
            return;
        }
        if state.tasks.len() >= state.prune_at {
            state.tasks.retain(|task| !task.is_finished());
            state.prune_at = (state.tasks.len() * 2).max(MIN_TASKS_BEFORE_PRUNING);
        }
        state.tasks.push(task);
    }

    fn charge(&self) -> BoxFuture<()> {
        let owed = self.draw_work_time();
        Box::pin(async move {
            match owed {
                Duration::ZERO => tokio::task::yield_now().await,
                owed => tokio::time::sleep(owed).await,
            }
        })
    }

    fn wall_clock(&self) -> Timestamp {
        self.clock.at(self.world.elapsed())
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.state.lock().random.fill_bytes(bytes);
    }
}

/// The host of whatever runs on no node, above all destructors of ended tasks: nothing that it is asked for happens.
pub(crate) struct Nowhere;

impl Host for Nowhere {
    fn poll_gate(&self, _waker: &Waker) -> bool {
        false
    }

    fn connect(&self, _to: SocketAddr) -> BoxFuture<io::Result<Box<dyn Io>>> {
        Box::pin(async { Err(io::ErrorKind::NetworkDown.into()) })
    }

    fn listen(&self, _at: SocketAddr) -> io::Result<Box<dyn Accept>> {
        Err(io::ErrorKind::NetworkDown.into())
    }

    fn spawned(&self, task: AbortHandle) {
        task.abort();
    }

    fn charge(&self) -> BoxFuture<()> {
        Box::pin(async {})
    }

    fn wall_clock(&self) -> Timestamp {
        guard::WALL_START
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}
