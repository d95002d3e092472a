//! The keys and streams made of the names of topics, groups and producers, which `core` checks.

use bytes::Bytes;
use settee_core::id::{Offset, ShardId};
use settee_core::port::StreamName;

use crate::shard::key;

pub(super) const TOPICS: &str = "mqt";
pub(super) const PRODUCERS: &str = "mqi";
pub(super) const GROUPS: &str = "mqg";
pub(super) const DEAD: &str = "mqd";

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
    use settee_core::mq::name::MAX_TOPIC_BYTES;

    use super::*;

    #[test]
    fn the_longest_topic_still_has_a_stream() {
        PartitionName::new(&"x".repeat(MAX_TOPIC_BYTES), u32::MAX);
    }
}
