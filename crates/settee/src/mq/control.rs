//! The messaging calls of the control plane, and their models. Implemented by the broker in `settee-server`; a service uses
//! [`Producer`](super::Producer), [`Consumer`](super::Consumer) and [`Relay`](super::Relay) instead of calling these itself.
//!
//! Every call may be repeated: publishing by the producer's sequence, answers by the delivery's token, the rest by what it asks.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use settee_core::Timestamp;
use settee_core::mq::Cause;

use crate::rpc::{Page, Reply, Updates, Whole};

/// What a broker does.
#[crate::service("settee.Messages")]
pub trait MessageControl {
    /// Creates a topic; one that exists stays as it is. Answers with the topic as it is.
    #[rpc(idempotent)]
    async fn create_topic(&self, topic: CreateTopic) -> Reply<TopicView>;
    /// Opens a producer: its next epoch, which fences every earlier one.
    async fn open_producer(&self, name: String) -> Reply<ProducerRef>;
    /// Stores messages, in order, each exactly once however often it is sent. Creates the topic if it is missing.
    #[rpc(idempotent)]
    async fn publish(&self, publish: Publish) -> Reply<Published>;
    /// Delivers messages of a topic to a group as long as the stream is read. A new group begins with the oldest message.
    async fn consume(&self, consume: Consume) -> Reply<Updates<Delivery>>;
    /// Reports deliveries as done; they are when this is answered.
    #[rpc(idempotent)]
    async fn ack(&self, deliveries: Vec<AckRef>) -> Reply<Answered>;
    /// Reports deliveries as failed: each comes again later, or becomes a dead letter.
    #[rpc(idempotent)]
    async fn nack(&self, failures: Vec<Nack>) -> Reply<Answered>;
    /// A page of the topics behind the name `after`, with their groups, by name.
    #[rpc(idempotent)]
    async fn topic_page(&self, after: Option<String>) -> Reply<Page<TopicView>>;
    /// The partitions of a topic in order, with how far each group is on them.
    #[rpc(idempotent)]
    async fn partitions(&self, topic: String) -> Reply<Vec<PartitionView>>;
    /// Stops deliveries of a topic; publishing goes on.
    #[rpc(idempotent)]
    async fn pause_topic(&self, name: String) -> Reply<TopicView>;
    /// Delivers again.
    #[rpc(idempotent)]
    async fn resume_topic(&self, name: String) -> Reply<TopicView>;
    /// Dead letters of one group, oldest first in each partition.
    #[rpc(idempotent)]
    async fn dead_letters(&self, query: DeadLetterQuery) -> Reply<Vec<DeadLetter>>;
    /// Delivers dead letters to their group again, and to no other. Answers how many were still dead letters.
    #[rpc(idempotent)]
    async fn replay(&self, replay: Replay) -> Reply<u32>;
}

impl MessageControlClient {
    /// All topics with their groups, by name, page after page.
    ///
    /// # Errors
    /// Those of a call; nothing is changed.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn topics(&self) -> Reply<Vec<TopicView>> {
        let mut topics = Whole::new();
        while topics.add(self.topic_page(topics.after()).await?)? {}
        Ok(topics.items)
    }
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTopic {
    /// Its name: 1 to 100 ASCII letters, digits, `.`, `-` and `_`.
    pub name: String,
    /// How many partitions, for ever. `None`: the broker's default.
    #[serde(default)]
    pub partitions: Option<u32>,
}

/// A producer in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProducerRef {
    /// The producer.
    pub id: u64,
    /// Which life.
    pub epoch: u64,
}

/// Messages to store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// Where to.
    pub topic: String,
    /// Who sends them.
    pub producer: ProducerRef,
    /// At most [`MAX_PUBLISH`] messages.
    pub messages: Vec<OutgoingMessage>,
}

/// Messages of one publish request at most; what a partition takes at once.
pub const MAX_PUBLISH: usize = settee_core::mq::partition::MAX_BATCH;

/// A message to store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingMessage {
    /// The sender's name for it, the same in every repeat.
    pub id: String,
    /// Messages of one key stay in order.
    #[serde(default)]
    pub key: Option<String>,
    /// What travels beside the payload.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The content.
    pub payload: Bytes,
    /// Its number among the messages of this life of its producer, the same in every repeat.
    pub sequence: u64,
    /// Not to be delivered before this moment.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
}

