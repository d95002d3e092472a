use std::collections::BTreeSet;
use std::time::Duration;

use settee::mq::ProducerRef;
use settee::mq::control::{
    Answered, CreateTopic, DeadLetterQuery, MessageControl, Nack, NackClass, OutgoingMessage, PartitionGroupView, Replay,
};
use settee_core::env;
use settee_core::error::codes;
use settee_core::mq::Cause;
use settee_engines::memory::MemoryLog;

use super::Broker;
use super::lives::{Stores, ack, answer_to, consume, message, next, nothing_more, producer, publish, reject, runtime, stored};

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
fn the_partitions_of_a_topic_add_up_to_what_the_topic_says_of_itself() {
    Stores::new().live(async |broker| {
        let producer = producer(&broker).await;
        publish(&broker, producer, vec![message(1, Some("a")), message(2, Some("b")), message(3, None)]).await.unwrap();
        let mut updates = consume(&broker, "statement").await;
        let delivery = next(&mut updates).await;
        ack(&broker, "statement", &delivery).await;
        let topic = broker.topic_page(None).await.unwrap().items.remove(0);
        let partitions = broker.partitions(topic.name.clone()).await.unwrap();
        let of_group = |count: fn(&PartitionGroupView) -> u64| -> u64 {
            partitions.iter().flat_map(|partition| &partition.groups).map(count).sum()
        };
        assert_eq!(partitions.iter().map(|partition| partition.partition).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(partitions.iter().map(|partition| partition.messages).sum::<u64>(), topic.messages);
        assert_eq!((of_group(|group| group.lag_messages), topic.groups[0].lag_messages), (2, 2));
        assert_eq!(of_group(|group| group.open), topic.groups[0].open);
        assert!(broker.partitions("nobody".to_owned()).await.is_err());
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
        let topics = broker.topic_page(None).await.unwrap().items;
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

#[test]
fn a_page_of_topics_begins_behind_the_name_that_it_is_given_whether_that_is_there_or_not() {
    Stores::new().live(async |broker| {
        for name in ["c", "a", "e"] {
            broker.create_topic(CreateTopic { name: name.to_owned(), partitions: Some(1) }).await.unwrap();
        }
        for (after, expected) in
            [(None, vec!["a", "c", "e"]), (Some("a"), vec!["c", "e"]), (Some("d"), vec!["e"]), (Some("e"), vec![])]
        {
            let page = broker.topic_page(after.map(str::to_owned)).await.unwrap();
            let names: Vec<_> = page.items.iter().map(|topic| &*topic.name).collect();
            assert_eq!((names, page.next), (expected, None), "behind {after:?}");
        }
    });
}
