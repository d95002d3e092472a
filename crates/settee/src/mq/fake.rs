//! A broker for the tests of this module: it stores by (producer, sequence), fails as planned, and records what it is told. It is
//! in process, so it refuses by itself what no frame could bring to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use settee_wire::bolt::Limits;

use super::Messages;
use super::control::{
    AckRef, Answered, Consume, CreateTopic, DeadLetter, DeadLetterQuery, Delivery, MessageControl, MessageControlClient, Nack,
    PartitionView, Place, ProducerRef, Publish, Published, Replay, TopicView,
};
use crate::rpc::{Encoding, Page, Reply, UpdateSender, Updates, expand, updates};
use crate::trace::Tracer;

/// What happens to one publish request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Planned {
    /// It is not done, and the caller does not learn that.
    Lost,
    /// It is done, and the caller does not learn that.
    AnswerLost,
    /// It is refused as fenced.
    Fenced,
    /// It is refused, and certainly not done: there is no room.
    Full,
}

#[derive(Clone, Default)]
pub(super) struct FakeBroker(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    pub(super) plan: VecDeque<Planned>,
    /// Publications wait until it is not.
    pub(super) is_silent: bool,
    /// Topics for which there is no room.
    pub(super) full: BTreeSet<String>,
    pub(super) epochs: u64,
    /// The ids in the order in which they were stored.
    pub(super) stored: Vec<String>,
    pub(super) publishes: Vec<Publish>,
    places: BTreeMap<(Life, u64), Place>,
    pub(super) consumers: Vec<UpdateSender<Delivery>>,
    pub(super) acks: Vec<AckRef>,
    pub(super) nacks: Vec<Nack>,
}

/// A producer and its epoch.
type Life = (u64, u64);

impl FakeBroker {
    pub(super) fn messages(&self) -> Messages {
        Messages::new(MessageControlClient::in_process(Arc::new(self.clone())), Tracer::off())
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock())
    }

    /// Waits until the state is as `wanted`; virtual time passes meanwhile.
    pub(super) async fn until(&self, wanted: impl Fn(&State) -> bool) {
        while !wanted(&self.0.lock()) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

impl State {
    fn store(&mut self, publish: &Publish) -> Vec<Place> {
        publish
            .messages
            .iter()
            .map(|message| {
                let mark = ((publish.producer.id, publish.producer.epoch), message.sequence);
                let next = Place { partition: 0, offset: u64::try_from(self.stored.len()).unwrap() };
                if !self.places.contains_key(&mark) {
                    self.stored.push(message.id.clone());
                }
                *self.places.entry(mark).or_insert(next)
            })
            .collect()
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, "publish").unknown()
}

impl MessageControl for FakeBroker {
    async fn create_topic(&self, _: CreateTopic) -> Reply<TopicView> {
        unreachable!("not asked for in these tests")
    }

    async fn open_producer(&self, _: String) -> Reply<ProducerRef> {
        let mut state = self.0.lock();
        state.epochs += 1;
        Ok(ProducerRef { id: 1, epoch: state.epochs })
    }

    async fn publish(&self, publish: Publish) -> Reply<Published> {
        if expand::encode(Encoding::MessagePack, &publish)?.len() > Limits::default().content_bytes {
            return Err(Error::new(ErrorKind::Invalid, codes::TOO_LARGE, "publish").into());
        }
        self.until(|state| !state.is_silent).await;
        let mut state = self.0.lock();
        let full = state.full.contains(&publish.topic).then_some(Planned::Full);
        let planned = full.or_else(|| state.plan.pop_front());
        state.publishes.push(publish.clone());
        match planned {
            None => Ok(Published { places: state.store(&publish) }),
            Some(Planned::Lost) => Err(lost())?,
            Some(Planned::AnswerLost) => {
                state.store(&publish);
                Err(lost())?
            }
            Some(Planned::Full) => Err(Error::new(ErrorKind::Full, codes::STORE_FULL, "publish"))?,
            Some(Planned::Fenced) => Err(Error::new(ErrorKind::Conflict, codes::PRODUCER_FENCED, "publish"))?,
        }
    }

    async fn consume(&self, consume: Consume) -> Reply<Updates<Delivery>> {
        let (sender, updates) = updates(usize::try_from(consume.credit).unwrap());
        self.0.lock().consumers.push(sender);
        Ok(updates)
    }

    async fn ack(&self, deliveries: Vec<AckRef>) -> Reply<Answered> {
        self.0.lock().acks.extend(deliveries);
        Ok(Answered::default())
    }

    async fn nack(&self, failures: Vec<Nack>) -> Reply<Answered> {
        self.0.lock().nacks.extend(failures);
        Ok(Answered::default())
    }

    async fn topic_page(&self, _: Option<String>) -> Reply<Page<TopicView>> {
        unreachable!("not asked for in these tests")
    }

    async fn partitions(&self, _: String) -> Reply<Vec<PartitionView>> {
        Ok(Vec::new())
    }

    async fn pause_topic(&self, _: String) -> Reply<TopicView> {
        unreachable!("not asked for in these tests")
    }

    async fn resume_topic(&self, _: String) -> Reply<TopicView> {
        unreachable!("not asked for in these tests")
    }

    async fn dead_letters(&self, _: DeadLetterQuery) -> Reply<Vec<DeadLetter>> {
        Ok(Vec::new())
    }

    async fn replay(&self, _: Replay) -> Reply<u32> {
        Ok(0)
    }
}
