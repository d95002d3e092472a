//! Sending: numbered once, queued in order, published in batches, repeated under the same number until the broker answers.
//!
//! One batch of a topic is under way at a time, so a repeated batch never falls behind a later one, and the order of a key is
//! the order of the calls of [`Producer::send`]. What is sent while a batch is under way is the next batch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::{ErrorKind, codes};
use settee_core::mq::record::TRACE_HEADER;
use settee_core::trace::{SpanKind, SpanOutcome};
use settee_core::{Certainty, Context, Error, Timestamp, env};
use tokio::sync::{mpsc, oneshot};

use super::client::{Messages, in_call_context};
use super::control::{MessageControl, OutgoingMessage, Place, ProducerRef, Publish};
use super::filling::Filling;
use super::outgoing::Outgoing;

/// Messages of one topic that may wait for their batch; [`Producer::send`] waits when it is full.
const QUEUE: usize = 1_024;
/// Topics of one producer at most that have messages on their way: as many as a broker has by default. Those that have none are
/// forgotten for new ones.
const MAX_LANES: usize = 1_024;
/// How long a batch is repeated before its senders learn that its outcome is unknown.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends messages under one name. Cheap to clone; the last clone that is dropped lets what is queued go out and ends.
///
/// Opening the same name again, in this process or another, fences this producer.
#[derive(Clone)]
pub struct Producer(Arc<Inner>);

struct Inner {
    messages: Messages,
    identity: ProducerRef,
    lanes: Mutex<Lanes>,
}

#[derive(Default)]
struct Lanes {
    sequence: u64,
    topics: BTreeMap<String, LaneHandle>,
}

/// The way into the queue of a topic.
#[derive(Clone)]
struct LaneHandle {
    queue: mpsc::Sender<Queued>,
    /// Held by everyone who is about to queue a message, and by each message until it is answered.
    in_use: Arc<()>,
}

impl LaneHandle {
    /// Whether something is on its way. Only under the lock under which handles are given out does `false` stay true.
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.in_use) > 1
    }
}

struct Queued {
    message: OutgoingMessage,
    /// What it takes when it is stored.
    bytes: usize,
    answer: Answer,
}

/// Where the outcome of a message goes; the topic is in use until then.
struct Answer {
    to: oneshot::Sender<Result<Place, Error>>,
    _in_use: Arc<()>,
}

impl Producer {
    /// Opens the producer `name`: a new epoch, which fences an earlier one of the same name.
    ///
    /// # Errors
    /// Those of the call. A repeat is safe: it takes one more epoch.
    ///
    /// # Cancel safety
    /// Dropped, an epoch may have been taken.
    pub async fn open(messages: &Messages, name: &str) -> Result<Self, Error> {
        let identity = in_call_context(messages.control().open_producer(name.to_owned())).await?;
        let inner = Inner { messages: messages.clone(), identity, lanes: Mutex::default() };
        Ok(Self(Arc::new(inner)))
    }

    /// Who this producer is.
    #[must_use]
    pub fn identity(&self) -> ProducerRef {
        self.0.identity
    }

    /// Sends a message; it is durable when this returns.
    ///
    /// # Errors
    /// `Invalid` when the message is over a limit, `Conflict` (`MSG0003`) when the producer has been fenced, `Limited` (`FLW0002`)
    /// when it has messages on their way to 1,024 other topics; nothing was sent. An error of unknown
    /// certainty means that the broker did not answer for 30 s or within the context's deadline: the message may still
    /// be stored, now or later. Sending it again gives it another number: only the consumer's inbox can drop the second then.
    ///
    /// # Cancel safety
    /// Dropped, the message is not sent, or sent all the same.
    pub async fn send(&self, topic: &str, message: Outgoing) -> Result<Place, Error> {
        let context = Context::current();
        let span = self.0.messages.tracer().open(context.trace, SpanKind::Producer, topic, "publish");
        let mut message = message;
        message.headers.insert(TRACE_HEADER.to_owned(), span.trace().to_string());
        let sent = match checked(message) {
            Ok(checked) => self.queue_and_wait(topic, checked, context.remaining()).await,
            Err(error) => Err(error),
        };
        span.finish(sent.as_ref().map(|_| SpanOutcome::Success));
        sent.map_err(Error::of_step)
    }

    async fn queue_and_wait(&self, topic: &str, message: Checked, limit: Option<Duration>) -> Result<Place, Error> {
        let lane = self.lane(topic)?;
        let wait = async {
            let permit = lane.queue.reserve().await.map_err(|_| closed())?;
            let (to, answered) = oneshot::channel();
            self.number_and_queue(message, Answer { to, _in_use: lane.in_use.clone() }, permit);
            answered.await.unwrap_or_else(|_| Err(closed().unknown()))
        };
        match limit {
            None => wait.await,
            Some(limit) => tokio::time::timeout(limit, wait).await.unwrap_or_else(|_| Err(too_late(topic))),
        }
    }

