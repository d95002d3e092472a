//! Messages: each that was answered lies where the answer said, and no place is given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use settee::mq::{Consumer, ConsumerOptions, Message, MessageControl, Messages as Broker, Outgoing, Place, Producer};
use settee::{Reply, Result};
use tokio::sync::watch;

use super::verdict::Wrong;
use crate::patiently;

/// Cycles that share a topic. Each reads it from its beginning, as a group of its own: many would read long, and a topic has 64
/// groups at most.
const CYCLES_OF_A_TOPIC: u64 = 32;

/// Enough for two messages to meet in one and for two not to.
const PARTITIONS: u32 = 2;

/// How long a reader waits for the next message before it counts what it does not have as lost.
const SILENCE: Duration = Duration::from_secs(20);

/// The messages of one run. Cheap to clone.
#[derive(Clone)]
pub(super) struct Messages(Arc<Inner>);

struct Inner {
    broker: Broker,
    producer: Producer,
    number: AtomicU64,
    cycle: AtomicU64,
    noted: Mutex<BTreeMap<String, Topic>>,
}

/// Messages of a topic that were answered: where each lies.
#[derive(Clone, Debug, Default)]
struct Topic {
    answered: BTreeMap<Place, String>,
    doubled: Vec<Wrong>,
    /// Whether something came since the last check.
    is_fresh: bool,
}

impl Messages {
    /// Messages of one producer.
    pub(super) async fn open(broker: Broker) -> Result<Self> {
        let producer = Producer::open(&broker, "kill").await?;
        let (number, cycle, noted) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::default());
        Ok(Self(Arc::new(Inner { broker, producer, number, cycle, noted })))
    }

    /// Sends one message: whether it was answered.
    pub(super) async fn once(self) -> bool {
        let number = self.0.number.fetch_add(1, Ordering::Relaxed);
        let (topic, id) = (self.0.topic(), format!("m-{number}"));
        let payload = vec![b'.'; usize::try_from(number % 300).unwrap_or(0)];
        let message =
            Outgoing { key: number.is_multiple_of(2).then(|| format!("key-{}", number % 7)), ..Outgoing::new(&*id, payload) };
        let Ok(place) = self.0.producer.send(&topic, message).await else { return false };
        self.0.noted().entry(topic).or_default().answer(place, id);
        true
    }

    /// Makes the topic of the cycle that begins.
    pub(super) async fn begin_cycle(&self) -> Result<()> {
        self.0.cycle.fetch_add(1, Ordering::Relaxed);
        let topic = settee::mq::control::CreateTopic { name: self.0.topic(), partitions: Some(PARTITIONS) };
        self.0.broker.control().create_topic(topic).await?;
        Ok(())
    }

    /// What is wrong with the topics to which something came since the last time.
    pub(super) async fn check(&self) -> Vec<Wrong> {
        let group = format!("cycle-{}", self.0.cycle.load(Ordering::Relaxed));
        self.check_topics(&group, |topic| topic.is_fresh).await
    }

    /// What is wrong with all of them at the end.
    pub(super) async fn check_all(&self) -> Vec<Wrong> {
        self.check_topics("the-end", |_| true).await
    }

    async fn check_topics(&self, group: &str, is_wanted: fn(&Topic) -> bool) -> Vec<Wrong> {
        let topics: Vec<_> = self.0.noted().iter().filter(|(_, topic)| is_wanted(topic)).map(|(name, _)| name.clone()).collect();
        let mut wrong = Vec::new();
        for name in topics {
            let topic = self.0.noted().get_mut(&name).map(Topic::take).unwrap_or_default();
            let found = self.0.read(&name, group, topic.answered.len()).await;
            wrong.extend(topic.judge(&name, &found));
        }
        wrong
    }
}

/// What a reader was given at each place.
type Found = BTreeMap<Place, BTreeSet<String>>;

impl Inner {
    fn topic(&self) -> String {
        format!("kill-{}", self.cycle.load(Ordering::Relaxed) / CYCLES_OF_A_TOPIC)
    }

