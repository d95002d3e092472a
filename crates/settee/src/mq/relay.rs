//! The outbox relay: publishes the rows that a service's own commits left behind, in order, each exactly once.
//!
//! ```text
//! commit (business row + outbox row) -> notified | poll -> take -> publish (producer of the database, sequence of the row) -> mark sent
//! ```
//! The producer's identity and the rows' sequences live in the database. A relay that dies between publishing and marking is
//! followed by one that publishes the same rows under the same identity, and the broker answers them as repeats. It knows no SQL:
//! `settee-sqlx` implements [`OutboxSource`].
//!
//! A topic that the broker does not take now waits by itself, and the rows of the others go past its own.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use settee_core::error::codes;
use settee_core::planted::Bug;
use settee_core::shutdown::Shutdown;
use settee_core::{Error, Instant, Timestamp};

use super::client::{Messages, backoff, in_call_context};
use super::control::{MAX_PUBLISH, MessageControl, OutgoingMessage, ProducerRef, Publish};
use super::filling::Filling;
use super::held::{HeldTopics, Holding};

/// How often the outbox is looked at when no commit of this process woke the relay: rows of a process that died wait this long.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Rows that are taken at once: fewer than a producer's window at the broker, so that all of them can be repeated.
pub const BATCH: usize = MAX_PUBLISH / 2;

/// A row of an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its key in the table.
    pub row: i64,
    /// Where to.
    pub topic: String,
    /// The message's own name.
    pub id: String,
    /// Messages of one key stay in order.
    pub key: Option<String>,
    /// Its number, see [`OutboxSource::take`].
    pub sequence: u64,
    /// What travels beside the payload; the trace of the transaction belongs here.
    pub headers: BTreeMap<String, String>,
    /// The content.
    pub payload: Bytes,
    /// Not to be delivered before this moment.
    pub not_before: Option<Timestamp>,
}

/// A database with an outbox. One relay works on it at a time; see to that with a lock or a lease in the database.
pub trait OutboxSource: Send + Sync + 'static {
    /// The identity under which this database publishes, once [`OutboxSource::adopt`] has stored one.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn producer(&self) -> impl Future<Output = Result<Option<ProducerRef>, Error>> + Send;

    /// Stores the identity unless there is one that is not `replaced`: the one that is stored then, durably.
    ///
    /// # Errors
    /// When the database cannot be written.
    fn adopt(
        &self,
        producer: ProducerRef,
        replaced: Option<ProducerRef>,
    ) -> impl Future<Output = Result<ProducerRef, Error>> + Send;

    /// The first `limit` rows that are not sent and belong to none of the topics `without`, in the order of their sequences.
    ///
    /// A row's sequence is unique, the same every time the row is taken, and above those of all rows of its topic that were ever
    /// taken before the row was first taken. Where a row that is committed later can have a lower id, the number must be given when a row is
    /// first taken, in a commit of its own: with ids in its place the order of a key breaks. SQLite commits one after the
    /// other, so there an autoincrement id will do.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn take(&self, limit: usize, without: &[String]) -> impl Future<Output = Result<Vec<OutboxRow>, Error>> + Send;

    /// Removes rows, or marks them as sent. Safe to repeat.
    ///
    /// # Errors
    /// When the database cannot be written.
    fn mark_sent(&self, rows: &[i64]) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sets a row aside that the broker will never take, with its cause, so that an operator finds it. Safe to repeat.
    ///
    /// # Errors
    /// When the database cannot be written.
    fn set_aside(&self, row: i64, cause: &Error) -> impl Future<Output = Result<(), Error>> + Send;

    /// Returns after a commit with outbox rows by this process since it last returned; may return without one.
    ///
    /// # Cancel safety
    /// No wake-up is lost.
    fn notified(&self) -> impl Future<Output = ()> + Send;
}

/// Publishes an outbox until it is told to stop.
#[derive(Debug)]
pub struct Relay<S> {
    messages: Messages,
    source: S,
    name: String,
    held: Mutex<HeldTopics>,
}

/// Why rows of a topic were not sent.
enum NotSent {
    /// The broker did not take them.
    Refused(Error),
    /// The database failed: no topic can go on.
    Database(Error),
}

impl<S: OutboxSource> Relay<S> {
    /// A relay for `source`, whose producer will be opened as `name`, such as `account-1.outbox`: unique for each database.
    #[must_use]
    pub fn new(messages: &Messages, source: S, name: &str) -> Self {
        Self { messages: messages.clone(), source, name: name.to_owned(), held: Mutex::default() }
    }

    /// Works until `shutdown`: woken by commits, or every [`POLL_INTERVAL`]. Failures are logged and tried again.
    ///
    /// # Cancel safety
    /// Dropped anywhere, nothing is lost, and nothing is stored twice by the next relay.
    pub async fn run(&self, shutdown: Shutdown) {
        let mut wait = backoff();
        while !shutdown.is_requested() {
            let turn = async {
                match self.turn().await {
                    Ok(0) => self.idle().await,
                    Ok(_) => wait = backoff(),
                    Err(error) => {
                        tracing::warn!(relay = self.name, %error, "a relay turn failed, trying again");
                        wait.pause().await;
                    }
                }
            };
            shutdown.or(turn).await;
        }
    }

    async fn idle(&self) {
        let now = Instant::now();
        let next_try = self.held.lock().next_try(now).map_or(POLL_INTERVAL, |next| next.duration_since(now));
        let _woken_or_due = tokio::time::timeout(POLL_INTERVAL.min(next_try), self.source.notified()).await;
    }

