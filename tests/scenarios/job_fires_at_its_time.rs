//! A job is run once at its due time: not before, not by two workers, and not again when it is registered or asked for again.

use std::sync::Arc;
use std::time::Duration;

use settee::Reply;
use settee::app::{App, Running};
use settee::job::control::{ListRuns, RunStatus, Trigger};
use settee::job::{Job, JobControl, JobControlClient, Run};
use settee_core::env;
use settee_tests::{House, settings, until};
use tokio::sync::watch;

const JOB: &str = "statement";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_made_once_at_its_time_however_many_workers_and_triggers_there_are() {
    let house = House::start().await;
    let made = Arc::new(watch::Sender::new(Vec::new()));
    let workers = [worker(&house, &made).await, worker(&house, &made).await];

    let jobs: JobControlClient = house.caller.control();
    let due = env::wall_clock().after(Duration::from_secs(1));
    let trigger = Trigger { job: JOB.into(), due, reference: Some("may".into()) };
    until(|| async { jobs.trigger(trigger.clone()).await.ok() }).await;
    jobs.trigger(trigger).await.expect("the same run");

    let run = until(|| async {
        let runs = jobs.runs(ListRuns { job: JOB.into(), limit: 10 }).await.ok()?;
        assert_eq!(runs.len(), 1, "two triggers of one due time are one run: {runs:#?}");
        runs.into_iter().find(|run| run.state.is_over())
    })
    .await;
    assert_eq!((run.state, run.due, run.slices.len()), (RunStatus::Succeeded, due, 1), "{run:#?}");
    assert_eq!(run.slices[0].result.as_deref(), Some("\"may\""));
    let made = made.borrow().clone();
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(made[0] >= due, "not before its time");
    for worker in workers {
        worker.stop().await;
    }
    house.stop().await;
}

async fn worker(house: &House, made: &Arc<watch::Sender<Vec<settee::Timestamp>>>) -> Running {
    let making = made.clone();
    let handler = move |run: Run| {
        making.send_modify(|runs| runs.push(env::wall_clock()));
        async move { Reply::Ok(run.reference().map(str::to_owned)) }
    };
    let app = App::new("worker", settings(house.server())).unwrap();
    app.job(Job::new(JOB, handler)).start().await.unwrap()
}
