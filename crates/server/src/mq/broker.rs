//! The handle of the broker: finds topics and groups, makes them where they are missing, and waits for what was written.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use settee::mq::control::{AckRef, Answered, Consume, CreateTopic, Delivery, MAX_PUBLISH, Publish};
use settee::mq::{Place, ProducerRef};
use settee::rpc::{Updates, updates};
use settee_core::error::{Certainty, ErrorKind, codes};
use settee_core::id::Offset;
use settee_core::mq::group::Event;
use settee_core::mq::name::{check_group, check_producer, check_topic};
use settee_core::mq::partition::MAX_WAITING;
use settee_core::mq::{Submission, partition_of};
use settee_core::port::{Kv, Log};
use settee_core::{Error, env};

use super::consumer::{Consumer, MAX_CREDIT};
use super::producers::Producers;
use super::record::TopicRecord;
use super::topic::{GroupOfTopic, Topic};
use super::{Config, MAX_PARTITIONS};
use crate::gauge::Gauge;
use crate::shard::{Shards, Ticket};

/// Topics of a broker at most: each has a task a partition.
const MAX_TOPICS: usize = 1_024;

/// The stores of a broker, and how it works.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) shards: Shards,
    pub(super) kv: Arc<dyn Kv>,
    pub(super) log: Arc<dyn Log>,
    pub(super) config: Config,
}

/// The broker of this server. Cheap to clone; serve it with [`MessageControlServer`](settee::mq::MessageControlServer), or call
/// it in process through [`MessageControlClient::in_process`](settee::mq::MessageControlClient::in_process).
#[derive(Clone)]
pub struct Broker(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) stores: Stores,
    pub(super) topics: Mutex<BTreeMap<String, Arc<Topic>>>,
    pub(super) producers: Producers,
    consumers: AtomicU64,
}

impl Broker {
    /// Takes over all topics, producers and groups of the stores, and starts to deliver. Its tasks end with the ownership of
    /// `shards`, and with the runtime.
    ///
    /// # Errors
    /// What the stores report; `Damaged` (`STO0002`) when a group has read further than its partition's log reaches: the log was
    /// restored from an older backup than `kv`.
    ///
    /// # Cancel safety
    /// Dropped, what was started ends with the ownership.
    pub async fn open(shards: Shards, kv: Arc<dyn Kv>, log: Arc<dyn Log>, config: Config) -> Result<Self, Error> {
        let stores = Stores { shards, kv, log, config };
        let inner = Inner { stores, topics: Mutex::default(), producers: Producers::default(), consumers: AtomicU64::new(0) };
        let broker = Self(Arc::new(inner));
        super::load::load(&broker.0).await?;
        Ok(broker)
    }

    /// What it holds.
    pub(crate) fn gauges(&self) -> [Gauge; 3] {
        let (topics, window) = (self.all_topics(), self.0.stores.config.group.window);
        let groups: Vec<_> = topics.iter().flat_map(|topic| topic.groups()).map(|(_, group)| group).collect();
        let partitions = topics.iter().flat_map(|topic| &topic.partitions);
        let open = groups.iter().flat_map(|group| &group.owners).map(|owner| (owner.open(), window));
        let consumers = groups.iter().flat_map(|group| group.members.consumers());
        [
            Gauge::fullest("messages waiting for an append", partitions.map(|partition| (partition.waiting(), MAX_WAITING))),
            Gauge::fullest("messages of a group read and not done", open),
            Gauge::fullest("deliveries of a consumer unanswered", consumers.map(|consumer| consumer.unanswered())),
        ]
    }

    pub(super) fn topic(&self, name: &str) -> Result<Arc<Topic>, Error> {
        let topic = self.0.topics.lock().get(name).cloned();
        topic.ok_or_else(|| Error::new(ErrorKind::NotFound, codes::NO_TOPIC, format!("find topic {name}: there is none")))
    }

    pub(super) fn all_topics(&self) -> Vec<Arc<Topic>> {
        self.0.topics.lock().values().cloned().collect()
    }

