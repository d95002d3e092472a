//! The service that runs a job when the coordinator asks.
//!
//! It remembers what it was asked, so that a repeated offer is answered by the first, and refuses a coordinator that has been
//! replaced. A run belongs to the process, not to the connection: it goes on when the connection breaks, and the next offer of
//! the same attempt gets its result. The memory ends with the process; the coordinator knows that (`PROTOCOLS.md` P8).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use settee_core::error::{Certainty, ErrorKind, codes};
use settee_core::id::FencingToken;
use settee_core::job::{Answer, RunId};
use settee_core::planted::Bug;
use settee_core::{Context, Error};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::definition::Job;
use super::handler::{AnyHandler, Run};
use super::protocol::{MAX_CAUSE_BYTES, MAX_RESULT_BYTES, RUN, RunArguments, RunOrder, service_name};
use crate::expand::BoxFuture;
use crate::rpc::{self, Incoming, Reply, Service, ServiceDescriptor, expand};

/// Runs that are remembered: of a job of every second, the last quarter of an hour.
const REMEMBERED: usize = 1_000;

/// Serves one job: add it to [`Services`](crate::rpc::Services), and publish its service like any other. Build it once.
pub struct Worker {
    descriptor: &'static ServiceDescriptor,
    handler: Arc<dyn AnyHandler>,
    publisher: Option<u64>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    highest: FencingToken,
    runs: BTreeMap<RunId, Attempt>,
    order: VecDeque<RunId>,
}

struct Attempt {
    number: u32,
    answer: watch::Receiver<Option<Answer>>,
    task: AbortHandle,
}

impl Worker {
    /// A worker of `job`. Its service name lives as long as the process, so the number of workers ever built must stay small.
    #[must_use]
    pub fn new(job: &Job) -> Self {
        let name: &'static str = service_name(job.name()).leak();
        let descriptor = Box::leak(Box::new(ServiceDescriptor { name, methods: &[RUN] }));
        Self { descriptor, handler: job.handler.clone(), publisher: None, memory: Mutex::default() }
    }

    /// The number under which this process publishes its instances: orders for an earlier process at the same address are then
    /// refused.
    #[must_use]
    pub fn publisher(self, number: u64) -> Self {
        Self { publisher: Some(number), ..self }
    }

    /// The name to publish, `job.<name>`.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.descriptor.name
    }

    /// Takes an order, or finds the attempt that was started for it.
    fn take(&self, order: RunOrder) -> Result<watch::Receiver<Option<Answer>>, Error> {
        self.check_process(&order)?;
        let mut memory = self.memory.lock();
        if let Some(answer) = memory.find(&order)? {
            return Ok(answer);
        }
        memory.make_room(&order.id)?;
        let (sender, answer) = watch::channel(None);
        let (id, number) = (order.id.clone(), order.attempt);
        let task = crate::spawn(execute(self.handler.clone(), order, sender)).abort_handle();
        let former = memory.runs.insert(id.clone(), Attempt { number, answer: answer.clone(), task });
        match former {
            Some(former) => former.task.abort(),
            None => memory.order.push_back(id),
        }
        Ok(answer)
    }

    fn check_process(&self, order: &RunOrder) -> Result<(), Error> {
        match self.publisher {
            Some(own) if own != order.publisher => {
                Err(fenced(&order.id, &format!("it is meant for publisher {}, this process is {own}", order.publisher)))
            }
            _ => Ok(()),
        }
    }
}

impl Memory {
    fn find(&mut self, order: &RunOrder) -> Result<Option<watch::Receiver<Option<Answer>>>, Error> {
        if order.token < self.highest {
            let text = format!("its token {} is older than {}, the coordinator was replaced", order.token, self.highest);
            return Err(fenced(&order.id, &text));
        }
        self.highest = order.token;
        match self.runs.get(&order.id).filter(|_| !Bug::WorkerForgetsRuns.is_planted()) {
            Some(known) if known.number == order.attempt => Ok(Some(known.answer.clone())),
            Some(known) if known.number > order.attempt => {
                Err(fenced(&order.id, &format!("attempt {} is older than {}", order.attempt, known.number)))
            }
            _ => Ok(None),
        }
    }

    /// Forgets the oldest runs that have ended, until there is room.
    fn make_room(&mut self, id: &RunId) -> Result<(), Error> {
        if self.order.len() < REMEMBERED || self.runs.contains_key(id) {
            return Ok(());
        }
        let ended = |id: &RunId| self.runs.get(id).is_none_or(|attempt| attempt.answer.borrow().is_some());
        let Some(position) = self.order.iter().position(ended) else {
            let text = format!("run {id}: {REMEMBERED} runs are under way");
            return Err(Error::new(ErrorKind::Limited, codes::CONCURRENCY_LIMITED, text));
        };
        if let Some(oldest) = self.order.remove(position) {
            self.runs.remove(&oldest);
        }
        Ok(())
    }
}

impl Service for Worker {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        self.descriptor
    }

    fn call(self: Arc<Self>, _: usize, incoming: Incoming) -> BoxFuture<'static, rpc::Answer> {
        Box::pin(async move {
            let order = match expand::arguments::<RunArguments<RunOrder>>(&incoming) {
                Ok(RunArguments { order }) => order,
                Err(refused) => return refused,
            };
            expand::answer(incoming.encoding, self.answer(order).await)
        })
    }
}

impl Worker {
    async fn answer(&self, order: RunOrder) -> Reply<Answer> {
        let id = order.id.clone();
        let mut answer = self.take(order)?;
        let Ok(answered) = answer.wait_for(Option::is_some).await else {
            return Err(fenced(&id, "a later attempt took its place").unknown().into());
        };
        (*answered).clone().ok_or_else(|| fenced(&id, "it has no answer").unknown().into())
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Worker({})", self.descriptor.name)
    }
}

async fn execute(handler: Arc<dyn AnyHandler>, order: RunOrder, sender: watch::Sender<Option<Answer>>) {
    let timeout = Duration::from_millis(order.timeout_ms);
    let context = Context::current().with_timeout(timeout);
    let work = AssertUnwindSafe(handler.run_to_json(Run::new(order))).catch_unwind();
    let answer = match tokio::time::timeout(timeout, context.scope(work)).await {
        Ok(Ok(Ok(result))) => Answer::Done { result: bounded(result) },
        Ok(Ok(Err(error))) => {
            let error = error.of_whole();
            failed(error.to_string(), error.certainty())
        }
        Ok(Err(_panic)) => failed("the handler panicked".to_owned(), Certainty::Unknown),
        Err(_) => failed(format!("the handler took longer than {timeout:?}"), Certainty::Unknown),
    };
    sender.send_replace(Some(answer));
}

fn bounded(result: String) -> String {
    match result.len() {
        0..=MAX_RESULT_BYTES => result,
        length => format!(r#"{{"omitted":"the result has {length} bytes, {MAX_RESULT_BYTES} are the limit"}}"#),
    }
}

fn failed(mut cause: String, certainty: Certainty) -> Answer {
    cause.truncate(cause.floor_char_boundary(MAX_CAUSE_BYTES));
    Answer::Failed { cause, certainty }
}

fn fenced(id: &RunId, why: &str) -> Error {
    Error::new(ErrorKind::Conflict, codes::RUN_FENCED, format!("run {id}: {why}"))
}

#[cfg(test)]
#[path = "worker_test.rs"]
mod tests;
