//! A job as a service defines it: what to run, and when.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use settee_core::Timestamp;
use settee_core::job::{FoldPolicy, GapPolicy, Misfire, Overlap, Retry, Schedule};

use super::control::{RegisterJob, Slices};
use super::handler::{AnyHandler, JobHandler};

/// How long an attempt may take where the job does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// A job with its handler. Without a schedule it runs only when it is triggered. [`job`](macro@crate::job) makes one of an
/// `async fn`:
///
/// ```
/// use std::time::Duration;
/// use settee::Reply;
/// use settee::job::Run;
///
/// /// Proves the books, share by share.
/// #[settee::job(cron = "0 0 2 * * *", zone = "Europe/Zurich", misfire = "once", timeout = Duration::from_secs(10), per_share)]
/// async fn reconcile(run: Run, greeting: String) -> Reply<String> {
///     Ok(format!("{greeting} share {} as of {}", run.share(), run.due()))
/// }
///
/// let job = reconcile("hello".to_owned());             // for App::job
/// # assert_eq!(job.name(), "reconcile");
/// # let registration = job.registration("account");
/// # assert!(registration.schedule.timetable().is_ok());
/// # assert_eq!(registration.timeout_ms, 10_000);
/// # assert_eq!(registration.slices, settee::job::control::Slices::PerShare);
/// ```
///
/// Or by hand:
///
/// ```
/// use settee::Reply;
/// use settee::job::{Job, Misfire, Run, Worker};
///
/// async fn reconcile(run: Run) -> Reply<String> {
///     Ok(format!("share {} as of {}", run.share(), run.due()))
/// }
///
/// let job = Job::new("reconcile", reconcile).cron("0 0 2 * * *").zone("Europe/Zurich").misfire(Misfire::Once).per_share();
/// let registration = job.registration("account");     // for JobControl::register
/// let worker = Worker::new(&job);                      // for Services::with
/// # assert!(registration.schedule.timetable().is_ok());
/// ```
#[derive(Clone)]
pub struct Job {
    pub(super) handler: Arc<dyn AnyHandler>,
    schedule: Schedule,
    calendar: (String, GapPolicy, FoldPolicy),
    rest: RegisterJob,
}

impl Job {
    /// A job called `name` that `handler` runs: once per due time at most, on one instance, for a minute at most, three attempts
    /// where a failure certainly had no effect.
    #[must_use]
    pub fn new(name: &str, handler: impl JobHandler) -> Self {
        let rest = RegisterJob {
            name: name.to_owned(),
            application: String::new(),
            schedule: Schedule::OnDemand,
            misfire: Misfire::default(),
            overlap: Overlap::default(),
            retry: Retry::default(),
            timeout_ms: millis(DEFAULT_TIMEOUT),
            idempotent: false,
            slices: Slices::One,
        };
        let calendar = ("UTC".to_owned(), GapPolicy::default(), FoldPolicy::default());
        Self { handler: Arc::new(handler), schedule: Schedule::OnDemand, calendar, rest }
    }

    /// The job's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.rest.name
    }

    /// Due at the times of a cron expression; see [`Schedule::Cron`].
    #[must_use]
    pub fn cron(self, expression: &str) -> Self {
        Self { schedule: Schedule::cron(expression, ""), ..self }
    }

    /// The zone of the cron expression, an IANA name. Default `UTC`.
    #[must_use]
    pub fn zone(mut self, name: &str) -> Self {
        name.clone_into(&mut self.calendar.0);
        self
    }

    /// What happens to a local time that the clock jumps over. Default: the job is due at the moment of the jump.
    #[must_use]
    pub fn gap(mut self, policy: GapPolicy) -> Self {
        self.calendar.1 = policy;
        self
    }

    /// What happens to a local time that comes twice. Default: the job is due the first time.
    #[must_use]
    pub fn fold(mut self, policy: FoldPolicy) -> Self {
        self.calendar.2 = policy;
        self
    }

    /// Due every `period`, counted from 1970-01-01T00:00Z so that a restart changes nothing.
    #[must_use]
    pub fn every(self, period: Duration) -> Self {
        Self { schedule: Schedule::Every { period, first: Timestamp::EPOCH }, ..self }
    }

    /// What happens to due times that were missed. Default: one run makes up for all.
    #[must_use]
    pub fn misfire(mut self, misfire: Misfire) -> Self {
        self.rest.misfire = misfire;
        self
    }

    /// What happens to a run that is due while an earlier one is open. Default: one waits.
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.rest.overlap = overlap;
        self
    }

    /// How often a run is tried. Default 3 times, from 1 s apart.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.rest.retry = retry;
        self
    }

    /// How long one attempt may take. Default 60 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.rest.timeout_ms = millis(timeout);
        self
    }

    /// A run may happen more than once: it is tried again when its worker dies, and after any failure.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.rest.idempotent = true;
        self
    }

    /// One slice for each share that the instances publish.
    #[must_use]
    pub fn per_share(mut self) -> Self {
        self.rest.slices = Slices::PerShare;
        self
    }

    /// What to register with the coordinator, for this application.
    #[must_use]
    pub fn registration(&self, application: &str) -> RegisterJob {
        let schedule = match &self.schedule {
            Schedule::Cron { expression, .. } => {
                let (zone, gap, fold) = self.calendar.clone();
                Schedule::Cron { expression: expression.clone(), zone, gap, fold }
            }
            other => other.clone(),
        };
        RegisterJob { application: application.to_owned(), schedule, ..self.rest.clone() }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Job").field(&self.registration("")).finish()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
