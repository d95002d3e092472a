use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::fake::{FakeBroker, Planned};
use super::super::held::MAX_HELD;
use super::*;
use settee_core::error::ErrorKind;

/// A table in memory that can fail to mark rows.
#[derive(Clone, Debug, Default)]
struct Table(Arc<Rows>);

#[derive(Debug, Default)]
struct Rows {
    rows: Mutex<Vec<OutboxRow>>,
    producer: Mutex<Option<ProducerRef>>,
    aside: Mutex<Vec<i64>>,
    failing_marks: Mutex<u32>,
    committed: Notify,
}

impl Table {
    fn commit(&self, ids: std::ops::Range<u64>) {
        self.0.rows.lock().extend(ids.map(row));
        self.0.committed.notify_one();
    }

    fn is_empty(&self) -> bool {
        self.0.rows.lock().is_empty()
    }
}

fn row(number: u64) -> OutboxRow {
    OutboxRow {
        row: i64::try_from(number).unwrap(),
        topic: "transfers".to_owned(),
        id: number.to_string(),
        key: Some("a".to_owned()),
        sequence: number,
        headers: BTreeMap::new(),
        payload: Bytes::new(),
        not_before: None,
    }
}

impl OutboxSource for Table {
    async fn producer(&self) -> Result<Option<ProducerRef>, Error> {
        Ok(*self.0.producer.lock())
    }

    async fn adopt(&self, producer: ProducerRef, replaced: Option<ProducerRef>) -> Result<ProducerRef, Error> {
        let mut stored = self.0.producer.lock();
        if *stored == replaced {
            *stored = Some(producer);
        }
        Ok(stored.unwrap_or(producer))
    }

    async fn take(&self, limit: usize, without: &[String]) -> Result<Vec<OutboxRow>, Error> {
        Ok(self.0.rows.lock().iter().filter(|row| !without.contains(&row.topic)).take(limit).cloned().collect())
    }

    async fn mark_sent(&self, rows: &[i64]) -> Result<(), Error> {
        let mut failing = self.0.failing_marks.lock();
        if *failing > 0 {
            *failing -= 1;
            return Err(Error::new(ErrorKind::Unavailable, codes::DATABASE_FAILED, "mark rows"));
        }
        self.0.rows.lock().retain(|row| !rows.contains(&row.row));
        Ok(())
    }

    async fn set_aside(&self, row: i64, _: &Error) -> Result<(), Error> {
        self.0.aside.lock().push(row);
        self.mark_sent(&[row]).await
    }

    async fn notified(&self) {
        self.0.committed.notified().await;
    }
}

