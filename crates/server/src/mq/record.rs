//! What the broker writes into `Kv`.

use serde::{Deserialize, Serialize};
use settee_core::Timestamp;
use settee_core::id::Offset;
use settee_core::mq::Cause;
use settee_core::mq::group::Snapshot;

use crate::record::Record;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TopicRecord {
    pub(super) name: String,
    pub(super) partitions: u32,
    pub(super) paused: bool,
}

impl Record for TopicRecord {
    const NAME: &'static str = "topic";
    const VERSION: u8 = 1;
}

/// A producer: its identity for ever and its last life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProducerRecord {
    pub(super) name: String,
    pub(super) id: u64,
    pub(super) epoch: u64,
}

impl Record for ProducerRecord {
    const NAME: &'static str = "producer";
    const VERSION: u8 = 1;
}

/// A group on one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupRecord {
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) group: String,
    pub(super) snapshot: Snapshot,
}

impl Record for GroupRecord {
    const NAME: &'static str = "consumer group";
    const VERSION: u8 = 1;
}

/// A dead letter of a group: the message itself stays in the log, at `position`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeadRecord {
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) group: String,
    pub(super) offset: Offset,
    pub(super) position: Offset,
    pub(super) attempts: u32,
    pub(super) cause: Cause,
    pub(super) buried: Timestamp,
}

impl Record for DeadRecord {
    const NAME: &'static str = "dead letter";
    const VERSION: u8 = 1;
}
