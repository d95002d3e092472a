//! Making the server know a job of this application: asked for until it is taken, or refused for what it is.
//!
//! Left out: keeping it known. A job that was taken is the server's, which remembers it over restarts.

use std::time::Duration;

use settee_core::backoff::Backoff;
use settee_core::error::{Code, ErrorKind, codes};
use settee_core::shutdown::Shutdown;
use settee_core::{Certainty, Error};

use crate::job::control::RegisterJob;
use crate::job::{JobControl, JobControlClient};

/// The first wait before a job is registered again, at most: a server that is being started again is there soon.
const AGAIN_FIRST: Duration = Duration::from_millis(200);

/// The longest wait: what a server that comes back after a long time meets from every process with a job, one call each.
const AGAIN_LAST: Duration = Duration::from_secs(5);

/// Registers `job`. What keeps it from being taken is logged when that changes, and not at every try.
///
/// # Cancel safety
/// Dropped, the job may be registered or not.
pub(super) async fn register(job: RegisterJob, control: JobControlClient, stopping: Shutdown) {
    let (mut backoff, mut told) = (Backoff::new(AGAIN_FIRST, AGAIN_LAST), None::<Code>);
    loop {
        let error = match control.register(job.clone()).await.map_err(Error::from) {
            Err(error) => error,
            Ok(_) if told.is_some() => return tracing::info!(job = job.name, "the job is registered"),
            Ok(_) => return,
        };
        if never_passes(&error) {
            return tracing::error!(job = job.name, %error, code = %codes::START_FAILED, "a job cannot be registered");
        }
        if told.as_ref() != Some(error.code()) {
            tracing::warn!(job = job.name, %error, "a job is not registered yet; it is tried until it is");
            told = Some(error.code().clone());
        }
        if stopping.or(backoff.pause()).await.is_none() {
            return;
        }
    }
}

/// Whether the same registration gets the same answer for ever. A server without jobs may be replaced by one that has them, and a
/// limit may be raised.
fn never_passes(error: &Error) -> bool {
    use ErrorKind::{Denied, Invalid, Unsupported};
    error.certainty() == Certainty::NotDone && matches!(error.kind(), Denied | Invalid | Unsupported)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use settee_core::shutdown::pair;
    use settee_core::{Instant, Timestamp};

    use super::*;
    use crate::job::Job;
    use crate::job::control::{JobView, ListRuns, RunKey, RunView, Trigger};
    use crate::rpc::{Page, Reply, Updates};

    /// A server that answers every registration with the same error, and when it was asked.
    struct Refusing {
        kind: ErrorKind,
        asked: Mutex<Vec<Instant>>,
    }

    impl JobControl for Refusing {
        async fn register(&self, job: RegisterJob) -> Reply<JobView> {
            self.asked.lock().push(Instant::now());
            Err(Error::new(self.kind, codes::BAD_REQUEST, format!("register job {}", job.name)).into())
        }

        async fn trigger(&self, _: Trigger) -> Reply<RunView> {
            unreachable!("only registrations are made")
        }

        async fn pause(&self, _: String) -> Reply<JobView> {
            unreachable!("only registrations are made")
        }

        async fn resume(&self, _: String) -> Reply<JobView> {
            unreachable!("only registrations are made")
        }

        async fn remove(&self, _: String) -> Reply<()> {
            unreachable!("only registrations are made")
        }

        async fn job_page(&self, _: Option<String>) -> Reply<Page<JobView>> {
            unreachable!("only registrations are made")
        }

        async fn run_page(&self, _: ListRuns, _: Option<Timestamp>) -> Reply<Page<RunView, Timestamp>> {
            unreachable!("only registrations are made")
        }

        async fn run(&self, _: RunKey) -> Reply<RunView> {
            unreachable!("only registrations are made")
        }

        async fn follow(&self, _: RunKey) -> Reply<Updates<RunView>> {
            unreachable!("only registrations are made")
        }
    }

    /// How often a job is registered in ten minutes with a server that answers so, and the longest time between two tries.
    async fn tries(kind: ErrorKind) -> (usize, Duration) {
        let server = Arc::new(Refusing { kind, asked: Mutex::default() });
        let job = Job::new("statement", |_run| async { Reply::Ok(()) }).registration("bank");
        let (stop, stopping) = pair();
        let registering = register(job, JobControlClient::in_process(server.clone()), stopping);
        let _still_trying = tokio::time::timeout(Duration::from_secs(600), registering).await;
        drop(stop);
        let asked = server.asked.lock();
        let longest = asked.windows(2).map(|pair| pair[1] - pair[0]).max();
        (asked.len(), longest.unwrap_or_default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_away_for_long_is_not_asked_five_times_a_second_nor_forgotten() {
        for kind in [ErrorKind::Unavailable, ErrorKind::NotFound, ErrorKind::Limited, ErrorKind::Full] {
            let (tries, longest) = tries(kind).await;
            assert!((120..=250).contains(&tries), "{kind:?}: {tries} tries in ten minutes");
            assert!(longest <= AGAIN_LAST + Duration::from_millis(1), "{kind:?}: {longest:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_no_server_will_ever_take_is_registered_once() {
        for kind in [ErrorKind::Invalid, ErrorKind::Denied, ErrorKind::Unsupported] {
            assert_eq!(tries(kind).await.0, 1, "{kind:?}");
        }
    }
}
