//! The coordinator over a store in memory, with workers on real sockets: fires once, survives a restart, makes up, cancels.

mod follow;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use settee::job::control::{JobControl, JobControlClient, JobControlServer, ListRuns, RegisterJob, RunStatus};
use settee::job::{Job, Misfire, Overlap, Run, Schedule};
use settee::rpc::{Channels, Listening, ServerConfig, Services, StaticInstances};
use settee::trace::Tracer;
use settee_core::error::codes;
use settee_core::job::run::{Retry, RunPolicy, SkipCause};
use settee_core::job::{Run as SlicePlan, RunId, RunState};
use settee_core::port::{Commit, Kv, Write};
use settee_core::registry::{Instance, Share};
use settee_core::{Error, Instant, env};
use settee_engines::memory::KvFault;
use tokio::sync::mpsc;

use self::world::{World, ask, endless, instance, listen, next, once, over, run_of, soon, telling, until};
use super::entry::JobEntry;
use super::memory::Memory;
use super::record::{JobRecord, RunRecord, job_key, run_key};
use crate::record::encode;
use crate::shard::Shards;

#[tokio::test]
async fn a_job_fires_once_at_its_due_time_and_shows_its_result() {
    let (world, (job, mut starts)) = (World::new(), telling());
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let (jobs, _running) = world.start(Duration::from_millis(200)).await;
    let due = soon(Duration::from_millis(300));
    jobs.register(once(&job, due)).await.unwrap();
    let run = next(&mut starts).await;
    assert!(env::wall_clock() >= due && run.due() == due);
    let view = over(&jobs, due).await;
    assert_eq!((view.state, view.slices[0].result.as_deref()), (RunStatus::Succeeded, Some(r#""0/1""#)));
    assert_eq!(view.slices[0].token, Some(run.token()));
    jobs.register(once(&job, due)).await.unwrap();
    let jobs = jobs.job_page(None).await.unwrap().items;
    assert_eq!((jobs[0].last_runs.len(), jobs[0].next_due), (1, None));
    assert!(starts.try_recv().is_err());
}

#[tokio::test]
async fn a_restart_between_plan_and_due_time_fires_exactly_once_at_the_planned_worker() {
    let (world, (job, mut starts)) = (World::new(), telling());
    let workers = [listen(&job).await, listen(&job).await];
    world.serve(workers.iter().map(|listening| instance(listening.address(), 1, None)));
    let (first, running) = world.start(Duration::from_secs(5)).await;
    let due = soon(Duration::from_millis(500));
    first.register(once(&job, due)).await.unwrap();
    let planned = until(&first, due, |run| !run.slices.is_empty()).await;
    running.stop();
    let (second, _running) = world.start(Duration::from_secs(5)).await;
    let view = over(&second, due).await;
    assert_eq!((view.state, view.slices[0].attempt), (RunStatus::Succeeded, 1));
    assert_eq!(view.slices[0].worker, planned.slices[0].worker);
    assert!(view.slices[0].token > planned.slices[0].token);
    assert_eq!(next(&mut starts).await.due(), due);
    assert!(starts.try_recv().is_err());
}

#[tokio::test]
async fn a_restart_while_a_run_is_under_way_gets_its_result_and_does_not_start_it_again() {
    let (world, release) = (World::new(), Arc::new(tokio::sync::Notify::new()));
    let (sender, mut starts) = mpsc::unbounded_channel();
    let gate = release.clone();
    let job = Job::new("reconcile", move |run: Run| {
        let (told, gate) = (sender.send(run), gate.clone());
        async move {
            told?;
            gate.notified().await;
            Ok(7)
        }
    });
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let (first, running) = world.start(Duration::from_millis(200)).await;
    let due = soon(Duration::ZERO);
    first.register(job.registration("account")).await.unwrap();
    first.trigger(ask(due)).await.unwrap();
    next(&mut starts).await;
    running.stop();
    let (second, _running) = world.start(Duration::from_millis(200)).await;
    release.notify_one();
    let view = over(&second, due).await;
    assert_eq!((view.state, view.slices[0].result.as_deref()), (RunStatus::Succeeded, Some("7")));
    assert!(starts.try_recv().is_err());
}

#[tokio::test]
async fn a_successor_never_gives_a_planned_run_to_another_process_than_the_named_one() {
    let (world, (job, mut starts)) = (World::new(), telling());
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let (first, running) = world.start(Duration::from_secs(5)).await;
    let due = soon(Duration::from_millis(300));
    first.register(once(&job, due)).await.unwrap();
    until(&first, due, |run| !run.slices.is_empty()).await;
    running.stop();
    world.serve([instance(listening.address(), 2, None)]);
    let (second, _running) = world.start(Duration::from_secs(5)).await;
    assert_eq!(over(&second, due).await.state, RunStatus::Unknown);
    assert!(starts.try_recv().is_err());
}

#[tokio::test]
async fn due_times_missed_in_a_downtime_are_made_up_once() {
    let (world, (job, mut starts)) = (World::new(), telling());
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let hour = Duration::from_secs(3_600);
    let last = env::wall_clock().before(hour / 2);
    let schedule = Schedule::Every { period: hour, first: last.before(hour * 9) };
    let definition = RegisterJob { schedule, misfire: Misfire::Once, ..job.registration("account") };
    let stored = JobRecord::new(definition.clone(), 1, last.before(hour * 9));
    let writes = vec![Write::Put(job_key("reconcile"), encode(&stored))];
    world.kv.commit(Commit { compares: vec![], writes }).await.unwrap();
    let (jobs, _running) = world.start(Duration::from_millis(200)).await;
    assert_eq!(next(&mut starts).await.due(), last);
    assert_eq!(over(&jobs, last).await.state, RunStatus::Succeeded);
    let view = jobs.register(definition).await.unwrap();
    assert_eq!((view.last_runs.len(), view.next_due), (1, Some(last.after(hour))));
}

#[tokio::test]
async fn a_changed_definition_cancels_what_was_planned_in_the_same_write() {
    let (world, (job, mut starts)) = (World::new(), telling());
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let (jobs, _running) = world.start(Duration::from_secs(60)).await;
    let (former, latter) = (soon(Duration::from_secs(30)), soon(Duration::from_millis(300)));
    let first = jobs.register(once(&job, former)).await.unwrap();
    let planned = until(&jobs, former, |run| !run.slices.is_empty()).await;
    let second = jobs.register(once(&job, latter)).await.unwrap();
    assert!(second.version > first.version);
    let id = format!("{}/0", planned.id).parse().unwrap();
    assert_eq!(world.kv.get(&run_key(&id)).await.unwrap(), None);
    assert_eq!(next(&mut starts).await.id().version, second.version);
    over(&jobs, latter).await;
    let runs = jobs.run_page(ListRuns { job: "reconcile".into(), limit: 9 }, None).await.unwrap().items;
    assert_eq!(runs.iter().map(|run| run.due).collect::<Vec<_>>(), [latter]);
}

#[tokio::test]
async fn a_new_definition_under_the_same_schedule_loses_no_due_time() {
    let (world, (job, mut starts)) = (World::new(), telling());
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let (jobs, _running) = world.start(Duration::from_secs(60)).await;
    let due = soon(Duration::from_millis(600));
    jobs.register(once(&job, due)).await.unwrap();
    until(&jobs, due, |run| !run.slices.is_empty()).await;
    let changed = RegisterJob { timeout_ms: 5_000, ..once(&job, due) };
    let view = jobs.register(changed).await.unwrap();
    assert_eq!(next(&mut starts).await.id().version, view.version);
}

#[tokio::test]
async fn a_store_whose_answers_get_lost_makes_no_run_happen_twice() {
    let (world, (job, mut starts)) = (World::new(), telling());
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let calls = AtomicU32::new(0);
    let faults = move || match calls.fetch_add(1, Ordering::Relaxed) % 7 {
        3 => KvFault::DoneUnknown,
        4 => KvFault::LostUnknown,
        5 => KvFault::Refused,
        _ => KvFault::None,
    };
    let lossy = Shards::open(Arc::new(world.kv.with_faults(Arc::new(faults)))).await.unwrap();
    let (jobs, running) = world.start_on(lossy, Duration::from_millis(200)).await;
    jobs.register(job.registration("account")).await.unwrap();
    let dues: Vec<_> = (0..5).map(|n| soon(Duration::from_millis(n))).collect();
    for due in &dues {
        jobs.trigger(ask(*due)).await.unwrap();
        over(&jobs, *due).await;
        assert_eq!(next(&mut starts).await.due(), *due);
    }
    running.stop();
    let (jobs, _running) = world.start(Duration::from_millis(200)).await;
    for due in dues {
        assert_eq!(run_of(&jobs, due).await.state, RunStatus::Succeeded);
    }
    assert!(starts.try_recv().is_err());
}

#[tokio::test]
async fn each_share_gets_its_slice() {
    let (world, (job, _starts)) = (World::new(), telling());
    let workers = [listen(&job).await, listen(&job).await];
    let shares = [Share { index: 0, of: 2 }, Share { index: 1, of: 2 }];
    world.serve(workers.iter().zip(shares).map(|(listening, share)| instance(listening.address(), 1, Some(share))));
    let (jobs, _running) = world.start(Duration::from_millis(200)).await;
    let due = soon(Duration::from_millis(300));
    jobs.register(RegisterJob { ..once(&job.clone().per_share(), due) }).await.unwrap();
    let view = over(&jobs, due).await;
    let seen: Vec<_> = view.slices.iter().map(|slice| (slice.worker.unwrap(), slice.result.as_deref().unwrap())).collect();
    assert_eq!(seen, [(workers[0].address(), r#""0/2""#), (workers[1].address(), r#""1/2""#)]);
}

#[tokio::test]
async fn a_run_whose_worker_died_ends_unknown_unless_it_may_be_repeated() {
    for idempotent in [false, true] {
        let (world, (stuck, mut starts), (healthy, mut others)) = (World::new(), endless(), telling());
        let (dying, living) = (listen(&stuck).await, listen(&healthy).await);
        world.serve([instance(dying.address(), 1, None)]);
        let (jobs, _running) = world.start(Duration::from_millis(200)).await;
        let due = soon(Duration::ZERO);
        jobs.register(RegisterJob { idempotent, ..stuck.registration("account") }).await.unwrap();
        jobs.trigger(ask(due)).await.unwrap();
        next(&mut starts).await;
        // A newer process at the same address: the one that was asked is dead.
        let replaced = Instance { weight: 0, ..instance(dying.address(), 2, None) };
        world.serve([replaced, instance(living.address(), 1, None)]);
        let view = over(&jobs, due).await;
        match idempotent {
            false => assert_eq!((view.state, view.slices[0].attempt), (RunStatus::Unknown, 1)),
            true => assert_eq!((view.state, view.slices[0].attempt), (RunStatus::Succeeded, 2)),
        }
        assert_eq!(others.try_recv().is_ok(), idempotent);
    }
}

#[tokio::test]
async fn a_worker_that_is_gone_before_it_was_asked_is_replaced() {
    let (world, (job, mut starts)) = (World::new(), telling());
    // Nobody is ever given this port; one that was free a moment ago may be given to another test.
    let (address, living) = (([127, 0, 0, 1], 1).into(), listen(&job).await);
    world.serve([instance(address, 1, None)]);
    let (jobs, _running) = world.start(Duration::from_millis(200)).await;
    let due = soon(Duration::ZERO);
    jobs.register(job.registration("account")).await.unwrap();
    jobs.trigger(ask(due)).await.unwrap();
    until(&jobs, due, |run| !run.slices.is_empty()).await;
    world.serve([instance(address, 1, None), instance(living.address(), 1, None)]);
    let view = over(&jobs, due).await;
    assert_eq!((view.state, view.slices[0].attempt), (RunStatus::Succeeded, 1));
    assert_eq!(view.slices[0].worker, Some(living.address()));
    assert_eq!(next(&mut starts).await.reference(), Some("monday"));
}

#[tokio::test]
async fn two_triggers_of_one_due_time_are_one_run_also_of_a_paused_job_and_before_anybody_serves_it() {
    let (world, (job, mut starts)) = (World::new(), telling());
    let (jobs, _running) = world.start(Duration::from_millis(200)).await;
    jobs.register(job.registration("account")).await.unwrap();
    jobs.pause("reconcile".into()).await.unwrap();
    let due = soon(Duration::ZERO);
    let (first, second) = (jobs.trigger(ask(due)).await.unwrap(), jobs.trigger(ask(due)).await.unwrap());
    assert_eq!((&first, first.state, first.slices.len()), (&second, RunStatus::Planned, 0));
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    assert_eq!(over(&jobs, due).await.id, first.id);
    assert_eq!(jobs.trigger(ask(due)).await.unwrap().state, RunStatus::Succeeded);
    next(&mut starts).await;
    assert!(starts.try_recv().is_err());
}

#[tokio::test]
async fn a_run_that_meets_an_open_one_does_what_the_overlap_policy_says() {
    for (overlap, expected) in
        [(Overlap::Skip, RunStatus::Skipped), (Overlap::Queue, RunStatus::Planned), (Overlap::Allow, RunStatus::Dispatched)]
    {
        let (world, (job, mut starts)) = (World::new(), endless());
        let listening = listen(&job).await;
        world.serve([instance(listening.address(), 1, None)]);
        let (jobs, _running) = world.start(Duration::from_millis(200)).await;
        jobs.register(RegisterJob { overlap, ..job.registration("account") }).await.unwrap();
        let (first, second) = (soon(Duration::ZERO), soon(Duration::from_millis(1)));
        jobs.trigger(ask(first)).await.unwrap();
        next(&mut starts).await;
        jobs.trigger(ask(second)).await.unwrap();
        until(&jobs, second, |run| run.state == expected && !run.slices.is_empty()).await;
    }
}

#[tokio::test]
async fn a_run_that_a_wrong_clock_began_an_hour_early_does_not_hold_up_what_is_due_now() {
    let (world, (job, mut starts)) = (World::new(), telling());
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let early = soon(Duration::from_secs(3_600));
    let stored = JobRecord::new(job.registration("account"), 1, early);
    let policy = RunPolicy { idempotent: false, retry: Retry::default(), timeout: Duration::from_secs(5) };
    let slice = |slice| SlicePlan::planned(RunId { job: "reconcile".into(), version: 1, due: early, slice }, 2, policy, None);
    let ended = SlicePlan { state: RunState::Skipped(SkipCause::Overlap), ..slice(0) };
    let runs = [ended, slice(1)].map(|run| Write::Put(run_key(&run.id), encode(&RunRecord { run, triggered: true })));
    let writes = [vec![Write::Put(job_key("reconcile"), encode(&stored))], runs.into()].concat();
    world.kv.commit(Commit { compares: vec![], writes }).await.unwrap();
    let (jobs, _running) = world.start(Duration::from_millis(200)).await;
    let due = soon(Duration::ZERO);
    jobs.trigger(ask(due)).await.unwrap();
    assert_eq!(next(&mut starts).await.due(), due);
    assert_eq!(over(&jobs, due).await.state, RunStatus::Succeeded);
    assert!(starts.try_recv().is_err(), "the early one waits for its time");
}

#[tokio::test]
async fn a_run_that_a_wrong_clock_let_wait_for_another_has_its_turn_when_it_is_due() {
    let (world, (job, _starts)) = (World::new(), telling());
    let shards = Shards::open(world.kv.clone()).await.unwrap();
    let channels = Channels::new(Arc::new(StaticInstances::new()), Tracer::off());
    let now = env::wall_clock();
    let mut memory = Memory::new(shards, channels.clone(), Duration::ZERO, Instant::now(), now);
    let mut entry =
        JobEntry::new(JobRecord::new(job.registration("account"), 1, now), Schedule::OnDemand.timetable().unwrap(), &channels);
    let due = now.after(Duration::from_secs(2));
    let policy = RunPolicy { idempotent: false, retry: Retry::default(), timeout: Duration::from_secs(5) };
    let id = RunId { job: "reconcile".into(), version: 1, due, slice: 0 };
    entry.restore(RunRecord { run: SlicePlan::planned(id, 1, policy, None), triggered: true });
    memory.jobs.insert("reconcile".into(), entry);
    // The run before it has ended, and the clock was set right.
    memory.next_turn("reconcile", now);
    assert_eq!(memory.agenda.next(), Some(due));
}

#[tokio::test]
async fn a_paused_job_plans_nothing_and_does_not_make_up_for_the_pause() {
    let (world, (job, mut starts)) = (World::new(), telling());
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let (jobs, _running) = world.start(Duration::from_secs(60)).await;
    let due = soon(Duration::from_secs(30));
    jobs.register(once(&job, due)).await.unwrap();
    until(&jobs, due, |run| !run.slices.is_empty()).await;
    let paused = jobs.pause("reconcile".into()).await.unwrap();
    assert_eq!((paused.paused, paused.next_due, paused.last_runs.len()), (true, None, 0));
    let resumed = jobs.resume("reconcile".into()).await.unwrap();
    assert!(!resumed.paused && starts.try_recv().is_err());
}

#[tokio::test]
async fn a_job_that_is_removed_and_made_again_has_a_higher_version_and_no_past() {
    let (world, (job, _starts)) = (World::new(), telling());
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let (jobs, running) = world.start(Duration::from_millis(200)).await;
    let due = soon(Duration::ZERO);
    let first = jobs.register(job.registration("account")).await.unwrap();
    jobs.trigger(ask(due)).await.unwrap();
    over(&jobs, due).await;
    jobs.remove("reconcile".into()).await.unwrap();
    let error = Error::from(jobs.pause("reconcile".into()).await.unwrap_err());
    assert_eq!(error.code(), &codes::NO_JOB);
    running.stop();
    let (jobs, _running) = world.start(Duration::from_millis(200)).await;
    let second = jobs.register(job.registration("account")).await.unwrap();
    assert!(second.version > first.version && second.last_runs.is_empty());
}

#[tokio::test]
async fn the_history_is_bounded_and_what_was_forgotten_is_not_run_again() {
    let (world, (job, mut starts)) = (World::new(), telling());
    let listening = listen(&job).await;
    world.serve([instance(listening.address(), 1, None)]);
    let (jobs, running) = world.start(Duration::from_millis(200)).await;
    jobs.register(job.registration("account")).await.unwrap();
    let begin = env::wall_clock().before(Duration::from_secs(600));
    for second in 0..103 {
        let due = begin.after(Duration::from_secs(second));
        jobs.trigger(ask(due)).await.unwrap();
        over(&jobs, due).await;
        next(&mut starts).await;
    }
    running.stop();
    let (jobs, _running) = world.start(Duration::from_millis(200)).await;
    let client = JobControlClient::in_process(Arc::new(jobs.clone()));
    let runs = client.runs(ListRuns { job: "reconcile".into(), limit: 1_000 }).await.unwrap();
    assert_eq!((runs.len(), runs[99].due), (100, begin.after(Duration::from_secs(3))));
    let page = jobs.run_page(ListRuns { job: "reconcile".into(), limit: 30 }, Some(runs[9].due)).await.unwrap();
    assert_eq!((&page.items[..], page.next), (&runs[10..40], Some(runs[39].due)));
    let latest = client.runs(ListRuns { job: "reconcile".into(), limit: 30 }).await.unwrap();
    assert_eq!(latest, runs[..30]);
    let error = Error::from(jobs.trigger(ask(begin)).await.unwrap_err());
    assert_eq!(error.kind(), settee_core::ErrorKind::Conflict);
    assert_eq!(run_of(&jobs, begin.after(Duration::from_secs(50))).await.state, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_definition_that_cannot_work_is_refused_with_its_reason() {
    let (world, (job, _starts)) = (World::new(), telling());
    let (jobs, _running) = world.start(Duration::from_millis(200)).await;
    let good = job.registration("account");
    let table = [
        (RegisterJob { name: "a/b".into(), ..good.clone() }, "a/b"),
        (RegisterJob { schedule: Schedule::cron("0 0 25 * * *", "UTC"), ..good.clone() }, "hour \"25\""),
        (RegisterJob { timeout_ms: 0, ..good.clone() }, "timeout_ms"),
    ];
    for (bad, expected) in table {
        let error = Error::from(jobs.register(bad).await.unwrap_err());
        assert!(error.kind() == settee_core::ErrorKind::Invalid && error.message().contains(expected), "{error}");
    }
    assert!(jobs.job_page(None).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn more_jobs_than_fit_a_frame_are_listed_all_the_same() {
    const JOBS: usize = 9_000;
    let (world, (job, _starts)) = (World::new(), telling());
    let (jobs, _running) = world.start(Duration::from_millis(200)).await;
    let like = RegisterJob { schedule: Schedule::OnDemand, ..job.registration(&"a".repeat(200)) };
    for number in 0..JOBS {
        let name = format!("{number:0100}");
        let (_view, _written_behind) = jobs.memory().register(RegisterJob { name, ..like.clone() }, env::wall_clock()).unwrap();
    }
    let services = Arc::new(Services::new().with(JobControlServer::new(jobs.clone())));
    let listening = Listening::start(([127, 0, 0, 1], 0).into(), services, Arc::new(()), ServerConfig::default()).await.unwrap();
    let channels = Channels::new(Arc::new(StaticInstances::new().otherwise([listening.address()])), Tracer::off());
    let listed = channels.client::<JobControlClient>().jobs().await.unwrap();
    assert!(listed.iter().map(|view| view.definition.name.parse::<usize>().unwrap()).eq(0..JOBS), "{} of them", listed.len());
}
