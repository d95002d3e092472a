//! The broker as the service that `settee` knows.

use std::sync::Arc;
use std::time::Duration;

use settee::mq::control::{
    AckRef, Answered, Consume, CreateTopic, DeadLetter, DeadLetterQuery, Delivery, GroupView, MAX_CAUSE_BYTES, MessageControl,
    Nack, NackClass, ProducerRef, Publish, Published, Replay, TopicView,
};
use settee::rpc::{Reply, Updates};
use settee_core::id::Offset;
use settee_core::mq::Cause;
use settee_core::mq::group::Event;
use settee_core::{Error, Timestamp, env};

use super::broker::Broker;
use super::group::{GroupOwner, ack};
use super::topic::{GroupOfTopic, Topic};

/// The most that is added to a backoff, so that failures together do not come back together.
const JITTER: Duration = Duration::from_millis(250);

impl MessageControl for Broker {
    async fn create_topic(&self, topic: CreateTopic) -> Reply<TopicView> {
        Ok(view(&*self.topic_or_new(topic).await?).await?)
    }

    async fn open_producer(&self, name: String) -> Reply<ProducerRef> {
        Ok(Broker::open_producer(self, &name).await?)
    }

    async fn publish(&self, publish: Publish) -> Reply<Published> {
        Ok(Published { places: Broker::publish(self, publish).await? })
    }

    async fn consume(&self, consume: Consume) -> Reply<Updates<Delivery>> {
        Ok(Broker::consume(self, consume).await?)
    }

    async fn ack(&self, deliveries: Vec<AckRef>) -> Reply<Answered> {
        let answers = deliveries.into_iter().map(|delivery| (delivery.clone(), ack(&delivery)));
        Ok(self.answer(answers.collect()).await?)
    }

    async fn nack(&self, failures: Vec<Nack>) -> Reply<Answered> {
        let answers = failures.into_iter().map(|failure| (failure.delivery.clone(), nack(failure)));
        Ok(self.answer(answers.collect()).await?)
    }

    async fn topics(&self) -> Reply<Vec<TopicView>> {
        let mut views = Vec::new();
        for topic in self.all_topics() {
            views.push(view(&topic).await?);
        }
        Ok(views)
    }

    async fn pause_topic(&self, name: String) -> Reply<TopicView> {
        Ok(pause(&*self.topic(&name)?, true).await?)
    }

    async fn resume_topic(&self, name: String) -> Reply<TopicView> {
        Ok(pause(&*self.topic(&name)?, false).await?)
    }

    async fn dead_letters(&self, query: DeadLetterQuery) -> Reply<Vec<DeadLetter>> {
        Ok(Broker::dead_letters(self, query).await?)
    }

    async fn replay(&self, replay: Replay) -> Reply<u32> {
        Ok(Broker::replay(self, replay).await?)
    }
}

fn nack(failure: Nack) -> Event {
    let Nack { delivery, mut cause, class } = failure;
    cause.truncate(cause.floor_char_boundary(MAX_CAUSE_BYTES));
    let cause = match class {
        NackClass::Retry => Cause::Failed(cause),
        NackClass::Reject => Cause::Rejected(cause),
    };
    let micros = env::random_below(usize::try_from(JITTER.as_micros()).unwrap_or(1));
    let jitter = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
    Event::Nack { offset: Offset(delivery.place.offset), delivery: delivery.token, cause, jitter }
}

async fn pause(topic: &Topic, paused: bool) -> Result<TopicView, Error> {
    topic.pause(paused).committed().await?;
    view(topic).await
}

async fn view(topic: &Topic) -> Result<TopicView, Error> {
    let record = topic.record();
    let mut groups = Vec::new();
    for (name, group) in topic.groups() {
        groups.push(group_view(name, &group).await?);
    }
    let parked = topic.partitions.iter().filter(|partition| partition.is_parked()).count();
    Ok(TopicView {
        name: record.name,
        partitions: record.partitions,
        paused: record.paused,
        messages: topic.partitions.iter().map(|partition| partition.next().0).sum(),
        parked: u32::try_from(parked).unwrap_or(u32::MAX),
        groups,
    })
}

async fn group_view(name: String, group: &Arc<GroupOfTopic>) -> Result<GroupView, Error> {
    let consumers = u32::try_from(group.members.consumers().len()).unwrap_or(u32::MAX);
    let (mut lag_messages, mut open, mut dead, mut oldest) = (0, 0, 0, None::<Timestamp>);
    for owner in &group.owners {
        let (standing, ticket) = owner.standing();
        ticket.committed().await?;
        let unread = owner.partition.next().0.saturating_sub(standing.next.0);
        lag_messages += unread + count(standing.open);
        open += count(standing.open);
        dead += count(standing.dead);
        let published = match standing.oldest {
            None if unread > 0 => published_at(owner, standing.position).await?,
            read_ahead => read_ahead,
        };
        oldest = [oldest, published].into_iter().flatten().min();
    }
    let lag = oldest.map_or(Duration::ZERO, |oldest| env::wall_clock().since(oldest));
    let lag_ms = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
    Ok(GroupView { name, consumers, lag_messages, lag_ms, open, dead })
}

/// When the first message from `position` on was published. Barriers before it are few.
async fn published_at(owner: &GroupOwner, position: Offset) -> Result<Option<Timestamp>, Error> {
    let limit = settee_core::port::ReadLimit { records: 16, bytes: 64 << 10 };
    let records = owner.partition.read(position, limit).await?;
    Ok(records.iter().find_map(|(_, record)| record.message().map(|stored| stored.message.published)))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
