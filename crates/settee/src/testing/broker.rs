//! The broker of a system: topics in memory, behind the calls of `settee.Messages`.
//!
//! As in production a topic exists from its first use, and consumers that go away lose what they held. Unlike there, every topic
//! has one partition, failures together come back together, one consumer of a group may get everything, and nobody pauses or
//! replays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::{Offset, fnv1a};
use settee_core::mq::group::Event;
use settee_core::mq::name::{check_group, check_producer, check_topic};
use settee_core::mq::partition::Refusal;
use settee_core::{Error, Instant, env};
use tokio::sync::Notify;

use super::group::{Consumer, TopicGroup, place};
use super::log::MemoryLog;
use super::not_in_a_test;
use crate::mq::ProducerRef;
use crate::mq::control::{
    AckRef, Answered, Consume, CreateTopic, DeadLetter, DeadLetterQuery, Delivery, MAX_PUBLISH, MessageControl, Nack,
    PartitionView, Publish, Published, Replay, TopicView,
};
use crate::rpc::{Page, Reply, Updates, updates};

/// The broker of a system. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Broker(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// A timer of a group may have come nearer.
    sooner: Notify,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<String, Topic>,
    /// The epoch of each producer.
    epochs: BTreeMap<u64, u64>,
    consumers: u64,
}

#[derive(Default)]
struct Topic {
    log: MemoryLog,
    groups: BTreeMap<String, TopicGroup>,
}

impl Topic {
    fn deliver(&mut self) {
        self.groups.values_mut().for_each(|group| group.deliver(self.log.stored()));
    }

    fn next_timer(&self) -> Option<Instant> {
        self.groups.values().filter_map(TopicGroup::next_timer).min()
    }

    fn group(&mut self, name: &str) -> &mut TopicGroup {
        self.groups.entry(name.to_owned()).or_default()
    }
}

impl Broker {
    /// Delivers what time alone makes deliverable. The system runs it as a task of its own.
    pub(super) async fn keep_time(self) {
        loop {
            let next = self.0.state.lock().topics.values().filter_map(Topic::next_timer).min();
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.0.sooner.notified() => {}
                () = due => self.0.state.lock().topics.values_mut().for_each(Topic::deliver),
            }
        }
    }

    /// How many messages are stored in all topics.
    pub(super) fn count(&self) -> usize {
        self.0.state.lock().topics.values().map(|topic| topic.log.stored().len()).sum()
    }

    /// What groups have not done, for people; empty when everything is done or dead.
    pub(super) fn undone(&self) -> Vec<String> {
        let state = self.0.state.lock();
        let groups = state.topics.iter().flat_map(|(name, topic)| topic.groups.iter().map(move |group| (name, topic, group)));
        let undone = groups.map(|(name, topic, (group, rule))| (name, group, rule.undone(topic.log.stored().len())));
        undone
            .filter(|(.., count)| *count > 0)
            .map(|(name, group, count)| format!("{count} messages of {name} at {group}"))
            .collect()
    }

    /// Changes a topic, made if it is new, and delivers what that makes deliverable.
    fn change<T>(&self, topic: &str, change: impl FnOnce(&mut Topic) -> T) -> Result<T, Error> {
        check_topic(topic)?;
        let mut state = self.0.state.lock();
        let topic = state.topics.entry(topic.to_owned()).or_default();
        let changed = change(topic);
        topic.deliver();
        self.0.sooner.notify_one();
        Ok(changed)
    }

    fn answer(&self, answers: Vec<(AckRef, Event)>) -> Result<Answered, Error> {
        let mut all = Answered::default();
        for (AckRef { topic, group, place, .. }, event) in answers {
            let answer = |topic: &mut Topic| {
                let Topic { log, groups } = topic;
                groups.get_mut(&group).is_some_and(|group| group.answer(Offset(place.offset), event, log.stored()))
            };
            match self.change(&topic, answer)? {
                true => all.accepted += 1,
                false => all.stale += 1,
            }
        }
        Ok(all)
    }

    async fn leave_when_closed(self, topic: String, group: String, id: u64, closed: impl Future<Output = ()>) {
        closed.await;
        let leave = |topic: &mut Topic| {
            let Topic { log, groups } = topic;
            groups.entry(group).or_default().leave(id, log.stored());
        };
        let _its_name_was_checked = self.change(&topic, leave);
    }
}