/// Where messages are stored, one place for each in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The places.
    pub places: Vec<Place>,
}

/// Where a message is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The partition of the topic.
    pub partition: u32,
    /// The offset in the partition, dense from 0.
    pub offset: u64,
}

/// A consumer that joins a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consume {
    /// The topic; created if it is missing.
    pub topic: String,
    /// The group: 1 to 64 ASCII letters, digits, `.`, `-` and `_`.
    pub group: String,
    /// Deliveries that may be unanswered at a time.
    pub credit: u32,
}

/// A message on its way to a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Where it is stored.
    pub place: Place,
    /// The how manieth delivery it is, from 1.
    pub attempt: u32,
    /// The sender's name for it.
    pub id: String,
    /// Its key.
    #[serde(default)]
    pub key: Option<String>,
    /// What travels beside the payload.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// When it was published, by the broker's clock.
    pub published: Timestamp,
    /// The content.
    pub payload: Bytes,
    /// What the answer must carry.
    pub token: u64,
}

/// The answer to a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckRef {
    /// The topic.
    pub topic: String,
    /// The group.
    pub group: String,
    /// Where the message is stored.
    pub place: Place,
    /// The delivery's token.
    pub token: u64,
}

/// A delivery that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nack {
    /// The delivery.
    pub delivery: AckRef,
    /// What went wrong, for people; at most [`MAX_CAUSE_BYTES`] are kept.
    pub cause: String,
    /// Whether trying again can help.
    pub class: NackClass,
}

/// Bytes of a cause that are kept.
pub const MAX_CAUSE_BYTES: usize = 1_024;

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NackClass {
    /// It can: the message comes again after its backoff, until its attempts are used up.
    Retry,
    /// It cannot: the message becomes a dead letter now.
    Reject,
}

/// What became of answers to deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Deliveries whose answer counted.
    pub accepted: u32,
    /// Deliveries that no longer counted: the message is done, or somebody else has it.
    pub stale: u32,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicView {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// Whether deliveries are stopped.
    pub paused: bool,
    /// Messages that are stored.
    pub messages: u64,
    /// Partitions that are parked and wait for an operator.
    pub parked: u32,
    /// Who consumes it.
    pub groups: Vec<GroupView>,
}

/// A group of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// Consumers that are connected.
    pub consumers: u32,
    /// Messages that are not done.
    pub lag_messages: u64,
    /// The age of the oldest of them, in milliseconds.
    pub lag_ms: u64,
    /// Messages that were read and are not done: in flight, backing off, delayed, or behind their key.
    pub open: u64,
    /// Dead letters.
    pub dead: u64,
}

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionView {
    /// Which, from 0.
    pub partition: u32,
    /// Messages that are stored: also the offset of the next one.
    pub messages: u64,
    /// Whether it waits for an operator.
    pub parked: bool,
    /// How far each group of the topic is, by name.
    pub groups: Vec<PartitionGroupView>,
}

/// How far a group is on one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionGroupView {
    /// The group.
    pub name: String,
    /// Messages that are not done.
    pub lag_messages: u64,
    /// Messages that were read and are not done, as in [`GroupView::open`].
    pub open: u64,
    /// Dead letters.
    pub dead: u64,
}

/// Which dead letters to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterQuery {
    /// The topic.
    pub topic: String,
    /// The group.
    pub group: String,
    /// Only those behind this place: the last of the previous page.
    #[serde(default)]
    pub after: Option<Place>,
    /// How many at most; the broker may list fewer.
    pub limit: u32,
}

/// A message that a group gave up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where it is stored.
    pub place: Place,
    /// The sender's name for it.
    pub id: String,
    /// Its key.
    #[serde(default)]
    pub key: Option<String>,
    /// What travelled beside the payload, its trace included.
    pub headers: BTreeMap<String, String>,
    /// The content.
    pub payload: Bytes,
    /// When it was published.
    pub published: Timestamp,
    /// When it was given up.
    pub buried: Timestamp,
    /// How often it was delivered.
    pub attempts: u32,
    /// Why it was given up.
    pub cause: Cause,
}

/// Dead letters to deliver again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// The topic.
    pub topic: String,
    /// The group.
    pub group: String,
    /// Which ones.
    pub places: Vec<Place>,
}
