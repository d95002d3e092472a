//! Kills at every call to the stores, and a log that fails: whatever happens, each message is stored once and in order, comes at
//! least once, and never again after its acknowledgement was answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use settee::mq::ProducerRef;
use settee::mq::control::Delivery;
use settee_core::mq::partition_of;
use settee_core::port::Append;
use settee_core::{Certainty, ErrorKind};
use settee_engines::memory::{AppendFault, KvFault, MemoryKv, MemoryLog};
use tokio::sync::Notify;

use super::Broker;
use super::lives::{Stores, ack, consume, message, next, nothing_more, producer, publish, stored};

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

/// A publication of one message of key `a`.
async fn send(broker: &Broker, producer: ProducerRef, sequence: u64) -> Certainty {
    match publish(broker, producer, vec![message(sequence, Some("a"))]).await {
        Ok(_) => Certainty::Done,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
            error.certainty()
        }
    }
}

#[test]
fn a_log_that_stops_leaves_no_publication_waiting_and_refuses_new_ones_at_once() {
    let fails = Arc::new(AtomicU32::new(0));
    let is_failing = fails.clone();
    let log =
        MemoryLog::with_faults(move |_: &Append| (is_failing.load(Ordering::Relaxed) > 0).then_some(AppendFault::SyncFailed));
    let stores = Stores { kv: MemoryKv::new(), log };
    stores.live(async |broker| {
        let producer = producer(&broker).await;
        assert_eq!(send(&broker, producer, 1).await, Certainty::Done);
        fails.store(1, Ordering::Relaxed);
        stores.log.set_silent(true);
        let waiting = async { futures::join!(send(&broker, producer, 2), send(&broker, producer, 3)) };
        let speaks = async { stores.log.set_silent(false) };
        let (told, ()) = within_seconds(futures::future::join(waiting, speaks)).await;
        assert_eq!(told, (Certainty::Unknown, Certainty::NotDone), "the second was never sent to the log");
        assert_eq!(within_seconds(send(&broker, producer, 4)).await, Certainty::NotDone);
    });
}

#[test]
fn a_broker_that_loses_its_shards_leaves_no_publication_waiting() {
    let stores = Stores::new();
    stores.live(async |broker| {
        let producer = producer(&broker).await;
        assert_eq!(send(&broker, producer, 1).await, Certainty::Done);
        stores.log.set_silent(true);
        let waiting = async { futures::join!(send(&broker, producer, 2), send(&broker, producer, 3)) };
        let loses = async { broker.0.stores.shards.lose() };
        let (told, ()) = within_seconds(futures::future::join(waiting, loses)).await;
        assert_eq!(told, (Certainty::Unknown, Certainty::NotDone), "the second was never sent to the log");
        assert_eq!(within_seconds(send(&broker, producer, 4)).await, Certainty::NotDone);
    });
}

async fn within_seconds<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), work).await.expect("an answer, whatever it is")
}
