//! What travels between a coordinator and a worker: one method, `run`, of the service `job.<name>`.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use settee_core::Error;
use settee_core::id::FencingToken;
use settee_core::job::{Answer, RunId};

use crate::rpc::{CallOptions, Channel, MethodDescriptor, Never, Reply};

/// How much longer than the attempt itself its answer may take: the worker ends it and says so.
pub const ANSWER_MARGIN: Duration = Duration::from_secs(5);

/// Bytes of a result at most. A longer one is replaced by a note: the run happened all the same.
pub const MAX_RESULT_BYTES: usize = 16 << 10;

/// Bytes of a failure's cause at most; the rest is cut off.
pub const MAX_CAUSE_BYTES: usize = 1_024;

/// The only method. It may be repeated, but by the coordinator, which knows whom it asks.
pub(super) const RUN: MethodDescriptor = MethodDescriptor::new("run");

/// The service that workers of `job` serve.
#[must_use]
pub fn service_name(job: &str) -> String {
    format!("job.{job}")
}

/// An attempt to run one slice of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOrder {
    /// The run, its due time and slice.
    pub id: RunId,
    /// How many slices there are.
    pub of: u32,
    /// Which attempt, from 1. A repeated attempt is answered by the first.
    pub attempt: u32,
    /// Who asks. A worker refuses a lower one than it has seen.
    pub token: FencingToken,
    /// How long it may take.
    pub timeout_ms: u64,
    /// What the trigger attached.
    #[serde(default)]
    pub reference: Option<String>,
    /// The publisher number of the process that is meant: one that came back at the same address does not take the order of the
    /// one that is dead.
    pub publisher: u64,
}

/// The arguments of `run`, by name.
#[derive(Serialize, Deserialize)]
pub(super) struct RunArguments<Order> {
    pub(super) order: Order,
}

/// Offers an attempt to the worker at `address` and waits for its answer.
///
/// # Errors
/// The offer's, not the run's: `NotDone` when the worker certainly did not take it, else nobody knows yet.
///
/// # Cancel safety
/// The run goes on at its worker.
pub async fn offer(channel: &Channel, address: SocketAddr, order: &RunOrder) -> Result<Answer, Error> {
    let timeout = Duration::from_millis(order.timeout_ms) + ANSWER_MARGIN;
    let options = CallOptions { instance: Some(address), timeout: Some(timeout), ..CallOptions::default() };
    let reply: Reply<Answer, Never> = channel.call(&RUN, &RunArguments { order }, options).await;
    reply.map_err(Error::from)
}
