//! The broker as the service that `settee` knows.

use std::time::Duration;

use settee::mq::control::{
    AckRef, Answered, Consume, CreateTopic, DeadLetter, DeadLetterQuery, Delivery, MessageControl, Nack, PartitionView,
    ProducerRef, Publish, Published, Replay, TopicView,
};
use settee::rpc::{Page, Reply, Updates};
use settee_core::{Error, env};

use super::broker::Broker;
use super::topic::Topic;
use super::view;
use crate::page::PageFilling;

/// The most that is added to a backoff, so that failures together do not come back together.
const JITTER: Duration = Duration::from_millis(250);

impl MessageControl for Broker {
    async fn create_topic(&self, topic: CreateTopic) -> Reply<TopicView> {
        Ok(view::topic(&*self.topic_or_new(topic).await?).await?)
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
        let answers = deliveries.into_iter().map(|delivery| (delivery.clone(), delivery.event()));
        Ok(self.answer(answers.collect()).await?)
    }

    async fn nack(&self, failures: Vec<Nack>) -> Reply<Answered> {
        let answers = failures.into_iter().map(|failure| (failure.delivery.clone(), failure.event(env::random_duration(JITTER))));
        Ok(self.answer(answers.collect()).await?)
    }

    async fn topic_page(&self, after: Option<String>) -> Reply<Page<TopicView>> {
        let mut filling = PageFilling::new();
        for topic in self.topics_behind(after) {
            let view = view::topic(&topic).await?;
            if !filling.takes(view.name.clone(), view) {
                break;
            }
        }
        Ok(filling.page())
    }

    async fn partitions(&self, topic: String) -> Reply<Vec<PartitionView>> {
        Ok(view::partitions(&*self.topic(&topic)?).await?)
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

async fn pause(topic: &Topic, paused: bool) -> Result<TopicView, Error> {
    topic.pause(paused).committed().await?;
    view::topic(topic).await
}
