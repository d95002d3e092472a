//! Jobs and their firings: two workers, three jobs, and a resource outside of any database that checks who may write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee::app::App;
use settee::job::control::Trigger;
use settee::job::{Job, JobControl, JobControlClient, Overlap, Run};
use settee::{Error, Reply, Timestamp};
use settee_core::env;
use settee_core::id::FencingToken;
use settee_payments::api::RECONCILE;

use super::customers::due_in;
use super::plant::Plant;
use super::stage::{Stage, call_context, millis_between, sleep_between};
use super::till::{Drawer, TillServer};
use crate::faults::SAFETY;
use crate::world::Phase;

/// Every few seconds, at most once each.
pub(super) const BEAT: &str = "beat";
/// Every few seconds, also beside an earlier one; a run may happen again, and its effect is made once by its id.
pub(super) const TIDY: &str = "tidy";
/// When it is triggered, at most once each.
pub(super) const ONCE: &str = "once";

const BEAT_EVERY: Duration = Duration::from_secs(3);
const TIDY_EVERY: Duration = Duration::from_secs(4);

/// How long a run takes at most, in milliseconds: long enough for its worker or coordinator to die meanwhile.
const RUN_MILLIS: usize = 1_200;

/// One run in so many may take longer than a restart of the coordinator and the time to the next run: up to this.
const LONG: usize = 4;
const LONG_MILLIS: usize = 9_000;

/// How long a run may take at its worker.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A run, or one slice of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RunRef {
    pub(super) job: String,
    pub(super) due: Timestamp,
    pub(super) slice: u32,
}

/// Something that a handler did.
#[derive(Clone, Debug)]
pub(super) struct Firing {
    pub(super) run: RunRef,
    pub(super) attempt: u32,
    pub(super) token: FencingToken,
}

/// The resource that jobs write to, and the notes about it.
#[derive(Default)]
pub(super) struct Firings(Mutex<Fired>);

/// What handlers did.
#[derive(Clone, Default)]
pub(super) struct Fired {
    /// Handlers that began.
    pub(super) begun: Vec<Firing>,
    /// Writes that the resource took, in order.
    pub(super) accepted: Vec<Firing>,
    /// The highest token that it has seen, for each job.
    highest: BTreeMap<String, FencingToken>,
    /// One-shots that the coordinator acknowledged.
    pub(super) triggered: Vec<(String, Timestamp)>,
}

impl Firings {
    pub(super) fn notes(&self) -> Fired {
        self.0.lock().clone()
    }

    /// The coordinator has promised to run `job`.
    pub(super) fn triggered(&self, job: &str, due: Timestamp) {
        self.0.lock().triggered.push((job.to_owned(), due));
    }

    fn began(&self, firing: Firing) {
        self.0.lock().begun.push(firing);
    }

    /// Writes unless a newer coordinator's run has written, or this very run has.
    fn write(&self, firing: Firing, checks_token: bool, checks_run: bool) -> bool {
        let mut inner = self.0.lock();
        let highest = inner.highest.entry(firing.run.job.clone()).or_default();
        let is_stale = firing.token < *highest;
        *highest = firing.token.max(*highest);
        let is_repeat = inner.accepted.iter().any(|accepted| accepted.run == firing.run);
        if (is_stale && checks_token) || (is_repeat && checks_run) {
            return false;
        }
        inner.accepted.push(firing);
        true
    }
}

/// A worker: all three jobs, and a till.
pub(super) async fn worker(app: App, stage: Arc<Stage>) -> Result<App, Error> {
    let job = |name| {
        let stage = stage.clone();
        Job::new(name, move |run| fire(stage.clone(), run)).timeout(TIMEOUT)
    };
    let tidy = job(TIDY).every(TIDY_EVERY).idempotent().overlap(Overlap::Allow);
    let app = app.serve(TillServer::new(Drawer(stage.clone())));
    Ok(app.job(job(BEAT).every(BEAT_EVERY)).job(tidy).job(job(ONCE)))
}

async fn fire(stage: Arc<Stage>, run: Run) -> Reply<()> {
    let name = RunRef { job: run.name().to_owned(), due: run.due(), slice: run.slice() };
    let firing = Firing { run: name, attempt: run.attempt(), token: run.token() };
    stage.world.record("run begun", format_args!("{} {} {}", run.id(), run.attempt(), run.token()));
    stage.world.reached(if run.attempt() > 1 { "run dispatched again" } else { "run begun" });
    stage.firings.began(firing.clone());
    sleep_between(0, longest(&stage, run.name())).await;
    let took = stage.firings.write(firing, !stage.has(Plant::IgnoresTokens), run.name() == TIDY);
    stage.world.record("run wrote", format_args!("{} {took}", run.id()));
    stage.world.reached(if took { "run had its effect" } else { "run's effect suppressed" });
    Ok(())
}

/// Now and then a run of [`TIDY`] goes on while its coordinator is replaced and the next run writes: its own write comes too late.
/// Not when everything is healed, where each run is to end before it is looked at.
fn longest(stage: &Stage, job: &str) -> usize {
    let is_long = job == TIDY && stage.world.phase() == Phase::Safety && env::random_below(LONG) == 0;
    if is_long { LONG_MILLIS } else { RUN_MILLIS }
}

/// Asks for one-shots and for reconciliations, now and then.
pub(super) async fn trigger(stage: Arc<Stage>, jobs: JobControlClient) {
    while stage.world.elapsed() < SAFETY {
        sleep_between(500, 4_000).await;
        let due = due_in(millis_between(0, 3_000));
        let job = if env::random_below(4) == 0 { RECONCILE } else { ONCE };
        let trigger = Trigger { job: job.to_owned(), due, reference: None };
        for _ in 0..5 {
            let asked = call_context().scope(jobs.trigger(trigger.clone())).await;
            match asked {
                Ok(view) => {
                    stage.world.reached("run triggered");
                    stage.world.record("run triggered", &view.id);
                    stage.firings.triggered(job, due);
                    break;
                }
                Err(_) => sleep_between(200, 900).await,
            }
        }
    }
}