impl MessageControl for Broker {
    async fn create_topic(&self, topic: CreateTopic) -> Reply<TopicView> {
        Err(not_in_a_test(&format!("create topic {} before its first use", topic.name)).into())
    }

    async fn open_producer(&self, name: String) -> Reply<ProducerRef> {
        check_producer(&name)?;
        let id = fnv1a(name.as_bytes());
        let mut state = self.0.state.lock();
        let epoch = state.epochs.entry(id).or_default();
        *epoch += 1;
        Ok(ProducerRef { id, epoch: *epoch })
    }

    async fn publish(&self, publish: Publish) -> Reply<Published> {
        let Publish { topic, producer, messages } = publish;
        if messages.len() > MAX_PUBLISH {
            let message = format!("publish: {} messages are over the limit of {MAX_PUBLISH}", messages.len());
            return Err(Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, message).into());
        }
        if self.0.state.lock().epochs.get(&producer.id) != Some(&producer.epoch) {
            return Err(Error::from(Refusal::Fenced).into());
        }
        let now = env::wall_clock();
        let submissions = messages.into_iter().map(|message| message.submission(producer, now)).collect::<Result<_, _>>()?;
        let offsets = self.change(&topic, |topic| topic.log.publish(submissions))?.map_err(Error::from)?;
        Ok(Published { places: offsets.into_iter().map(place).collect() })
    }

    async fn consume(&self, consume: Consume) -> Reply<Updates<Delivery>> {
        let Consume { topic, group, credit } = consume;
        check_group(&group)?;
        let credit = usize::try_from(credit).unwrap_or(usize::MAX).max(1);
        let (sender, updates) = updates(credit);
        let id = {
            let mut state = self.0.state.lock();
            state.consumers += 1;
            state.consumers
        };
        let closed = sender.clone();
        self.change(&topic, |topic| topic.group(&group).join(Consumer { id, sender, credit }))?;
        env::spawn(self.clone().leave_when_closed(topic, group, id, async move { closed.closed().await }));
        Ok(updates)
    }

    async fn ack(&self, deliveries: Vec<AckRef>) -> Reply<Answered> {
        let answers = deliveries.into_iter().map(|delivery| (delivery.clone(), delivery.event()));
        Ok(self.answer(answers.collect())?)
    }

    async fn nack(&self, failures: Vec<Nack>) -> Reply<Answered> {
        let answers = failures.into_iter().map(|failure| (failure.delivery.clone(), failure.event(Duration::ZERO)));
        Ok(self.answer(answers.collect())?)
    }

    async fn topic_page(&self, _: Option<String>) -> Reply<Page<TopicView>> {
        Err(not_in_a_test("list topics").into())
    }

    async fn partitions(&self, topic: String) -> Reply<Vec<PartitionView>> {
        Err(not_in_a_test(&format!("list the partitions of {topic}")).into())
    }

    async fn pause_topic(&self, name: String) -> Reply<TopicView> {
        Err(not_in_a_test(&format!("pause topic {name}")).into())
    }

    async fn resume_topic(&self, name: String) -> Reply<TopicView> {
        Err(not_in_a_test(&format!("resume topic {name}")).into())
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Reply<Vec<DeadLetter>> {
        let state = self.0.state.lock();
        let group = state.topics.get(&query.topic).and_then(|topic| topic.groups.get(&query.group));
        let dead = group.into_iter().flat_map(TopicGroup::dead_letters);
        let behind = dead.filter(|letter| query.after.is_none_or(|after| letter.place > after));
        Ok(behind.take(usize::try_from(query.limit).unwrap_or(usize::MAX)).cloned().collect())
    }

    async fn replay(&self, replay: Replay) -> Reply<u32> {
        Err(not_in_a_test(&format!("replay dead letters of {}", replay.topic)).into())
    }
}