    /// Numbers and queues under one lock: the order of the numbers is the order of the queue.
    fn number_and_queue(&self, Checked { message, bytes }: Checked, answer: Answer, permit: mpsc::Permit<'_, Queued>) {
        let mut lanes = self.0.lanes.lock();
        lanes.sequence += 1;
        let settee_core::mq::Message { id, key, headers, payload, not_before, .. } = message;
        let message = OutgoingMessage { id, key, headers, payload, not_before, sequence: lanes.sequence };
        permit.send(Queued { message, bytes, answer });
    }

    fn lane(&self, topic: &str) -> Result<LaneHandle, Error> {
        let mut lanes = self.0.lanes.lock();
        if let Some(lane) = lanes.topics.get(topic) {
            return Ok(lane.clone());
        }
        lanes.make_room(topic)?;
        let (sender, queue) = mpsc::channel(QUEUE);
        let lane = LaneHandle { queue: sender, in_use: Arc::default() };
        lanes.topics.insert(topic.to_owned(), lane.clone());
        let run =
            Lane { messages: self.0.messages.clone(), identity: self.0.identity, topic: topic.to_owned(), queue, left: None };
        env::spawn(run.run());
        Ok(lane)
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Producer({:?})", self.0.identity)
    }
}

impl Lanes {
    /// Forgets every topic that has nothing on its way, if there is no room for one more. Its numbers are the producer's, so that it
    /// goes on in order when it comes again.
    fn make_room(&mut self, topic: &str) -> Result<(), Error> {
        if self.topics.len() < MAX_LANES {
            return Ok(());
        }
        self.topics.retain(|_, lane| lane.is_in_use());
        if self.topics.len() < MAX_LANES { Ok(()) } else { Err(too_many(topic)) }
    }
}

/// The batches of one topic, one after the other. Ends when the producer is gone, or has forgotten the topic, and the queue is empty.
struct Lane {
    messages: Messages,
    identity: ProducerRef,
    topic: String,
    queue: mpsc::Receiver<Queued>,
    /// A message that no longer fitted into the batch before.
    left: Option<Queued>,
}

impl Lane {
    async fn run(mut self) {
        while let Some(batch) = self.next_batch().await {
            let (messages, answers) = batch.into_iter().map(|queued| (queued.message, queued.answer)).unzip();
            let publish = Publish { topic: self.topic.clone(), producer: self.identity, messages };
            let outcome = self.messages.publish(&publish, PATIENCE).await;
            answer(answers, outcome.map(|published| published.places));
        }
    }

    async fn next_batch(&mut self) -> Option<Vec<Queued>> {
        let first = match self.left.take() {
            Some(left) => left,
            None => self.queue.recv().await?,
        };
        let mut filling = Filling::default();
        filling.takes(first.bytes);
        let mut batch = vec![first];
        while let Ok(next) = self.queue.try_recv() {
            if !filling.takes(next.bytes) {
                self.left = Some(next);
                break;
            }
            batch.push(next);
        }
        Some(batch)
    }
}

fn answer(answers: Vec<Answer>, outcome: Result<Vec<Place>, Error>) {
    let places = outcome.as_ref().map(|places| places.iter().copied());
    let mut places = places.into_iter().flatten();
    for answer in answers {
        let result = match (&outcome, places.next()) {
            (Ok(_), Some(place)) => Ok(place),
            (Ok(_), None) => Err(short_answer()),
            (Err(error), _) => Err(repeated(error)),
        };
        let _the_sender_may_have_left = answer.to.send(result);
    }
}

/// A message that the broker takes, as it is stored, and how many bytes that are.
struct Checked {
    message: settee_core::mq::Message,
    bytes: usize,
}

/// The limits of the broker, before the message is queued: one message over a limit must not fail a batch.
fn checked(Outgoing { id, key, headers, payload, not_before }: Outgoing) -> Result<Checked, Error> {
    let message = settee_core::mq::Message { id, key, headers, payload, not_before, published: Timestamp::EPOCH };
    message.check()?;
    Ok(Checked { bytes: message.stored_size(), message })
}

fn repeated(error: &Error) -> Error {
    Error::new(error.kind(), error.code().clone(), error.message()).with_certainty(error.certainty())
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, codes::DRAINING, "send message: the producer has stopped")
}

fn too_many(topic: &str) -> Error {
    let text = format!("send message to {topic}: messages are on their way to {MAX_LANES} topics, which is the limit");
    Error::new(ErrorKind::Limited, codes::CONCURRENCY_LIMITED, text)
}

fn too_late(topic: &str) -> Error {
    let text = format!("send message to {topic}: the deadline passed before the broker answered");
    Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, text).unknown()
}

fn short_answer() -> Error {
    let text = "send message: the broker answered with fewer places than messages";
    Error::new(ErrorKind::Internal, codes::BAD_REPLY, text).with_certainty(Certainty::Done)
}

#[cfg(test)]
#[path = "producer_test.rs"]
mod tests;
