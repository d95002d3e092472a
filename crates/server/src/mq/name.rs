//! Which names topics, groups and producers may have, and the keys and streams made of them.

use bytes::Bytes;
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::{Offset, ShardId};
use settee_core::port::StreamName;

use crate::shard::key;

/// Bytes of a topic's name at most, so that a stream's name fits into its limit.
const MAX_TOPIC_BYTES: usize = 100;
/// Bytes of a group's name at most.
const MAX_GROUP_BYTES: usize = 64;
/// Bytes of a producer's name at most.
const MAX_PRODUCER_BYTES: usize = 255;

pub(super) const TOPICS: &str = "mqt";
pub(super) const PRODUCERS: &str = "mqi";
pub(super) const GROUPS: &str = "mqg";
pub(super) const DEAD: &str = "mqd";

pub(super) fn check_topic(name: &str) -> Result<(), Error> {
    check("topic", name, MAX_TOPIC_BYTES)
}

pub(super) fn check_group(name: &str) -> Result<(), Error> {
    check("group", name, MAX_GROUP_BYTES)
}

pub(super) fn check_producer(name: &str) -> Result<(), Error> {
    check("producer", name, MAX_PRODUCER_BYTES)
}

/// No slash: names are parts of keys and streams.
fn check(what: &str, name: &str, limit: usize) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if (1..=limit).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    let text = format!("read {what} name: 1 to {limit} ASCII letters, digits, '.', '-' and '_' are expected, not {name:?}");
    Err(Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, text))
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
    use super::*;

    #[test]
    fn a_name_that_would_break_a_key_is_refused() {
        for name in ["", "a/b", "ü", " ", &"x".repeat(MAX_TOPIC_BYTES + 1)] {
            assert!(check_topic(name).is_err(), "{name:?}");
        }
        assert!(check_topic("pay.transfers-2_x").is_ok());
        PartitionName::new(&"x".repeat(MAX_TOPIC_BYTES), u32::MAX);
    }
}
