//! The broker over stores in memory. A life is a runtime of its own: dropping it is a kill, and the stores go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use settee::mq::control::{
    AckRef, Answered, Consume, CreateTopic, DeadLetterQuery, Delivery, MessageControl, Nack, NackClass, OutgoingMessage, Publish,
    Replay,
};
use settee::mq::{Place, ProducerRef};
use settee::rpc::Updates;
use settee_core::error::codes;
use settee_core::mq::{Cause, GroupPolicy, Record, partition_of};
use settee_core::port::{Append, Log, ReadLimit, StreamName};
use settee_core::{Error, env};
use settee_engines::memory::{AppendFault, KvFault, MemoryKv, MemoryLog};
use tokio::sync::Notify;

use super::{Broker, Config};
use crate::shard::Shards;

#[derive(Clone)]
struct Stores {
    kv: MemoryKv,
    log: MemoryLog,
}

impl Stores {
    fn new() -> Self {
        Self { kv: MemoryKv::new(), log: MemoryLog::new() }
    }

    async fn open(&self) -> Result<Broker, Error> {
        let shards = Shards::open(Arc::new(self.kv.clone())).await?;
        let config = Config { partitions: 2, group: GroupPolicy { max_attempts: 3, ..GroupPolicy::default() } };
        Broker::open(shards, Arc::new(self.kv.clone()), Arc::new(self.log.clone()), config).await
    }

