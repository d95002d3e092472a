//! Consuming: subscribes, runs a handler for every delivery, reports how it ended, and comes back for ever.
//!
//! ```text
//! subscribe -> deliveries (credit) -> a task each -> ack | nack, in batches -> subscribe again when the stream breaks
//! ```
//! The broker delivers the messages of a key one after the other, so all deliveries may run at once. When the stream breaks
//! the broker gives the deliveries to somebody else; handlers that still run finish before this consumer subscribes again.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, OptionFuture};
use futures::stream::FuturesUnordered;
use settee_core::error::{ErrorKind, codes};
use settee_core::mq::record::TRACE_HEADER;
use settee_core::planted::Bug;
use settee_core::shutdown::{Shutdown, ShutdownTrigger};
use settee_core::trace::{SpanKind, SpanOutcome};
use settee_core::{Context, Error, env};

use super::client::{Messages, backoff, in_call_context, may_pass};
use super::control::{AckRef, Consume, Delivery, MAX_CAUSE_BYTES, MessageControl, Nack, NackClass};
use super::handler::{Message, MessageHandler};
use crate::rpc::Updates;

/// How long a handler may take: below the 30 s after which the broker delivers the message to somebody else.
pub const HANDLER_TIMEOUT: Duration = Duration::from_secs(25);

/// How often an answer is sent before it is given up: the broker then delivers the messages again.
const ANSWER_ATTEMPTS: u32 = 5;

/// How a consumer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// Handlers that may run at a time, over all keys. Default 64.
    pub concurrency: u32,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self { concurrency: 64 }
    }
}

/// A running subscription. Dropping it stops taking messages; handlers that run finish.
#[derive(Debug)]
pub struct Consumer {
    trigger: ShutdownTrigger,
    task: env::JoinHandle<()>,
}

impl Consumer {
    /// Starts to run `handler` for the messages of `topic`, as a member of `group`.
    ///
    /// It never fails: a broker that cannot be reached is tried again for ever, up to 2 s apart.
    #[must_use]
    pub fn subscribe(
        messages: &Messages,
        topic: &str,
        group: &str,
        handler: impl MessageHandler,
        options: ConsumerOptions,
    ) -> Self {
        let (trigger, shutdown) = settee_core::shutdown::pair();
        let worker = Worker {
            messages: messages.clone(),
            consume: Consume { topic: topic.to_owned(), group: group.to_owned(), credit: options.concurrency.max(1) },
            handler: Arc::new(handler),
            shutdown,
        };
        Self { trigger, task: env::spawn(worker.run()) }
    }

    /// Stops taking messages and waits until the handlers that run have finished and their answers are sent.
    ///
    /// That takes at most as long as a handler may ([`HANDLER_TIMEOUT`] from its start; then it is dropped, and its message comes
    /// again), and the sending of its answer. Until then the subscription stands: given up earlier, the messages that are being
    /// handled would go to others at once, and be handled twice. What the broker hands over meanwhile is not begun here, and goes to
    /// others when the stop is over. An [`App`](crate::app::App) does not wait longer than 5 s for it, and then the process ends.
    ///
    /// # Cancel safety
    /// Dropped, the consumer stops all the same.
    pub async fn stop(self) {
        self.trigger.stop();
        let _ended_either_way = self.task.await;
    }
}

struct Worker<H> {
    messages: Messages,
    consume: Consume,
    handler: Arc<H>,
    shutdown: Shutdown,
}

type Running = FuturesUnordered<env::JoinHandle<Finished>>;

/// What became of one delivery.
enum Finished {
    Done(AckRef),
    Failed(Nack),
}

impl<H: MessageHandler> Worker<H> {
    async fn run(self) {
        let mut wait = backoff();
        while !self.shutdown.is_requested() {
            let opened = in_call_context(self.messages.control().consume(self.consume.clone())).await;
            match opened {
                Ok(updates) => {
                    self.work(updates).await;
                    wait = backoff();
                }
                Err(fault) => {
                    let error = Error::from(fault);
                    tracing::warn!(topic = self.consume.topic, group = self.consume.group, %error, "subscribing failed, trying again");
                }
            }
            self.shutdown.or(wait.pause()).await;
        }
    }

    /// Runs deliveries until the stream ends or the stop is asked for, then waits for the handlers that run.
    async fn work(&self, mut updates: Updates<Delivery>) {
        let (mut running, mut answers) = (Running::new(), Answers::new(self.messages.clone()));
        let mut open = true;
        while open || !running.is_empty() || answers.is_busy() {
            tokio::select! {
                () = self.shutdown.requested(), if open => open = false,
                delivery = updates.next(), if open => match delivery {
                    Some(Ok(delivery)) => running.push(self.start(delivery)),
                    Some(Err(_)) | None => open = false,
                },
                Some(finished) = running.next(), if !running.is_empty() => answers.add(finished),
                () = answers.sent(), if answers.is_busy() => {}
            }
        }
    }

