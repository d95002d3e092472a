//! Following a run: to its end, never ahead of the store, never further behind than one update.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use settee::job::control::{JobControl, RunKey, RunStatus, RunView};
use settee::rpc::{Reply, Updates};
use settee_core::error::{ErrorKind, codes};
use settee_core::{Error, Timestamp};
use settee_engines::memory::KvFault;

use super::world::{PATIENCE, World, ask, endless, instance, listen, next, once, over, soon, telling};
use crate::job::Jobs;
use crate::shard::Shards;

const HORIZON: Duration = Duration::from_millis(200);

fn key(due: Timestamp) -> RunKey {
    RunKey { job: "reconcile".into(), due }
}

async fn follow(jobs: &Jobs, due: Timestamp) -> Updates<RunView> {
    jobs.follow(key(due)).await.unwrap()
}

async fn told(updates: &mut Updates<RunView>) -> Option<Result<RunView, Error>> {
    tokio::time::timeout(PATIENCE, updates.next()).await.expect("the follower is told in time")
}

#[tokio::test]
async fn a_follower_is_told_how_a_run_is_and_how_it_ended_and_of_nothing_after_that() {
    let (world, (job, _starts)) = (World::new(), telling());
    let (jobs, _running) = world.start(HORIZON).await;
    jobs.register(job.registration("account")).await.unwrap();
    let due = soon(Duration::ZERO);
    let asked = jobs.trigger(ask(due)).await.unwrap();
    let mut updates = follow(&jobs, due).await;
    assert_eq!(told(&mut updates).await.unwrap().unwrap(), asked, "before anybody serves it");
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let mut seen = vec![asked];
    while let Some(view) = told(&mut updates).await {
        seen.push(view.unwrap());
    }
    assert!(seen.windows(2).all(|two| two[0] != two[1]), "each is news: {seen:#?}");
    assert_eq!(seen.last().map(|view| view.state), Some(RunStatus::Succeeded));
    let mut later = follow(&jobs, due).await;
    assert_eq!(told(&mut later).await.unwrap().unwrap(), *seen.last().unwrap());
    assert!(told(&mut later).await.is_none());
}

#[tokio::test]
async fn a_follower_is_never_told_what_a_crash_could_take_back() {
    let (world, (job, mut starts)) = (World::new(), telling());
    let is_away = Arc::new(AtomicBool::new(false));
    let faults = {
        let is_away = is_away.clone();
        move || if is_away.load(Ordering::Relaxed) { KvFault::Refused } else { KvFault::None }
    };
    let shards = Shards::open(Arc::new(world.kv.with_faults(Arc::new(faults)))).await.unwrap();
    let (jobs, _running) = world.start_on(shards, HORIZON).await;
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let due = soon(Duration::from_millis(100));
    jobs.register(once(&job, due)).await.unwrap();
    super::until(&jobs, due, |run| !run.slices.is_empty()).await;
    let mut updates = follow(&jobs, due).await;
    assert_eq!(told(&mut updates).await.unwrap().unwrap().state, RunStatus::Planned);
    is_away.store(true, Ordering::Relaxed);
    assert_eq!(next(&mut starts).await.due(), due);
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    while !jobs.memory().jobs["reconcile"].run_view(due).unwrap().state.is_over() {
        ticks.tick().await;
    }
    ticks.tick().await;
    assert!(updates.next().now_or_never().is_none(), "it ended in memory only");
    is_away.store(false, Ordering::Relaxed);
    while let Some(view) = told(&mut updates).await {
        assert!(view.unwrap().state != RunStatus::Planned);
    }
}

#[tokio::test]
async fn a_follower_that_was_away_gets_one_old_update_and_then_the_end() {
    let (world, (job, _starts)) = (World::new(), telling());
    let (jobs, _running) = world.start(HORIZON).await;
    jobs.register(job.registration("account")).await.unwrap();
    let due = soon(Duration::ZERO);
    jobs.trigger(ask(due)).await.unwrap();
    let mut updates = follow(&jobs, due).await;
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let ended = over(&jobs, due).await;
    // The follower looks when a run ends, like this test, and may be the later of the two.
    let mut seen = Vec::new();
    while let Some(view) = told(&mut updates).await {
        seen.push(view.unwrap());
    }
    assert_eq!((seen.len(), seen.last()), (2, Some(&ended)), "{seen:#?}");
}

#[tokio::test]
async fn a_follower_hears_that_its_run_was_removed_and_that_its_server_stops() {
    let (world, (job, mut starts)) = (World::new(), endless());
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let (jobs, running) = world.start(HORIZON).await;
    jobs.register(job.registration("account")).await.unwrap();
    let due = soon(Duration::ZERO);
    let nothing: Reply<_> = jobs.follow(key(due)).await;
    assert_eq!(Error::from(nothing.unwrap_err()).code(), &codes::NO_JOB);
    jobs.trigger(ask(due)).await.unwrap();
    next(&mut starts).await;
    let mut updates = follow(&jobs, due).await;
    jobs.remove("reconcile".into()).await.unwrap();
    assert_eq!(broken(&mut updates).await.code(), &codes::NO_JOB);

    jobs.register(job.registration("account")).await.unwrap();
    jobs.trigger(ask(due)).await.unwrap();
    let mut updates = follow(&jobs, due).await;
    running.stop();
    assert_eq!(broken(&mut updates).await.kind(), ErrorKind::Unavailable);
}

async fn broken(updates: &mut Updates<RunView>) -> Error {
    loop {
        if let Err(error) = told(updates).await.expect("it ends with an error") {
            return error;
        }
    }
}