    /// Runs `work` with a broker, then kills it.
    fn live<T>(&self, work: impl AsyncFnOnce(Broker) -> T) -> T {
        runtime().block_on(async { work(self.open().await.unwrap()).await })
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn message(sequence: u64, key: Option<&str>) -> OutgoingMessage {
    OutgoingMessage {
        id: format!("m{sequence}"),
        key: key.map(str::to_owned),
        headers: BTreeMap::new(),
        payload: "money".into(),
        sequence,
        not_before: None,
    }
}

async fn producer(broker: &Broker) -> ProducerRef {
    MessageControl::open_producer(broker, "account".to_owned()).await.unwrap()
}

async fn publish(broker: &Broker, producer: ProducerRef, messages: Vec<OutgoingMessage>) -> Result<Vec<Place>, Error> {
    let publish = Publish { topic: "transfers".to_owned(), producer, messages };
    Ok(MessageControl::publish(broker, publish).await?.places)
}

async fn consume(broker: &Broker, group: &str) -> Updates<Delivery> {
    let consume = Consume { topic: "transfers".to_owned(), group: group.to_owned(), credit: 8 };
    MessageControl::consume(broker, consume).await.unwrap()
}

async fn next(updates: &mut Updates<Delivery>) -> Delivery {
    updates.next().await.expect("the stream goes on").unwrap()
}

/// What arrives within an hour of virtual time.
async fn nothing_more(updates: &mut Updates<Delivery>) -> bool {
    tokio::time::timeout(Duration::from_secs(3_600), updates.next()).await.is_err()
}

fn answer_to(group: &str, delivery: &Delivery) -> AckRef {
    AckRef { topic: "transfers".to_owned(), group: group.to_owned(), place: delivery.place, token: delivery.token }
}

async fn ack(broker: &Broker, group: &str, delivery: &Delivery) -> Answered {
    broker.ack(vec![answer_to(group, delivery)]).await.unwrap()
}

async fn reject(broker: &Broker, group: &str, delivery: &Delivery) -> Answered {
    let nack = Nack { delivery: answer_to(group, delivery), cause: "no such account".to_owned(), class: NackClass::Reject };
    broker.nack(vec![nack]).await.unwrap()
}

/// The ids in each partition of the log, in order.
fn stored(log: &MemoryLog) -> Vec<Vec<String>> {
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

#[test]
fn what_is_published_is_delivered_and_what_is_acknowledged_never_again() {
    let stores = Stores::new();
    stores.live(async |broker| {
        let producer = producer(&broker).await;
        publish(&broker, producer, vec![message(1, Some("a")), message(2, Some("a")), message(3, None)]).await.unwrap();
        let mut updates = consume(&broker, "statement").await;
        let mut ids = BTreeSet::new();
        for _ in 0..3 {
            let delivery = next(&mut updates).await;
            ids.insert(delivery.id.clone());
            assert_eq!(ack(&broker, "statement", &delivery).await, Answered { accepted: 1, stale: 0 });
            assert_eq!(ack(&broker, "statement", &delivery).await, Answered { accepted: 0, stale: 1 });
        }
        assert_eq!(ids.len(), 3);
        assert!(nothing_more(&mut updates).await);
    });
    stores.live(async |broker| {
        assert!(nothing_more(&mut consume(&broker, "statement").await).await);
        assert_eq!(next(&mut consume(&broker, "audit").await).await.attempt, 1, "another group starts with the oldest");
    });
}

#[test]
fn a_repeat_is_answered_with_the_first_place_also_after_a_restart() {
    let stores = Stores::new();
    let send = async |broker: &Broker, producer| publish(broker, producer, vec![message(1, Some("a")), message(2, None)]).await;
    let (sender, first) = stores.live(async |broker| {
        let sender = producer(&broker).await;
        let first = send(&broker, sender).await.unwrap();
        assert_eq!(send(&broker, sender).await.unwrap(), first);
        (sender, first)
    });
    stores.live(async |broker| assert_eq!(send(&broker, sender).await.unwrap(), first));
    assert_eq!(stored(&stores.log).concat().len(), 2);
}

#[test]
fn a_newer_life_of_a_producer_fences_the_older_also_after_a_restart() {
    let stores = Stores::new();
    let older = stores.live(async |broker| {
        let older = producer(&broker).await;
        assert_eq!(producer(&broker).await, ProducerRef { epoch: older.epoch + 1, ..older });
        older
    });
    stores.live(async |broker| {
        let error = publish(&broker, older, vec![message(1, None)]).await.unwrap_err();
        assert_eq!(error.code(), &codes::PRODUCER_FENCED);
        let stranger = ProducerRef { id: older.id + 1, epoch: 1 };
        assert_eq!(publish(&broker, stranger, vec![message(1, None)]).await.unwrap_err().code(), &codes::PRODUCER_FENCED);
    });
}

#[test]
fn the_messages_of_a_consumer_that_goes_away_come_to_another_at_once() {
    Stores::new().live(async |broker| {
        let producer = producer(&broker).await;
        publish(&broker, producer, vec![message(1, Some("a")), message(2, Some("a"))]).await.unwrap();
        let mut lost = consume(&broker, "statement").await;
        assert_eq!(next(&mut lost).await.id, "m1");
        let mut other = consume(&broker, "statement").await;
        let started = settee_core::Instant::now();
        drop(lost);
        let again = next(&mut other).await;
        assert_eq!((again.id.as_str(), again.attempt), ("m1", 2));
        assert!(started.elapsed() < Duration::from_millis(10));
    });
}

#[test]
fn a_failed_message_comes_back_later_and_holds_back_its_key() {
    Stores::new().live(async |broker| {
        let producer = producer(&broker).await;
        publish(&broker, producer, vec![message(1, Some("a")), message(2, Some("a"))]).await.unwrap();
        let mut updates = consume(&broker, "statement").await;
        let first = next(&mut updates).await;
        let nack = Nack { delivery: answer_to("statement", &first), cause: "busy".to_owned(), class: NackClass::Retry };
        let started = settee_core::Instant::now();
        broker.nack(vec![nack]).await.unwrap();
        let again = next(&mut updates).await;
        assert_eq!((again.id.as_str(), again.attempt), ("m1", 2));
        assert!(started.elapsed() >= Duration::from_secs(1));
        ack(&broker, "statement", &again).await;
        assert_eq!(next(&mut updates).await.id, "m2");
    });
}

#[test]
fn a_dead_letter_keeps_its_cause_over_a_restart_and_replays_to_its_own_group_only() {
    let stores = Stores::new();
    let query = || DeadLetterQuery { topic: "transfers".to_owned(), group: "statement".to_owned(), after: None, limit: 10 };
    stores.live(async |broker| {
        let producer = producer(&broker).await;
        publish(&broker, producer, vec![message(1, Some("a")), message(2, Some("a"))]).await.unwrap();
        let mut updates = consume(&broker, "statement").await;
        reject(&broker, "statement", &next(&mut updates).await).await;
        let second = next(&mut updates).await;
        assert_eq!(second.id, "m2", "its key goes on");
        ack(&broker, "statement", &second).await;
        let mut audit = consume(&broker, "audit").await;
        for _ in 0..2 {
            ack(&broker, "audit", &next(&mut audit).await).await;
        }
    });
    stores.live(async |broker| {
        let letters = broker.dead_letters(query()).await.unwrap();
        let [letter] = &letters[..] else { panic!("one dead letter, not {letters:?}") };
        assert_eq!((letter.id.as_str(), letter.attempts), ("m1", 1));
        assert_eq!(letter.cause, Cause::Rejected("no such account".to_owned()));
        let replay = Replay { topic: "transfers".to_owned(), group: "statement".to_owned(), places: vec![letter.place; 2] };
        assert_eq!(broker.replay(replay).await.unwrap(), 1, "once");
        assert!(broker.dead_letters(query()).await.unwrap().is_empty());
        assert!(nothing_more(&mut consume(&broker, "audit").await).await);
    });
    stores.live(async |broker| {
        let mut updates = consume(&broker, "statement").await;
        let again = next(&mut updates).await;
        assert_eq!((again.id.as_str(), again.attempt), ("m1", 1));
        ack(&broker, "statement", &again).await;
        assert!(nothing_more(&mut updates).await);
    });
}

#[test]
fn a_message_that_ends_its_consumers_is_given_up_after_its_attempts() {
    Stores::new().live(async |broker| {
        let producer = producer(&broker).await;
        publish(&broker, producer, vec![message(1, None)]).await.unwrap();
        for attempt in 1..=3 {
            assert_eq!(next(&mut consume(&broker, "statement").await).await.attempt, attempt);
        }
        let mut updates = consume(&broker, "statement").await;
        assert!(nothing_more(&mut updates).await);
        let topics = broker.topics().await.unwrap();
        assert_eq!((topics[0].groups[0].dead, topics[0].groups[0].lag_messages), (1, 0));
    });
}

#[test]
fn a_paused_topic_takes_messages_and_delivers_none_until_it_is_resumed() {
    let stores = Stores::new();
    stores.live(async |broker| {
        broker.create_topic(CreateTopic { name: "transfers".to_owned(), partitions: None }).await.unwrap();
        assert!(broker.pause_topic("transfers".to_owned()).await.unwrap().paused);
        let producer = producer(&broker).await;
        publish(&broker, producer, vec![message(1, None)]).await.unwrap();
        assert!(nothing_more(&mut consume(&broker, "statement").await).await);
    });
    stores.live(async |broker| {
        let mut updates = consume(&broker, "statement").await;
        assert!(nothing_more(&mut updates).await, "the pause survives a restart");
        let view = broker.resume_topic("transfers".to_owned()).await.unwrap();
        assert_eq!((view.messages, view.groups[0].lag_messages, view.groups[0].consumers), (1, 1, 1));
        assert_eq!(next(&mut updates).await.id, "m1");
    });
}

#[test]
fn a_delayed_message_waits_and_lets_others_pass() {
    Stores::new().live(async |broker| {
        let producer = producer(&broker).await;
        let due = env::wall_clock().after(Duration::from_secs(60));
        let delayed = OutgoingMessage { not_before: Some(due), ..message(1, Some("a")) };
        publish(&broker, producer, vec![delayed, message(2, Some("a"))]).await.unwrap();
        let mut updates = consume(&broker, "statement").await;
        let started = settee_core::Instant::now();
        let first = next(&mut updates).await;
        assert_eq!(first.id, "m2");
        ack(&broker, "statement", &first).await;
        assert_eq!(next(&mut updates).await.id, "m1");
        assert!(started.elapsed() >= Duration::from_secs(59));
    });
}

#[test]
fn one_consumer_gets_no_more_than_its_credit_ahead() {
    Stores::new().live(async |broker| {
        let producer = producer(&broker).await;
        publish(&broker, producer, (1..=20).map(|sequence| message(sequence, None)).collect()).await.unwrap();
        let mut updates = consume(&broker, "statement").await;
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(next(&mut updates).await);
        }
        assert!(tokio::time::timeout(Duration::from_secs(20), updates.next()).await.is_err());
        ack(&broker, "statement", &held[0]).await;
        next(&mut updates).await;
    });
}

#[test]
fn a_group_that_has_read_more_than_the_log_holds_refuses_to_start() {
    let stores = Stores::new();
    stores.live(async |broker| {
        let producer = producer(&broker).await;
        publish(&broker, producer, vec![message(1, None)]).await.unwrap();
        let mut updates = consume(&broker, "statement").await;
        ack(&broker, "statement", &next(&mut updates).await).await;
    });
    let older = Stores { log: MemoryLog::new(), ..stores };
    let error = runtime().block_on(older.open()).map(drop).unwrap_err();
    assert_eq!(error.code(), &codes::STORE_DAMAGED);
}

/// A client of several lives: it knows what was answered to it, and repeats the rest.
#[derive(Default)]
struct Client {
    producer: Option<ProducerRef>,
    published: usize,
    acknowledged: BTreeSet<String>,
    /// Every delivery, in order.
    handled: Vec<String>,
}

const MESSAGES: u64 = 8;

fn key_of(sequence: u64) -> Option<&'static str> {
    [Some("a"), Some("b"), None][usize::try_from(sequence % 3).unwrap()]
}

impl Client {
    /// Publishes two at a time and acknowledges everything that comes, until all is done.
    async fn run(client: &Mutex<Self>, broker: &Broker) {
        futures::future::join(Self::send(client, broker), Self::receive(client, broker)).await;
    }

