//! Loading at start: everything in `Kv`, checked against the log, before anything is served.

use std::collections::BTreeMap;

use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use settee_core::port::Kv;

use super::broker::Inner;
use super::name::{DEAD, GROUPS, PRODUCERS, TOPICS};
use super::record::{DeadRecord, GroupRecord, ProducerRecord, TopicRecord};
use super::topic::{StoredGroup, Topic};
use crate::record::{Record, decode};
use crate::shard::scan;

/// Every group of every topic as it is stored.
type StoredGroups = BTreeMap<(String, String), StoredGroup>;

pub(super) async fn load(broker: &Inner) -> Result<(), Error> {
    let kv = &*broker.stores.kv;
    for record in read_all::<ProducerRecord>(kv, PRODUCERS).await? {
        broker.producers.restore(record);
    }
    for record in read_all::<TopicRecord>(kv, TOPICS).await? {
        let name = record.name.clone();
        broker.topics.lock().insert(name, Topic::open(&broker.stores, record));
    }
    for ((topic, group), stored) in stored_groups(kv).await? {
        let found = broker.topics.lock().get(&topic).cloned();
        let topic = found.ok_or_else(|| damaged(&format!("group {group} consumes topic {topic}, which is not stored")))?;
        check_cursors(&topic, &group, &stored).await?;
        topic.restore_group(&group, stored);
    }
    Ok(())
}

async fn stored_groups(kv: &dyn Kv) -> Result<StoredGroups, Error> {
    let mut groups = StoredGroups::new();
    for record in read_all::<GroupRecord>(kv, GROUPS).await? {
        let group = groups.entry((record.topic, record.group)).or_default();
        group.entry(record.partition).or_default().0 = record.snapshot;
    }
    for record in read_all::<DeadRecord>(kv, DEAD).await? {
        let group = groups.entry((record.topic, record.group)).or_default();
        group.entry(record.partition).or_default().1.insert(record.offset, record.position);
    }
    Ok(groups)
}

/// P9: a group that has read what the log does not have would skip the messages that come in their place.
async fn check_cursors(topic: &Topic, group: &str, stored: &StoredGroup) -> Result<(), Error> {
    for partition in &topic.partitions {
        let Some((snapshot, _)) = stored.get(&partition.name.partition) else { continue };
        let tail = partition.tail().await?;
        if snapshot.position > tail {
            let (stream, position) = (&partition.name.stream, snapshot.position);
            return Err(damaged(&format!("group {group} has read {stream} up to {position}, but the log ends at {tail}")));
        }
    }
    Ok(())
}

async fn read_all<R: Record>(kv: &dyn Kv, component: &str) -> Result<Vec<R>, Error> {
    let mut records = Vec::new();
    scan(kv, component, |_, _, value| {
        records.push(decode::<R>(value)?);
        Ok(())
    })
    .await?;
    Ok(records)
}

fn damaged(text: &str) -> Error {
    Error::new(ErrorKind::Damaged, codes::STORE_DAMAGED, format!("load messages: {text}"))
}
