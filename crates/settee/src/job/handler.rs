//! What a service writes to run a job.

use std::future::Future;

use serde::Serialize;
use settee_core::id::FencingToken;
use settee_core::job::RunId;
use settee_core::registry::Share;
use settee_core::{Error, Timestamp};

use super::protocol::RunOrder;
use crate::expand::BoxFuture;
use crate::rpc::Reply;

/// A run as its handler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run(RunOrder);

impl Run {
    pub(super) fn new(order: RunOrder) -> Self {
        Self(order)
    }

    /// The job's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.id.job
    }

    /// The identity: the same in every attempt. Insert it in the business transaction, and the run's effect happens once.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.0.id
    }

    /// When the run is due: the moment it speaks for, however late it started.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        self.0.id.due
    }

    /// Which slice, from 0.
    #[must_use]
    pub fn slice(&self) -> u32 {
        self.0.id.slice
    }

    /// The slice as the share of routing keys that it covers.
    #[must_use]
    pub fn share(&self) -> Share {
        Share { index: self.0.id.slice, of: self.0.of.max(1) }
    }

    /// Which attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Who asked for it: give it along wherever only the newest may write.
    #[must_use]
    pub fn token(&self) -> FencingToken {
        self.0.token
    }

    /// What the trigger attached; `None` when the schedule made the run.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.0.reference.as_deref()
    }
}

/// Runs a job. Implemented by every `Fn(Run) -> impl Future<Output = Reply<T>>` whose `T` can be serialized.
///
/// A failure that certainly had no effect is tried again; any other only if the job is idempotent.
///
/// ```
/// use settee::Reply;
/// use settee::job::{JobHandler, Run};
///
/// struct Reconcile;
///
/// impl JobHandler for Reconcile {
///     type Output = u64;
///
///     async fn run(&self, run: Run) -> Reply<u64> {
///         println!("prove the books as of {}", run.due());
///         Ok(0)
///     }
/// }
/// ```
pub trait JobHandler: Send + Sync + 'static {
    /// What a run gives; stored as JSON and shown to operators.
    type Output: Serialize + Send;

    /// Runs one slice.
    ///
    /// # Cancel safety
    /// It is dropped when its time is over, or when a later attempt of the same run arrives.
    fn run(&self, run: Run) -> impl Future<Output = Reply<Self::Output>> + Send;
}

impl<F, R, T> JobHandler for F
where
    F: Fn(Run) -> R + Send + Sync + 'static,
    R: Future<Output = Reply<T>> + Send,
    T: Serialize + Send,
{
    type Output = T;

    fn run(&self, run: Run) -> impl Future<Output = Reply<T>> + Send {
        self(run)
    }
}

/// A handler of any output, which it turns into JSON text.
pub(super) trait AnyHandler: Send + Sync {
    fn run_to_json(&self, run: Run) -> BoxFuture<'_, Result<String, Error>>;
}

impl<H: JobHandler> AnyHandler for H {
    fn run_to_json(&self, run: Run) -> BoxFuture<'_, Result<String, Error>> {
        Box::pin(async move {
            let output = self.run(run).await.map_err(Error::from)?;
            serde_json::to_string(&output).map_err(Error::internal)
        })
    }
}