    async fn send(client: &Mutex<Self>, broker: &Broker) {
        let known = client.lock().producer;
        let producer = match known {
            Some(producer) => producer,
            None => producer(broker).await,
        };
        client.lock().producer = Some(producer);
        let all: Vec<_> = (1..=MESSAGES).map(|sequence| message(sequence, key_of(sequence))).collect();
        let published = client.lock().published;
        for (index, pair) in all.chunks(2).enumerate().skip(published) {
            while publish(broker, producer, pair.to_vec()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            client.lock().published = index + 1;
        }
    }

    async fn receive(client: &Mutex<Self>, broker: &Broker) {
        let mut updates = consume(broker, "statement").await;
        while client.lock().acknowledged.len() < usize::try_from(MESSAGES).unwrap() {
            // A message whose acknowledgement took effect without an answer does not come again.
            let Ok(delivery) = tokio::time::timeout(Duration::from_secs(3_600), next(&mut updates)).await else { break };
            client.lock().handle(&delivery);
            if ack(broker, "statement", &delivery).await.accepted == 1 {
                client.lock().acknowledged.insert(delivery.id);
            }
        }
    }

    fn handle(&mut self, delivery: &Delivery) {
        assert!(!self.acknowledged.contains(&delivery.id), "{} was acknowledged and came again", delivery.id);
        let key = delivery.key.as_deref();
        let earlier =
            (1..=MESSAGES).filter(|sequence| key.is_some() && key_of(*sequence) == key).map(|sequence| format!("m{sequence}"));
        let undone = earlier.take_while(|id| *id != delivery.id).find(|id| !self.handled.contains(id));
        assert_eq!(undone, None, "{} overtook one of its key", delivery.id);
        self.handled.push(delivery.id.clone());
    }
}

fn assert_stored_once_and_in_order(log: &MemoryLog) {
    let place = |sequence: &u64| partition_of(key_of(*sequence), &format!("m{sequence}"), 2);
    for (index, ids) in (0..).zip(stored(log)) {
        let expected: Vec<_> =
            (1..=MESSAGES).filter(|sequence| place(sequence) == index).map(|sequence| format!("m{sequence}")).collect();
        let keyed = |ids: &[String], key: Option<&str>| -> Vec<String> {
            ids.iter().filter(|id| key_of(id[1..].parse().unwrap()) == key).cloned().collect()
        };
        for key in [Some("a"), Some("b")] {
            assert_eq!(keyed(&ids, key), keyed(&expected, key), "in order, each once");
        }
        let (found, wanted): (BTreeSet<_>, BTreeSet<_>) = (ids.iter().collect(), expected.iter().collect());
        assert_eq!((found, ids.len()), (wanted, expected.len()), "each once");
    }
}

/// Kills the process at one of the calls to its stores, once it has started: before the call takes effect, or just after it.
#[test]
fn killed_at_any_call_nothing_acknowledged_is_lost_doubled_or_misordered() {
    let mut at = 0;
    while kill_at(at, false).max(kill_at(at, true)) > at {
        at += 1;
    }
    assert!(at > 12, "the scenario has more calls than {at}");
}

/// How many calls the first life made.
fn kill_at(at: u32, after: bool) -> u32 {
    let (count, kill) = (Arc::new(AtomicU32::new(NOT_STARTED)), Arc::new(Notify::new()));
    let is_now = {
        let (count, kill) = (count.clone(), kill.clone());
        move || {
            let is_started = count.load(Ordering::Relaxed) < NOT_STARTED;
            let is_now = is_started && count.fetch_add(1, Ordering::Relaxed) == at;
            is_now.then(|| kill.notify_one()).is_some()
        }
    };
    let in_log = is_now.clone();
    let log = MemoryLog::with_faults(move |_: &Append| {
        in_log().then_some(if after { AppendFault::SilentAfter } else { AppendFault::SilentBefore })
    });
    // A commit that is done and then unknown is asked for again by its lane: too late, as the process dies first.
    let fault = if after { KvFault::DoneUnknown } else { KvFault::Delayed(Duration::from_secs(3_600)) };
    let kv = MemoryKv::new().with_faults(Arc::new(move || if is_now() { fault } else { KvFault::None }));
    let stores = Stores { kv, log };
    let client = Mutex::new(Client::default());
    stores.live(async |broker| {
        count.store(0, Ordering::Relaxed);
        tokio::select! {
            biased;
            () = kill.notified() => {}
            () = Client::run(&client, &broker) => {}
        }
    });
    let calls = count.swap(NOT_STARTED, Ordering::Relaxed);
    stores.live(async |broker| Client::run(&client, &broker).await);
    assert_eq!(client.lock().handled.iter().collect::<BTreeSet<_>>().len(), usize::try_from(MESSAGES).unwrap());
    stores.live(async |broker| assert!(nothing_more(&mut consume(&broker, "statement").await).await));
    assert_stored_once_and_in_order(&stores.log);
    calls
}

const NOT_STARTED: u32 = u32::MAX / 2;

#[test]
fn appends_that_fail_or_leave_no_answer_never_double_or_lose_a_message() {
    use AppendFault::{Refused, SilentAfter, SilentBefore, UnknownAfter, UnknownBefore};
    for seed in 1..=40 {
        let state = Mutex::new(seed);
        let log = MemoryLog::with_faults(move |_: &Append| {
            let mut state = state.lock();
            *state = settee_core::id::fnv1a(&u64::to_be_bytes(*state));
            let faults = [Refused, UnknownBefore, UnknownAfter, SilentBefore, SilentAfter];
            faults.get(usize::try_from(*state >> 40).unwrap() % 12).copied()
        });
        let stores = Stores { kv: MemoryKv::new(), log };
        let client = Mutex::new(Client::default());
        stores.live(async |broker| Client::run(&client, &broker).await);
        assert_stored_once_and_in_order(&stores.log);
    }
}
