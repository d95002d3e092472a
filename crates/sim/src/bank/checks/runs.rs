//! I6: every run has one effect, and none that is due is forgotten. I7: tokens never go backwards.

use std::collections::BTreeMap;
use std::time::Duration;

use settee::Timestamp;
use settee::job::control::RunStatus;
use settee_core::id::FencingToken;

use super::Evidence;
use crate::bank::runs::{BEAT, Firing, ONCE, RunRef, TIDY};
use crate::bank::stage::Stage;
use crate::faults::{Fault, LIVENESS, SAFETY};
use crate::guard::WALL_START;
use crate::history::Violation;

/// The part of the liveness phase in which everything runs as planned, from its beginning to before its end.
const STEADY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3));

/// How much later it begins where clocks were set back: a worker whose successor's clock is behind is given up when the registry's
/// grace of ten seconds is over, and what had waited behind its run is through a little later.
const CATCHING_UP: Duration = Duration::from_secs(3);

fn violation(detail: impl std::fmt::Display) -> Violation {
    Violation::new("I6", detail)
}

/// A run that may not repeat began at most once; a run that may had one effect; what is recorded as done was; what was
/// triggered or due is recorded.
pub(in crate::bank) fn i6_every_run_has_one_effect(stage: &Stage, evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    for (run, times) in times(&evidence.firings.begun) {
        if run.job != TIDY && times > 1 {
            let begun = evidence.firings.begun.iter().filter(|firing| firing.run == *run);
            let attempts: Vec<_> = begun.map(|firing| format!("attempt {} by {}", firing.attempt, firing.token)).collect();
            found.push(violation(format_args!("{run:?} began {times} times: {}", attempts.join(", "))));
        }
    }
    for (run, times) in times(&evidence.firings.accepted) {
        if times > 1 {
            found.push(violation(format_args!("{run:?} had {times} effects")));
        }
    }
    found.extend(recorded(evidence));
    found.extend(triggered(evidence));
    if !planned_ahead(stage) {
        found.extend(steady(stage, evidence));
    }
    found
}

fn times(firings: &[Firing]) -> BTreeMap<&RunRef, usize> {
    let mut times = BTreeMap::new();
    firings.iter().for_each(|firing| *times.entry(&firing.run).or_default() += 1);
    times
}

/// What the coordinator records as succeeded began, and what it records as skipped did not.
fn recorded(evidence: &Evidence) -> Vec<Violation> {
    let begun = times(&evidence.firings.begun);
    let mut found = Vec::new();
    for (job, runs) in evidence.runs.iter().filter(|(job, _)| [BEAT, TIDY, ONCE].contains(job)) {
        for run in runs {
            let of_slice = |slice: u32| begun.contains_key(&RunRef { job: (*job).to_owned(), due: run.due, slice });
            let slices: Vec<_> = run.slices.iter().map(|slice| (slice.state, of_slice(slice.slice))).collect();
            if slices.contains(&(RunStatus::Succeeded, false)) {
                found.push(violation(format_args!("{} succeeded and never began", run.id)));
            }
            if slices.contains(&(RunStatus::Skipped, true)) {
                found.push(violation(format_args!("{} was skipped and began", run.id)));
            }
        }
    }
    found
}

/// A one-shot that was acknowledged is over.
fn triggered(evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    for (job, due) in &evidence.firings.triggered {
        let run = evidence.runs.get(job.as_str()).and_then(|runs| runs.iter().find(|run| run.due == *due));
        match run {
            None => found.push(violation(format_args!("{job} was triggered for {due}, and nobody knows"))),
            Some(run) if !run.state.is_over() => found.push(violation(format_args!("{} is not over: {:?}", run.id, run.slices))),
            Some(_) => {}
        }
    }
    found
}

/// Whether the server's clock was once so far ahead that it planned the steady part long before: what was due then counted as missed
/// at a time that had not come, and is not planned again. Only another server's clock could tell it so (P8), and there is none.
/// A clock that was behind, or ahead by less, is no excuse.
fn planned_ahead(stage: &Stage) -> bool {
    let furthest = stage.server_node().map_or(Timestamp::EPOCH, |server| server.furthest_clock());
    furthest.after(settee_server::job::Config::default().horizon) >= WALL_START.after(steady_since(stage))
}

fn steady_since(stage: &Stage) -> Duration {
    let late = if stage.world.swarm().suffers(Fault::ClockSkew) { CATCHING_UP } else { Duration::ZERO };
    SAFETY + STEADY.0 + late
}

/// In the steady part of the liveness phase every due time of the schedules has its run.
fn steady(stage: &Stage, evidence: &Evidence) -> Vec<Violation> {
    let (from, to) = (WALL_START.after(steady_since(stage)), WALL_START.after(SAFETY + LIVENESS - STEADY.1));
    let mut found = Vec::new();
    for (job, period) in [(BEAT, 3_000), (TIDY, 4_000)] {
        let dues = (from.millis()..to.millis()).filter(|due| due % period == 0);
        for due in dues {
            let runs = evidence.runs.get(job).into_iter().flatten();
            if !runs.into_iter().any(|run| run.due.millis() == due && run.state == RunStatus::Succeeded) {
                found.push(violation(format_args!("{job} was due at {due} and did not succeed")));
            }
        }
    }
    found
}

/// The writes that a resource took carry tokens that never go backwards, and every owner has a token above those before it.
pub(in crate::bank) fn i7_tokens_never_go_backwards(stage: &Stage, evidence: &Evidence) -> Vec<Violation> {
    let mut highest = BTreeMap::<&str, &Firing>::new();
    let tokens = stage.starts.tokens();
    let repeated = tokens.windows(2).filter(|lives| lives[1].1 <= lives[0].1);
    let say = |lives: &[(u32, FencingToken)]| {
        format!("life {} owns by {}, life {} did by {}", lives[1].0, lives[1].1, lives[0].0, lives[0].1)
    };
    let mut found: Vec<_> = repeated.map(|lives| Violation::new("I7", say(lives))).collect();
    for firing in &evidence.firings.accepted {
        let before = highest.entry(&firing.run.job).or_insert(firing);
        if firing.token < before.token {
            found.push(Violation::new("I7", format_args!("{firing:?} was taken after {before:?}")));
        } else {
            *before = firing;
        }
    }
    found
}