    /// Publishes what is there now, at most [`BATCH`] rows: how many were taken. Rows of a topic that the broker did not take are
    /// left out for a while, longer every time; they stay in the outbox, and the other topics go on.
    ///
    /// # Errors
    /// When the database fails, or the broker takes nothing of many topics; what was published is marked, or recognised the next
    /// time.
    ///
    /// # Cancel safety
    /// As [`Relay::run`].
    pub async fn turn(&self) -> Result<usize, Error> {
        let now = Instant::now();
        let without = self.held.lock().names(now);
        let rows = self.source.take(BATCH, &without).await?;
        let topics = by_topic(&rows);
        self.held.lock().forget_empty(now, |topic| topics.contains_key(topic));
        if topics.is_empty() {
            return Ok(0);
        }
        let producer = self.identity().await?;
        for (topic, rows) in topics {
            match self.publish(producer, topic, &rows).await {
                Ok(()) => self.release(topic),
                Err(NotSent::Refused(error)) if *error.code() == codes::PRODUCER_FENCED => {
                    self.replace(producer).await?;
                    break;
                }
                Err(NotSent::Refused(error)) => self.hold(topic, error)?,
                Err(NotSent::Database(error)) => return Err(error),
            }
        }
        Ok(rows.len())
    }

    fn hold(&self, topic: &str, error: Error) -> Result<(), Error> {
        match self.held.lock().hold(topic, Instant::now()) {
            Holding::Said => tracing::warn!(relay = self.name, topic, %error, "the broker does not take messages of a topic"),
            Holding::Quiet => {}
            Holding::TooMany => return Err(error),
        }
        Ok(())
    }

    fn release(&self, topic: &str) {
        if self.held.lock().release(topic) {
            tracing::info!(relay = self.name, topic, "the broker takes messages of a topic again");
        }
    }

    /// Somebody opened this relay's name after the identity was stored, or the broker was restored: the identity is of no use any
    /// more. Rows that it published without being able to mark them are published again; the consumers' inbox drops those.
    async fn replace(&self, producer: ProducerRef) -> Result<(), Error> {
        tracing::warn!(relay = self.name, ?producer, "the outbox's producer was fenced and is opened anew");
        self.open(Some(producer)).await.map(drop)
    }

    async fn identity(&self) -> Result<ProducerRef, Error> {
        match self.source.producer().await? {
            Some(producer) => Ok(producer),
            None => self.open(None).await,
        }
    }

    async fn open(&self, replaced: Option<ProducerRef>) -> Result<ProducerRef, Error> {
        let opened = in_call_context(self.messages.control().open_producer(self.name.clone())).await?;
        self.source.adopt(opened, replaced).await
    }

    async fn publish(&self, producer: ProducerRef, topic: &str, rows: &[&OutboxRow]) -> Result<(), NotSent> {
        let sendable = self.set_aside_oversized(rows).await.map_err(NotSent::Database)?;
        let mut filling = Filling::default();
        filling.takes(sendable.first().map_or(0, |first| first.bytes));
        // One after the other, so that the order of a key is kept.
        for request in sendable.chunk_by(|_, next| filling.takes(next.bytes)) {
            self.request(producer, topic, request).await?;
        }
        Ok(())
    }

    async fn request(&self, producer: ProducerRef, topic: &str, rows: &[Sendable<'_>]) -> Result<(), NotSent> {
        let messages = rows.iter().map(|sendable| outgoing(sendable.row)).collect();
        let publish = Publish { topic: topic.to_owned(), producer, messages };
        let sent: Vec<i64> = rows.iter().map(|sendable| sendable.row.row).collect();
        if Bug::ForgetsBeforePublishing.is_planted() {
            self.source.mark_sent(&sent).await.map_err(NotSent::Database)?;
        }
        // Once: it is tried again in its turn, under the same numbers.
        self.messages.publish(&publish, Duration::ZERO).await.map_err(NotSent::Refused)?;
        self.source.mark_sent(&sent).await.map_err(NotSent::Database)
    }

    /// A row over a limit would hold up all that follow, for ever.
    async fn set_aside_oversized<'a>(&self, rows: &[&'a OutboxRow]) -> Result<Vec<Sendable<'a>>, Error> {
        let mut sendable = Vec::with_capacity(rows.len());
        for row in rows {
            let stored = stored_form(row);
            match stored.check() {
                Ok(()) => sendable.push(Sendable { row, bytes: stored.stored_size() }),
                Err(error) => {
                    tracing::error!(relay = self.name, row = row.row, %error, "an outbox row can never be sent and is set aside");
                    self.source.set_aside(row.row, &error).await?;
                }
            }
        }
        Ok(sendable)
    }
}

/// A row that the broker takes, and the bytes of it as a stored message.
struct Sendable<'a> {
    row: &'a OutboxRow,
    bytes: usize,
}

/// Rows by topic, each topic's in order: the order of a key is kept, as a key lives in a topic.
fn by_topic(rows: &[OutboxRow]) -> BTreeMap<&str, Vec<&OutboxRow>> {
    let mut topics: BTreeMap<&str, Vec<&OutboxRow>> = BTreeMap::new();
    for row in rows {
        topics.entry(&row.topic).or_default().push(row);
    }
    topics
}

fn outgoing(row: &OutboxRow) -> OutgoingMessage {
    OutgoingMessage {
        id: row.id.clone(),
        key: row.key.clone(),
        headers: row.headers.clone(),
        payload: row.payload.clone(),
        sequence: row.sequence,
        not_before: row.not_before,
    }
}

fn stored_form(row: &OutboxRow) -> settee_core::mq::Message {
    settee_core::mq::Message {
        id: row.id.clone(),
        key: row.key.clone(),
        headers: row.headers.clone(),
        published: Timestamp::EPOCH,
        not_before: row.not_before,
        payload: row.payload.clone(),
    }
}

#[cfg(test)]
#[path = "relay_test.rs"]
mod tests;