    fn start(&self, delivery: Delivery) -> env::JoinHandle<Finished> {
        let (handler, messages, consume) = (self.handler.clone(), self.messages.clone(), self.consume.clone());
        env::spawn(async move {
            let Consume { topic, group, .. } = consume;
            let answer = AckRef { topic: topic.clone(), group, place: delivery.place, token: delivery.token };
            // A task of its own, so that a handler that panics is a failed delivery and not a dead consumer.
            let handled = env::spawn(handle(handler, messages, topic, delivery));
            if Bug::LeaksTasks.is_planted() {
                env::spawn(std::future::pending::<()>());
            }
            if Bug::AcknowledgesFirst.is_planted() {
                return Finished::Done(answer);
            }
            let outcome = match handled.await {
                Ok(outcome) => outcome,
                Err(_) => Err(Error::new(ErrorKind::Internal, codes::PANICKED, "handle message: the handler panicked").unknown()),
            };
            match outcome {
                Ok(()) => Finished::Done(answer),
                Err(error) => Finished::Failed(failure(answer, &error)),
            }
        })
    }
}

async fn handle<H: MessageHandler>(handler: Arc<H>, messages: Messages, topic: String, delivery: Delivery) -> Result<(), Error> {
    let mut context = Context::root("settee.mq").with_timeout(HANDLER_TIMEOUT);
    if let Some(trace) = delivery.headers.get(TRACE_HEADER).and_then(|header| header.parse().ok()) {
        context.trace = trace;
    }
    let span = messages.tracer().open(context.trace, SpanKind::Consumer, &topic, "handle");
    let context = span.context(context);
    let handling = tokio::time::timeout(HANDLER_TIMEOUT, context.scope(handler.handle(message(topic, delivery))));
    let outcome = match handling.await {
        Ok(reply) => reply.map_err(Error::from),
        Err(_) => {
            let text = format!("handle message: the handler took more than {HANDLER_TIMEOUT:?}");
            Err(Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, text).unknown())
        }
    };
    span.finish(outcome.as_ref().map(|()| SpanOutcome::Success));
    outcome
}

fn message(topic: String, delivery: Delivery) -> Message {
    let Delivery { place, attempt, id, key, headers, published, payload, token: _ } = delivery;
    Message { topic, place, id, key, headers, published, payload, attempt }
}

fn failure(delivery: AckRef, error: &Error) -> Nack {
    let class = if error.kind() == ErrorKind::Invalid { NackClass::Reject } else { NackClass::Retry };
    let mut cause = error.to_string();
    cause.truncate(cause.floor_char_boundary(MAX_CAUSE_BYTES));
    Nack { delivery, cause, class }
}

/// Answers on their way: one call at a time, everything that has finished meanwhile in the next.
struct Answers {
    messages: Messages,
    done: Vec<AckRef>,
    failed: Vec<Nack>,
    under_way: OptionFuture<BoxFuture<'static, ()>>,
    sending: bool,
}

impl Answers {
    fn new(messages: Messages) -> Self {
        Self { messages, done: Vec::new(), failed: Vec::new(), under_way: None.into(), sending: false }
    }

    fn add(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        match finished {
            Ok(Finished::Done(answer)) => self.done.push(answer),
            Ok(Finished::Failed(nack)) => self.failed.push(nack),
            // Only a runtime that shuts down ends the outer task: the broker delivers the message again.
            Err(_) => {}
        }
    }

    fn is_busy(&self) -> bool {
        self.sending || !self.done.is_empty() || !self.failed.is_empty()
    }

    /// Sends what is there, unless something is under way, and waits for what is.
    ///
    /// # Cancel safety
    /// What is under way stays under way.
    async fn sent(&mut self) {
        if !self.sending {
            let (done, failed) = (std::mem::take(&mut self.done), std::mem::take(&mut self.failed));
            let sending: BoxFuture<'static, ()> = Box::pin(send(self.messages.clone(), done, failed));
            self.under_way = Some(sending).into();
            self.sending = true;
        }
        (&mut self.under_way).await;
        self.sending = false;
        self.under_way = None.into();
    }
}

async fn send(messages: Messages, done: Vec<AckRef>, failed: Vec<Nack>) {
    if !done.is_empty() {
        answer(|| messages.control().ack(done.clone())).await;
    }
    if !failed.is_empty() {
        answer(|| messages.control().nack(failed.clone())).await;
    }
}

async fn answer<F, T>(mut call: impl FnMut() -> F)
where
    F: Future<Output = crate::rpc::Reply<T>>,
{
    let mut wait = backoff();
    for _ in 0..ANSWER_ATTEMPTS {
        match in_call_context(call()).await.map_err(Error::from) {
            Err(error) if may_pass(&error) => wait.pause().await,
            Err(error) => return tracing::warn!(%error, "an answer was not taken, the messages come again"),
            Ok(_) => return,
        }
    }
    tracing::warn!(attempts = ANSWER_ATTEMPTS, "an answer reached nobody and is given up, the messages come again");
}

#[cfg(test)]
#[path = "consumer_test.rs"]
mod tests;
