//! One seed from beginning to end: a fresh thread, an armed guard, a paused runtime, the two phases, the checks.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Once};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use settee_core::env::{Host, on_host};

use crate::faults::{Director, LIVENESS, Swarm};
use crate::guard;
use crate::history::Violation;
use crate::logs::Logs;
use crate::node::Boot;
use crate::process::Nowhere;
use crate::world::World;

/// The thread of a seed polls deep futures of debug builds.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// In how many steps the patience with a seed runs out.
const LOOKS: u32 = 100;

/// A system under test: what runs in a world, and what must hold of it.
pub trait Workload: Send + Sync + 'static {
    /// Adds nodes to `world`. What the checks need to see is shared with the returned value.
    fn build(&self, world: &World) -> Box<dyn Checks>;

    /// The end states that many seeds together must reach, or they test less than they are meant to. Default: none.
    fn reaches(&self) -> &'static [&'static str] {
        &[]
    }
}

/// What must hold when a seed is over.
pub trait Checks {
    /// The invariants that do not hold. Runs as a client of its own after the liveness phase, while the system still runs.
    fn invariants<'a>(&'a mut self, world: &'a World) -> Pin<Box<dyn Future<Output = Vec<Violation>> + 'a>>;
}

/// How to run a seed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Real time after which a seed counts as stuck. Default: 30 s, hundreds of times what a seed takes.
    pub patience: Duration,
    /// Print every event as it happens, to standard error. Default: no.
    pub trace: bool,
    /// Faults instead of those that the seed draws. Default: none.
    pub swarm: Option<Swarm>,
}

impl Default for Options {
    fn default() -> Self {
        Self { patience: Duration::from_secs(30), trace: false, swarm: None }
    }
}

/// What became of a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedReport {
    /// The seed.
    pub seed: u64,
    /// The options it drew.
    pub swarm: String,
    /// The hash of its history: equal whenever the seed is run again.
    pub hash: u64,
    /// How many events that history has.
    pub events: u64,
    /// Virtual time that passed, in milliseconds.
    pub simulated_ms: u64,
    /// Faults that took effect.
    pub faults: BTreeMap<String, u64>,
    /// End states that were reached.
    pub states: BTreeMap<String, u64>,
    /// What did not hold.
    pub violations: Vec<Violation>,
}

impl SeedReport {
    /// A report of a seed that ended without one of its own.
    #[must_use]
    pub fn ended_by(seed: u64, violation: Violation) -> Self {
        Self {
            seed,
            swarm: Swarm::draw(seed).to_string(),
            hash: 0,
            events: 0,
            simulated_ms: 0,
            faults: BTreeMap::new(),
            states: BTreeMap::new(),
            violations: vec![violation],
        }
    }
}

/// Runs `seed` of `workload` on a thread of its own. A seed that is stuck leaves its thread behind.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a seed is a real thread, so that nothing thread-local outlives it")]
pub fn seed(workload: &Arc<dyn Workload>, seed: u64, options: &Options) -> SeedReport {
    catch_panics_of_simulated_threads();
    let (report, reported) = channel();
    let (workload, options, patience) = (workload.clone(), options.clone(), options.patience);
    let thread = std::thread::Builder::new().name(format!("seed {seed}")).stack_size(STACK_BYTES).spawn(move || {
        guard::arm(seed);
        let outcome = catch_unwind(AssertUnwindSafe(|| on_this_thread(workload.as_ref(), seed, &options)));
        // Nobody listens any more if this seed was given up as stuck.
        let _ = report.send(outcome.unwrap_or_else(|cause| SeedReport::ended_by(seed, panicked(cause.as_ref()))));
    });
    let ended_by = |name, detail: &str| SeedReport::ended_by(seed, Violation::new(name, detail));
    match (thread, wait(&reported, patience)) {
        (Err(error), _) => ended_by("crash", &format!("no thread: {error}")),
        (Ok(_), Ok(report)) => report,
        (Ok(_), Err(RecvTimeoutError::Timeout)) => ended_by("stuck", &format!("no end within {patience:?} of real time")),
        (Ok(_), Err(RecvTimeoutError::Disconnected)) => ended_by("crash", "the thread ended without a report"),
    }
}

