//! Lives of a broker over stores in memory, for its tests. A life is a runtime of its own: dropping it is a kill, and the
//! stores go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use settee::mq::control::{AckRef, Answered, Consume, Delivery, MessageControl, Nack, NackClass, OutgoingMessage, Publish};
use settee::mq::{Place, ProducerRef};
use settee::rpc::Updates;
use settee_core::Error;
use settee_core::mq::{GroupPolicy, Record};
use settee_core::port::{Log, ReadLimit, StreamName};
use settee_engines::memory::{MemoryKv, MemoryLog};

use super::{Broker, Config};
use crate::shard::Shards;

#[derive(Clone)]
pub(super) struct Stores {
    pub(super) kv: MemoryKv,
    pub(super) log: MemoryLog,
}

impl Stores {
    pub(super) fn new() -> Self {
        Self { kv: MemoryKv::new(), log: MemoryLog::new() }
    }

    pub(super) async fn open(&self) -> Result<Broker, Error> {
        let shards = Shards::open(Arc::new(self.kv.clone())).await?;
        let config = Config { partitions: 2, group: GroupPolicy { max_attempts: 3, ..GroupPolicy::default() } };
        Broker::open(shards, Arc::new(self.kv.clone()), Arc::new(self.log.clone()), config).await
    }

    /// Runs `work` with a broker, then kills it.
    pub(super) fn live<T>(&self, work: impl AsyncFnOnce(Broker) -> T) -> T {
        runtime().block_on(async { work(self.open().await.unwrap()).await })
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

pub(super) fn message(sequence: u64, key: Option<&str>) -> OutgoingMessage {
    OutgoingMessage {
        id: format!("m{sequence}"),
        key: key.map(str::to_owned),
        headers: BTreeMap::new(),
        payload: "money".into(),
        sequence,
        not_before: None,
    }
}

pub(super) async fn producer(broker: &Broker) -> ProducerRef {
    MessageControl::open_producer(broker, "account".to_owned()).await.unwrap()
}

pub(super) async fn publish(broker: &Broker, producer: ProducerRef, messages: Vec<OutgoingMessage>) -> Result<Vec<Place>, Error> {
    let publish = Publish { topic: "transfers".to_owned(), producer, messages };
    Ok(MessageControl::publish(broker, publish).await?.places)
}

pub(super) async fn consume(broker: &Broker, group: &str) -> Updates<Delivery> {
    let consume = Consume { topic: "transfers".to_owned(), group: group.to_owned(), credit: 8 };
    MessageControl::consume(broker, consume).await.unwrap()
}

pub(super) async fn next(updates: &mut Updates<Delivery>) -> Delivery {
    updates.next().await.expect("the stream goes on").unwrap()
}

/// What arrives within an hour of virtual time.
pub(super) async fn nothing_more(updates: &mut Updates<Delivery>) -> bool {
    tokio::time::timeout(Duration::from_secs(3_600), updates.next()).await.is_err()
}

pub(super) fn answer_to(group: &str, delivery: &Delivery) -> AckRef {
    AckRef { topic: "transfers".to_owned(), group: group.to_owned(), place: delivery.place, token: delivery.token }
}

pub(super) async fn ack(broker: &Broker, group: &str, delivery: &Delivery) -> Answered {
    broker.ack(vec![answer_to(group, delivery)]).await.unwrap()
}

pub(super) async fn reject(broker: &Broker, group: &str, delivery: &Delivery) -> Answered {
    let nack = Nack { delivery: answer_to(group, delivery), cause: "no such account".to_owned(), class: NackClass::Reject };
    broker.nack(vec![nack]).await.unwrap()
}

/// The ids in each partition of the log, in order.
pub(super) fn stored(log: &MemoryLog) -> Vec<Vec<String>> {
    runtime().block_on(async {
        let mut partitions = Vec::new();
        for index in 0..2 {
            let stream = StreamName::new(&format!("mq/transfers/{index}")).unwrap();
            let limit = ReadLimit { records: 10_000, bytes: 1 << 30 };
            let records = log.read(&stream, settee_core::id::Offset(0), limit).await.unwrap();
            let records = records.iter().map(|record| Record::decode(&record.payload).unwrap());
            partitions.push(records.filter_map(|record| record.message().map(|stored| stored.message.id.clone())).collect());
        }
        partitions
    })
}