    /// The topics behind the name `after`, by name.
    pub(super) fn topics_behind(&self, after: Option<String>) -> Vec<Arc<Topic>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.topics.lock().range((from, Bound::Unbounded)).map(|(_, topic)| topic.clone()).collect()
    }

    /// The topic called so, made now if it is new. Durable when this returns.
    pub(super) async fn topic_or_new(&self, wanted: CreateTopic) -> Result<Arc<Topic>, Error> {
        check_topic(&wanted.name)?;
        let partitions = wanted.partitions.unwrap_or(self.0.stores.config.partitions);
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            let text = format!("create topic {}: 1 to {MAX_PARTITIONS} partitions are possible, not {partitions}", wanted.name);
            return Err(Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, text));
        }
        let (topic, ticket) = self.find_or_open(wanted.name, partitions)?;
        ticket.committed().await?;
        topic.made_durable();
        Ok(topic)
    }

    /// The topic to publish into. That it exists is all that a publication observes of it: once that is durable, messages wait for
    /// the log alone, also while `kv` has no room.
    async fn topic_to_publish(&self, name: String) -> Result<Arc<Topic>, Error> {
        match self.topic(&name) {
            Ok(topic) if topic.is_durable() => Ok(topic),
            _ => self.topic_or_new(CreateTopic { name, partitions: None }).await,
        }
    }

    fn find_or_open(&self, name: String, partitions: u32) -> Result<(Arc<Topic>, Ticket), Error> {
        let mut topics = self.0.topics.lock();
        if let Some(topic) = topics.get(&name) {
            let ticket = self.0.stores.shards.observe(super::name::shard_of(&name));
            return Ok((topic.clone(), ticket));
        }
        if topics.len() >= MAX_TOPICS {
            let text = format!("create topic {name}: {MAX_TOPICS} topics are the limit");
            return Err(Error::new(ErrorKind::Limited, codes::CONCURRENCY_LIMITED, text));
        }
        self.0.stores.shards.admit(super::name::shard_of(&name))?;
        let topic = Topic::open(&self.0.stores, TopicRecord { name: name.clone(), partitions, paused: false });
        let ticket = topic.write();
        topics.insert(name, topic.clone());
        Ok((topic, ticket))
    }

    pub(super) async fn open_producer(&self, name: &str) -> Result<ProducerRef, Error> {
        check_producer(name)?;
        self.0.stores.shards.admit(super::name::shard_of(name))?;
        let (producer, ticket) = self.0.producers.open(name, &self.0.stores.shards);
        ticket.committed().await?;
        Ok(producer)
    }

    /// Stores messages: a place for each, in order. All partitions work at once; each keeps the order of its own.
    pub(super) async fn publish(&self, publish: Publish) -> Result<Vec<Place>, Error> {
        let Publish { topic, producer, messages } = publish;
        if messages.len() > MAX_PUBLISH {
            let text = format!("publish: {} messages are over the limit of {MAX_PUBLISH}", messages.len());
            return Err(Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, text));
        }
        self.0.producers.check(producer)?;
        let submissions =
            messages.into_iter().map(|message| message.submission(producer, env::wall_clock())).collect::<Result<Vec<_>, _>>()?;
        let topic = self.topic_to_publish(topic).await?;
        store(&topic, submissions).await
    }

    /// Adds a consumer to a group, both made now if they are new.
    pub(super) async fn consume(&self, consume: Consume) -> Result<Updates<Delivery>, Error> {
        let Consume { topic, group, credit } = consume;
        check_group(&group)?;
        let credit = credit.clamp(1, MAX_CREDIT);
        let topic = self.topic_or_new(CreateTopic { name: topic, partitions: None }).await?;
        let (group, tickets) = topic.group_or_new(&group)?;
        for ticket in tickets {
            ticket.committed().await?;
        }
        let (sender, updates) = updates(usize::try_from(credit).unwrap_or(usize::MAX));
        let id = self.0.consumers.fetch_add(1, Ordering::Relaxed);
        let consumer = Arc::new(Consumer::new(id, sender, credit));
        group.join(consumer.clone())?;
        crate::shard::spawn_owned(&self.0.stores.shards, leave_when_closed(group, consumer));
        Ok(updates)
    }

    /// Takes note of answers to deliveries. An answer for a group that is not known is stale.
    pub(super) async fn answer(&self, answers: Vec<(AckRef, Event)>) -> Result<Answered, Error> {
        let mut by_owner: BTreeMap<(String, String, u32), Vec<Event>> = BTreeMap::new();
        for (delivery, event) in answers {
            by_owner.entry((delivery.topic, delivery.group, delivery.place.partition)).or_default().push(event);
        }
        let (mut all, mut tickets) = (Answered::default(), Vec::new());
        for ((topic, group, partition), events) in by_owner {
            let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
            let Some((group, index)) = self.find_group(&topic, &group, partition) else {
                all.stale += count;
                continue;
            };
            let (answered, ticket) = group.owners[index].answer(events);
            all = Answered { accepted: all.accepted + answered.accepted, stale: all.stale + answered.stale };
            tickets.push(ticket);
            // The credit that came back may be used on any partition.
            group.wake();
        }
        for ticket in tickets {
            ticket.committed().await?;
        }
        Ok(all)
    }

    pub(super) fn find_group(&self, topic: &str, group: &str, partition: u32) -> Option<(Arc<GroupOfTopic>, usize)> {
        let group = self.topic(topic).ok()?.group(group)?;
        let index = usize::try_from(partition).ok().filter(|index| *index < group.owners.len())?;
        Some((group, index))
    }
}

