//! The server is killed when a run is planned and not yet due: it is made once, at its time.

use std::sync::Arc;
use std::time::Duration;

use settee::Reply;
use settee::app::App;
use settee::job::control::{ListRuns, RunKey, RunStatus, Trigger};
use settee::job::{Job, JobControl, JobControlClient, Run};
use settee_core::env;
use settee_tests::{Street, settings, until};
use tokio::sync::watch;

const JOB: &str = "statement";

/// Long enough for a server to be killed and started again before.
const AHEAD: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_planned_before_a_crash_is_made_once_at_its_time() {
    let mut street = Street::server_only().await;
    let made = Arc::new(watch::Sender::new(Vec::new()));
    let making = made.clone();
    let handler = move |run: Run| {
        making.send_modify(|runs| runs.push((run.due(), env::wall_clock())));
        async { Reply::Ok(()) }
    };
    let app = App::new("worker", settings(street.server())).unwrap().job(Job::new(JOB, handler));
    let worker = app.start().await.unwrap();

    let jobs: JobControlClient = street.caller.control();
    let due = env::wall_clock().after(AHEAD);
    let trigger = Trigger { job: JOB.into(), due, reference: None };
    until(|| async { jobs.trigger(trigger.clone()).await.ok() }).await;
    street.kill("server").await;
    street.start_part("server").await;
    assert!(env::wall_clock() < due, "the story is about a run that is not yet due");

    let key = RunKey { job: JOB.into(), due };
    let run = until(|| async { jobs.run(key.clone()).await.ok().filter(|run| run.state.is_over()) }).await;
    assert_eq!((run.state, run.slices[0].attempt), (RunStatus::Succeeded, 1), "{run:#?}");
    assert_eq!(jobs.runs(ListRuns { job: JOB.into(), limit: 10 }).await.unwrap().len(), 1);
    let made = made.borrow().clone();
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(made[0].0 == due && made[0].1 >= due, "not before its time: {made:?}");
    worker.stop().await;
}