    fn noted(&self) -> MutexGuard<'_, BTreeMap<String, Topic>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a topic from its beginning, as a group that was never there, until nothing is left or nothing more comes.
    async fn read(&self, topic: &str, group: &str, at_least: usize) -> Found {
        let found = Arc::new(watch::Sender::new(Found::new()));
        let finding = found.clone();
        let handler = move |message: Message| {
            finding.send_modify(|found| _ = found.entry(message.place).or_default().insert(message.id));
            async { Reply::Ok(()) }
        };
        let consumer = Consumer::subscribe(&self.broker, topic, group, handler, ConsumerOptions::default());
        let mut seen = found.subscribe();
        loop {
            let has_enough = seen.borrow_and_update().len() >= at_least;
            if has_enough && self.has_no_lag(topic, group).await {
                break;
            }
            if tokio::time::timeout(SILENCE, seen.changed()).await.is_err() {
                break;
            }
        }
        consumer.stop().await;
        let found = found.borrow();
        found.clone()
    }

    /// Whether the group is through. Asked again while acknowledgements are on their way.
    async fn has_no_lag(&self, topic: &str, group: &str) -> bool {
        let lag = || async {
            let topics = self.broker.control().topics().await.ok()?;
            let groups = topics.into_iter().find(|known| known.name == topic)?.groups;
            let lag = groups.into_iter().find(|known| known.name == group)?.lag_messages;
            (lag == 0).then_some(())
        };
        patiently(SILENCE, lag).await.is_some()
    }
}

impl Topic {
    fn answer(&mut self, place: Place, id: String) {
        self.is_fresh = true;
        if let Some(former) = self.answered.insert(place, id.clone()) {
            self.doubled.push(Wrong::Duplicated(format!("{place:?} was given to {former} and to {id}")));
        }
    }

    /// What to check now; each doubled place is told once.
    fn take(&mut self) -> Self {
        self.is_fresh = false;
        Self { answered: self.answered.clone(), doubled: std::mem::take(&mut self.doubled), is_fresh: false }
    }

    fn judge(self, topic: &str, found: &Found) -> Vec<Wrong> {
        let mut wrong = self.doubled;
        for (place, id) in &self.answered {
            if !found.get(place).is_some_and(|ids| ids.contains(id)) {
                wrong.push(Wrong::Lost(format!("message {id} of {topic} at {place:?}")));
            }
        }
        let mut places: BTreeMap<&str, u32> = BTreeMap::new();
        for (place, ids) in found {
            ids.iter().for_each(|id| *places.entry(id).or_default() += 1);
            if ids.len() > 1 {
                wrong.push(Wrong::Duplicated(format!("{place:?} of {topic} holds {ids:?}")));
            }
        }
        let doubled = places.into_iter().filter(|(_, places)| *places > 1);
        wrong.extend(doubled.map(|(id, places)| Wrong::Duplicated(format!("message {id} of {topic} lies at {places} places"))));
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Place {
        Place { partition: 0, offset }
    }

    fn judged(answered: &[(u64, &str)], found: &[(u64, &str)]) -> Vec<String> {
        let mut topic = Topic::default();
        answered.iter().for_each(|(offset, id)| topic.answer(at(*offset), (*id).to_owned()));
        let mut at_places = Found::new();
        found.iter().for_each(|(offset, id)| _ = at_places.entry(at(*offset)).or_default().insert((*id).to_owned()));
        let wrong = topic.take().judge("t", &at_places);
        wrong.iter().map(|wrong| wrong.to_string().split(':').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn a_message_that_is_missing_moved_or_doubled_is_told() {
        assert_eq!(judged(&[(0, "a"), (1, "b")], &[(0, "a"), (1, "b"), (2, "not answered")]), Vec::<String>::new());
        assert_eq!(judged(&[(0, "a"), (1, "b")], &[(0, "a")]), ["lost"]);
        assert_eq!(judged(&[(0, "a")], &[(1, "a")]), ["lost"]);
        assert_eq!(judged(&[(0, "a"), (0, "b")], &[(0, "b")]), ["duplicated"]);
        assert_eq!(judged(&[(0, "a")], &[(0, "a"), (1, "a")]), ["duplicated"]);
        assert_eq!(judged(&[(0, "a")], &[(0, "a"), (0, "b")]), ["duplicated"]);
    }
}