fn relay(broker: &FakeBroker, table: &Table) -> Relay<Table> {
    Relay::new(&broker.messages(), table.clone(), "account.outbox")
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn rows_that_could_not_be_marked_are_published_again_under_the_same_identity_and_stored_once() {
    let (broker, table) = (FakeBroker::default(), Table::default());
    table.commit(1..10);
    *table.0.failing_marks.lock() = 2;
    assert!(relay(&broker, &table).turn().await.is_err());
    // The process dies: another relay starts from what the database knows.
    let successor = relay(&broker, &table);
    assert!(successor.turn().await.is_err());
    assert_eq!(successor.turn().await.unwrap(), 9);
    broker.with(|state| {
        assert_eq!(state.stored, numbers(1..10));
        assert_eq!(state.epochs, 1, "one identity for all relays of the database");
    });
    assert!(table.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_commit_wakes_the_relay_before_it_polls_and_batches_are_bounded() {
    let (broker, table) = (FakeBroker::default(), Table::default());
    let (trigger, shutdown) = settee_core::shutdown::pair();
    let running = settee_core::env::spawn({
        let relay = relay(&broker, &table);
        async move { relay.run(shutdown).await }
    });
    tokio::time::sleep(POLL_INTERVAL / 4).await;
    let started = settee_core::Instant::now();
    table.commit(1..500);
    broker.until(|state| state.stored.len() == 499).await;
    assert!(started.elapsed() < POLL_INTERVAL / 4);
    broker.with(|state| assert!(state.publishes.iter().all(|publish| publish.messages.len() <= BATCH)));
    broker.with(|state| assert_eq!(state.stored, numbers(1..500)));
    trigger.stop();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_backlog_larger_than_a_frame_leaves_in_order_and_does_not_stick_for_ever() {
    let (broker, table) = (FakeBroker::default(), Table::default());
    let large = |number| OutboxRow { payload: vec![0; 100 << 10].into(), ..row(number) };
    table.0.rows.lock().extend((0..100).map(large));
    relay(&broker, &table).turn().await.unwrap();
    broker.with(|state| assert_eq!(state.stored, numbers(0..100)));
    assert!(table.is_empty());
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_process_that_died_are_found_by_polling() {
    let (broker, table) = (FakeBroker::default(), Table::default());
    let (_trigger, shutdown) = settee_core::shutdown::pair();
    let relay = relay(&broker, &table);
    let unnoticed = async {
        tokio::time::sleep(POLL_INTERVAL / 2).await;
        table.0.rows.lock().push(row(1));
        broker.until(|state| state.stored.len() == 1).await;
    };
    tokio::select! {
        () = relay.run(shutdown) => unreachable!("it was not told to stop"),
        () = unnoticed => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_can_never_be_sent_does_not_hold_up_the_others() {
    let (broker, table) = (FakeBroker::default(), Table::default());
    table.0.rows.lock().push(OutboxRow { payload: vec![0; 2 << 20].into(), ..row(1) });
    table.commit(2..4);
    relay(&broker, &table).turn().await.unwrap();
    assert_eq!(*table.0.aside.lock(), [1]);
    broker.with(|state| assert_eq!(state.stored, numbers(2..4)));
    assert!(table.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fenced_identity_is_replaced_in_the_database_and_the_relay_goes_on() {
    let (broker, table) = (FakeBroker::default(), Table::default());
    broker.with(|state| state.plan.push_back(Planned::Fenced));
    table.commit(1..3);
    let relay = relay(&broker, &table);
    relay.turn().await.unwrap();
    relay.turn().await.unwrap();
    broker.with(|state| assert_eq!((state.stored.len(), state.epochs), (2, 2)));
    assert_eq!(table.0.producer.lock().map(|producer| producer.epoch), Some(2));
}

async fn within_a_minute(wait: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the relay comes to it");
}

fn of_topic(topic: &str, number: u64) -> OutboxRow {
    OutboxRow { topic: topic.to_owned(), ..row(number) }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_refused_for_long_holds_up_no_other_and_keeps_its_order() {
    let (broker, table) = (FakeBroker::default(), Table::default());
    let blocked = u64::try_from(BATCH).unwrap() * 2;
    table.0.rows.lock().extend((0..blocked).map(|number| of_topic("full", number)));
    table.0.rows.lock().extend((blocked..blocked + 3).map(|number| of_topic("transfers", number)));
    broker.with(|state| state.full.insert("full".to_owned()));
    let (trigger, shutdown) = settee_core::shutdown::pair();
    let running = settee_core::env::spawn({
        let relay = relay(&broker, &table);
        async move { relay.run(shutdown).await }
    });
    let started = settee_core::Instant::now();
    within_a_minute(broker.until(|state| state.stored.len() == 3)).await;
    assert!(started.elapsed() < POLL_INTERVAL, "{:?}", started.elapsed());
    table.0.rows.lock().push(of_topic("transfers", blocked + 3));
    within_a_minute(broker.until(|state| state.stored == numbers(blocked..blocked + 4))).await;
    broker.with(|state| {
        let tries = state.publishes.iter().filter(|publish| publish.topic == "full").count();
        assert!(tries < 10, "{tries} tries in a few seconds");
        state.full.clear();
    });
    within_a_minute(broker.until(|state| state.stored.len() == usize::try_from(blocked).unwrap() + 4)).await;
    broker.with(|state| assert_eq!(state.stored[4..], numbers(0..blocked)));
    trigger.stop();
    running.await.unwrap();
    assert!(table.is_empty());
}

#[tokio::test(start_paused = true)]
async fn more_refused_topics_than_can_be_remembered_are_the_trouble_of_the_whole_relay() {
    let (broker, table) = (FakeBroker::default(), Table::default());
    let topics: Vec<_> = (0..=MAX_HELD).map(|number| format!("t{number:03}")).collect();
    table.0.rows.lock().extend((0..).zip(&topics).map(|(number, topic)| of_topic(topic, number)));
    broker.with(|state| state.full.extend(topics));
    assert_eq!(relay(&broker, &table).turn().await.unwrap_err().kind(), ErrorKind::Full);
}
