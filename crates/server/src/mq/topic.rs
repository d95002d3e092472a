//! A topic with its partitions, and the groups that consume it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::Offset;
use settee_core::mq::group::Snapshot;
use settee_core::port::Write;
use tokio::sync::watch;

use super::broker::Stores;
use super::consumer::Consumer;
use super::delivery;
use super::group::GroupOwner;
use super::name::{PartitionName, TOPICS, shard_of};
use super::partition::{self, PartitionOwner};
use super::record::TopicRecord;
use crate::record::encode;
use crate::shard::{Change, Ticket, key};

/// Groups of one topic at most: each has a task and a read-ahead on every partition.
const MAX_GROUPS: usize = 64;
/// Consumers of one group at most.
const MAX_CONSUMERS: usize = 1_024;

/// A topic that this server owns.
pub(super) struct Topic {
    stores: Stores,
    record: Mutex<TopicRecord>,
    paused: watch::Sender<bool>,
    /// Whether its record is known to be durable, so that nobody need wait for that again.
    is_durable: AtomicBool,
    pub(super) partitions: Vec<Arc<PartitionOwner>>,
    groups: Mutex<BTreeMap<String, Arc<GroupOfTopic>>>,
}

/// A group on all partitions of a topic.
pub(super) struct GroupOfTopic {
    pub(super) owners: Vec<Arc<GroupOwner>>,
    pub(super) members: Arc<Members>,
}

/// Who consumes for a group, and whether its topic is paused.
pub(super) struct Members {
    consumers: Mutex<BTreeMap<u64, Arc<Consumer>>>,
    paused: watch::Receiver<bool>,
}

/// What is stored of one group: for each partition its snapshot and its dead letters.
pub(super) type StoredGroup = BTreeMap<u32, (Snapshot, BTreeMap<Offset, Offset>)>;

impl Topic {
    /// Takes over a topic and starts the tasks of its partitions.
    pub(super) fn open(stores: &Stores, record: TopicRecord) -> Arc<Self> {
        let partitions = (0..record.partitions).map(|index| {
            let name = PartitionName::new(&record.name, index);
            let token = stores.shards.token(name.shard);
            let owner = Arc::new(PartitionOwner::new(name, stores.log.clone(), token));
            partition::start(&owner, &stores.shards);
            owner
        });
        let partitions = partitions.collect();
        let paused = watch::Sender::new(record.paused);
        Arc::new(Self {
            stores: stores.clone(),
            record: Mutex::new(record),
            paused,
            is_durable: AtomicBool::new(false),
            partitions,
            groups: Mutex::default(),
        })
    }

    /// Whether its record is known to be durable.
    pub(super) fn is_durable(&self) -> bool {
        self.is_durable.load(Ordering::Relaxed)
    }

    /// Takes note that its record is durable.
    pub(super) fn made_durable(&self) {
        self.is_durable.store(true, Ordering::Relaxed);
    }

    /// What is stored of it now.
    pub(super) fn record(&self) -> TopicRecord {
        self.record.lock().clone()
    }

    /// Queues the writing of the topic.
    pub(super) fn write(&self) -> Ticket {
        let record = self.record.lock();
        self.write_locked(&record)
    }

    fn write_locked(&self, record: &TopicRecord) -> Ticket {
        let shard = shard_of(&record.name);
        let write = Write::Put(key(TOPICS, shard, record.name.as_bytes()), encode(record));
        self.stores.shards.submit(shard, Change { compares: Vec::new(), writes: vec![write] })
    }

    /// Stops or resumes deliveries.
    pub(super) fn pause(&self, paused: bool) -> Ticket {
        let mut record = self.record.lock();
        record.paused = paused;
        self.paused.send_replace(paused);
        self.write_locked(&record)
    }

    /// The group called `name`; `None` if nobody ever consumed under it.
    pub(super) fn group(&self, name: &str) -> Option<Arc<GroupOfTopic>> {
        self.groups.lock().get(name).cloned()
    }

    /// Every group, by name.
    pub(super) fn groups(&self) -> Vec<(String, Arc<GroupOfTopic>)> {
        self.groups.lock().iter().map(|(name, group)| (name.clone(), group.clone())).collect()
    }

    /// The group called `name`, made now if it is new: with tickets for its records.
    ///
    /// # Errors
    /// `Limited` when the topic has too many groups; what [`Shards::admit`](crate::shard::Shards::admit) says.
    pub(super) fn group_or_new(&self, name: &str) -> Result<(Arc<GroupOfTopic>, Vec<Ticket>), Error> {
        let mut groups = self.groups.lock();
        if let Some(group) = groups.get(name) {
            return Ok((group.clone(), Vec::new()));
        }
        if groups.len() >= MAX_GROUPS {
            return Err(too_many("groups of a topic", MAX_GROUPS));
        }
        for partition in &self.partitions {
            self.stores.shards.admit(partition.name.shard)?;
        }
        let group = self.open_group(name, &mut StoredGroup::new());
        let tickets = group.owners.iter().map(|owner| owner.create()).collect();
        groups.insert(name.to_owned(), group.clone());
        Ok((group, tickets))
    }

    /// Takes over a group as it was stored.
    pub(super) fn restore_group(&self, name: &str, mut stored: StoredGroup) {
        let group = self.open_group(name, &mut stored);
        self.groups.lock().insert(name.to_owned(), group);
    }

    fn open_group(&self, name: &str, stored: &mut StoredGroup) -> Arc<GroupOfTopic> {
        let members = Arc::new(Members { consumers: Mutex::default(), paused: self.paused.subscribe() });
        let owners = self.partitions.iter().map(|partition| {
            let (snapshot, dead) = stored.remove(&partition.name.partition).unwrap_or_default();
            let Stores { shards, config, .. } = self.stores.clone();
            let owner = Arc::new(GroupOwner::new(name, partition.clone(), shards, config.group, (&snapshot, dead)));
            crate::shard::spawn_owned(&self.stores.shards, delivery::run(owner.clone(), members.clone()));
            owner
        });
        Arc::new(GroupOfTopic { owners: owners.collect(), members })
    }
}

impl GroupOfTopic {
    /// Adds a consumer.
    ///
    /// # Errors
    /// `Limited` when the group has too many.
    pub(super) fn join(&self, consumer: Arc<Consumer>) -> Result<(), Error> {
        let mut consumers = self.members.consumers.lock();
        if consumers.len() >= MAX_CONSUMERS {
            return Err(too_many("consumers of a group", MAX_CONSUMERS));
        }
        consumers.insert(consumer.id, consumer);
        drop(consumers);
        self.wake();
        Ok(())
    }

    /// Removes a consumer; what it holds goes to others at once.
    pub(super) fn leave(&self, consumer: u64) {
        let removed = self.members.consumers.lock().remove(&consumer);
        removed.iter().for_each(|consumer| consumer.leave());
        for owner in &self.owners {
            owner.consumer_lost(consumer);
        }
    }

    /// Lets every partition look again: a consumer has come, or has credit again.
    pub(super) fn wake(&self) {
        for owner in &self.owners {
            owner.wake.notify_one();
        }
    }
}

impl Members {
    pub(super) fn consumers(&self) -> Vec<Arc<Consumer>> {
        self.consumers.lock().values().cloned().collect()
    }

    pub(super) fn paused(&self) -> watch::Receiver<bool> {
        self.paused.clone()
    }
}

fn too_many(what: &str, limit: usize) -> Error {
    Error::new(ErrorKind::Limited, codes::CONCURRENCY_LIMITED, format!("consume: {limit} {what} are the limit"))
}