async fn leave_when_closed(group: Arc<GroupOfTopic>, consumer: Arc<Consumer>) {
    consumer.closed().await;
    group.leave(consumer.id);
}

async fn store(topic: &Topic, submissions: Vec<Submission>) -> Result<Vec<Place>, Error> {
    let count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
    let mut parts: BTreeMap<u32, (Vec<usize>, Vec<Submission>)> = BTreeMap::new();
    let total = submissions.len();
    for (index, submission) in submissions.into_iter().enumerate() {
        let partition = partition_of(submission.message.key.as_deref(), &submission.message.id, count);
        let (indices, part) = parts.entry(partition).or_default();
        indices.push(index);
        part.push(submission);
    }
    let stored = parts.into_iter().map(|(partition, (indices, part))| async move {
        let owner = &topic.partitions[usize::try_from(partition).unwrap_or(0)];
        StoredPart { partition, indices, result: owner.publish(part).await }
    });
    collect(total, futures::future::join_all(stored).await)
}

/// What became of the messages of one partition.
struct StoredPart {
    partition: u32,
    /// Where they are in the request.
    indices: Vec<usize>,
    result: Result<Vec<Offset>, Error>,
}

/// The places in the order of the request. If one part is stored, or may be, and another is not, the request's outcome is unknown.
fn collect(total: usize, stored: Vec<StoredPart>) -> Result<Vec<Place>, Error> {
    let certainly_not = |part: &StoredPart| matches!(&part.result, Err(error) if error.certainty() == Certainty::NotDone);
    let is_unknown = !stored.iter().all(certainly_not);
    let mut places = vec![Place { partition: 0, offset: 0 }; total];
    for StoredPart { partition, indices, result } in stored {
        let offsets = result.map_err(|error| if is_unknown { error.unknown() } else { error })?;
        for (index, offset) in indices.into_iter().zip(offsets) {
            places[index] = Place { partition, offset: offset.0 };
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use settee_core::mq::partition::Refusal;

    use super::*;

    #[test]
    fn a_partition_that_certainly_stored_nothing_does_not_hide_one_of_which_nobody_knows() {
        let (stored, full, forgotten) = (Ok(vec![Offset(7)]), Err(Refusal::Full), Err(Refusal::Forgotten));
        for (results, told) in [
            ([stored.clone(), full.clone()], Certainty::Unknown),
            ([full.clone(), stored], Certainty::Unknown),
            ([full.clone(), forgotten.clone()], Certainty::Unknown),
            ([forgotten, full.clone()], Certainty::Unknown),
            ([full.clone(), full], Certainty::NotDone),
        ] {
            let parts = (0..).zip(results).map(|(partition, result): (u32, Result<_, Refusal>)| {
                let result = result.map_err(Error::from);
                StoredPart { partition, indices: vec![usize::try_from(partition).unwrap()], result }
            });
            assert_eq!(collect(2, parts.collect()).unwrap_err().certainty(), told);
        }
    }
}
