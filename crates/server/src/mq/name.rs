//! Which names topics, groups and producers may have, and the keys and streams made of them.

use bytes::Bytes;
use settee_core::Error;
use settee_core::id::{Offset, ShardId};
use settee_core::name;
use settee_core::port::StreamName;

use crate::shard::key;

/// Bytes of a group's name at most.
const MAX_GROUP_BYTES: usize = 64;
/// Bytes of a producer's name at most.
const MAX_PRODUCER_BYTES: usize = 255;

pub(super) const TOPICS: &str = "mqt";
pub(super) const PRODUCERS: &str = "mqi";
pub(super) const GROUPS: &str = "mqg";
pub(super) const DEAD: &str = "mqd";

pub(super) fn check_group(group: &str) -> Result<(), Error> {
    name::check("group", group, MAX_GROUP_BYTES)
}

pub(super) fn check_producer(producer: &str) -> Result<(), Error> {
    name::check("producer", producer, MAX_PRODUCER_BYTES)
}

/// One partition of a topic: its names in every store.
#[derive(Clone, Debug)]
pub(super) struct PartitionName {
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) shard: ShardId,
    pub(super) stream: StreamName,
}

impl PartitionName {
    pub(super) fn new(topic: &str, partition: u32) -> Self {
        let shard = ShardId::of(format!("{topic}/{partition}").as_bytes());
        let stream = StreamName::new(&format!("mq/{topic}/{partition}")).expect("a topic's name was checked when it was created");
        Self { topic: topic.to_owned(), partition, shard, stream }
    }

    /// The key of a group's record.
    pub(super) fn group_key(&self, group: &str) -> Bytes {
        key(GROUPS, self.shard, self.rest(group).as_bytes())
    }

    /// The key of a dead letter; they sort by offset.
    pub(super) fn dead_key(&self, group: &str, offset: Offset) -> Bytes {
        key(DEAD, self.shard, format!("{}/{:016x}", self.rest(group), offset.0).as_bytes())
    }

    fn rest(&self, group: &str) -> String {
        format!("{}/{}/{group}", self.topic, self.partition)
    }
}

/// The shard that a topic's or a producer's own record belongs to.
pub(super) fn shard_of(name: &str) -> ShardId {
    ShardId::of(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use settee_core::mq::MAX_TOPIC_BYTES;

    use super::*;

    #[test]
    fn the_longest_topic_makes_a_stream() {
        PartitionName::new(&"x".repeat(MAX_TOPIC_BYTES), u32::MAX);
    }
}