/// A machine that stands still, as a virtual one does while it is saved, uses up one look and not all patience.
fn wait<T>(reported: &Receiver<T>, patience: Duration) -> Result<T, RecvTimeoutError> {
    for _ in 1..LOOKS {
        match reported.recv_timeout(patience / LOOKS) {
            Err(RecvTimeoutError::Timeout) => {}
            ended => return ended,
        }
    }
    reported.recv_timeout(patience / LOOKS)
}

fn on_this_thread(workload: &dyn Workload, seed: u64, options: &Options) -> SeedReport {
    let nowhere: Arc<dyn Host> = Arc::new(Nowhere);
    on_host(&nowhere, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without IO needs nothing from the system");
        runtime.block_on(both_phases(workload, seed, options))
    })
}

async fn both_phases(workload: &dyn Workload, seed: u64, options: &Options) -> SeedReport {
    let swarm = options.swarm.clone().unwrap_or_else(|| Swarm::draw(seed));
    let world = World::new(seed, swarm, options.trace);
    let _listening = tracing::subscriber::set_default(Logs::of(&world, options.trace));
    let network = spawn_outside(world.network().clone().run());
    let mut checks = workload.build(&world);
    Director::new(&world).safety_phase().await;
    tokio::time::sleep(LIVENESS).await;
    let violations = observed(&world, checks.invariants(&world)).await;
    violations.into_iter().for_each(|violation| world.violated(violation));
    for message in take_panics() {
        world.violated(Violation::new("panic", message));
    }
    network.abort();
    report(seed, &world)
}

#[expect(clippy::disallowed_methods, reason = "a task of the world itself, which belongs to no node")]
pub(crate) fn spawn_outside(task: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(task)
}

/// Polls `work` as a client of its own, so that it may connect to the system.
async fn observed<T>(world: &World, mut work: Pin<Box<dyn Future<Output = T> + '_>>) -> T {
    let observer = world.client("observer", |_: Boot| std::future::pending());
    poll_fn(|context| observer.run(|| work.as_mut().poll(context)).expect("nobody kills the observer")).await
}

fn report(seed: u64, world: &World) -> SeedReport {
    let named = |counts: BTreeMap<&'static str, u64>| counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    let simulated_ms = u64::try_from(world.elapsed().as_millis()).unwrap_or(u64::MAX);
    let records = world.end();
    SeedReport {
        seed,
        swarm: world.swarm().to_string(),
        hash: records.hash.value(),
        events: records.events,
        simulated_ms,
        faults: named(world.faults().struck()),
        states: named(records.states),
        violations: records.violations,
    }
}

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn take_panics() -> Vec<String> {
    PANICS.take()
}

/// A runtime swallows the panics of its tasks; this keeps those of simulated threads, silently, with their place.
fn catch_panics_of_simulated_threads() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if guard::is_armed() {
                PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            } else {
                default(panic);
            }
        }));
    });
}

fn panicked(cause: &(dyn Any + Send)) -> Violation {
    let message = cause.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| cause.downcast_ref().cloned());
    let panics = take_panics();
    Violation::new("panic", panics.first().cloned().or(message).unwrap_or_else(|| "without a message".into()))
}

/// Nothing must hold: for tests of the harness whose workload looks after itself.
#[cfg(test)]
pub(crate) struct NoChecks;

#[cfg(test)]
impl Checks for NoChecks {
    fn invariants<'a>(&'a mut self, _world: &'a World) -> Pin<Box<dyn Future<Output = Vec<Violation>> + 'a>> {
        Box::pin(async { Vec::new() })
    }
}

/// Runs `test` in a world without faults, on a thread of its own.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the thread of a seed")]
pub(crate) fn in_calm_world<F: Future<Output = ()>>(test: impl FnOnce(World) -> F + Send + 'static) {
    let thread = std::thread::spawn(|| {
        guard::arm(1);
        let nowhere: Arc<dyn Host> = Arc::new(Nowhere);
        on_host(&nowhere, || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let world = World::new(1, Swarm::default(), false);
                spawn_outside(world.network().clone().run());
                test(world.clone()).await;
                world.end();
            });
        });
    });
    thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause));
}

#[cfg(test)]
#[path = "run_test.rs"]
mod tests;
