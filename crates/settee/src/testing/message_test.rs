//! What a test may rely on: messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use settee_core::error::{ErrorKind, codes};
use settee_core::mq::Cause;
use settee_core::{Error, env};

use super::System;
use super::system_test::app;
use crate::app::App;
use crate::mq::control::{Consume, DeadLetter, DeadLetterQuery, OutgoingMessage, Publish};
use crate::mq::{Message, MessageControl, MessageControlClient, MessageHandler, Outgoing, Producer};
use crate::rpc::Reply;

/// A handler that fails so many times and counts its deliveries, and the count.
fn flaky(failures: u32) -> (impl MessageHandler, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let counting = count.clone();
    let handler = move |_: Message| {
        let failed = counting.fetch_add(1, Ordering::Relaxed) < failures;
        let error = || Error::new(ErrorKind::Unavailable, codes::DATABASE_FAILED, "book").into();
        std::future::ready(if failed { Err(error()) } else { Reply::Ok(()) })
    };
    (handler, count)
}

async fn send(test: &App, message: Outgoing) {
    Producer::open(&test.messages(), "test").await.unwrap().send("transfers", message).await.unwrap();
}

async fn dead_letters(test: &App, group: &str) -> Vec<DeadLetter> {
    let query = DeadLetterQuery { topic: "transfers".into(), group: group.into(), after: None, limit: 10 };
    test.control::<MessageControlClient>().dead_letters(query).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_message_is_delivered_until_it_is_done_and_each_group_has_its_own() {
    System::run(async |system| {
        let ((stumbling, tries), (steady, noted)) = (flaky(3), flaky(0));
        let reader = app("reader").consume("transfers", "stumbling", stumbling).consume("transfers", "steady", steady);
        let _reader = system.start(reader).await;
        send(&app("test"), Outgoing::new("t-1", "5")).await;
        system.settled().await;
        assert_eq!((tries.load(Ordering::Relaxed), noted.load(Ordering::Relaxed)), (4, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_consumer_held_that_is_gone_is_delivered_to_its_successor_at_once() {
    System::run(async |system| {
        let test = app("test");
        send(&test, Outgoing::new("t-1", "5")).await;
        let consume = Consume { topic: "transfers".into(), group: "notify".into(), credit: 1 };
        let mut first = test.control::<MessageControlClient>().consume(consume).await.unwrap();
        first.next().await.unwrap().unwrap();
        drop(first);
        let attempts = Arc::new(AtomicU32::new(0));
        let seen = attempts.clone();
        let reads = move |message: Message| {
            seen.store(message.attempt, Ordering::Relaxed);
            std::future::ready(Ok(()))
        };
        let _second = system.start(app("reader").consume("transfers", "notify", reads)).await;
        system.advance(Duration::from_secs(1)).await;
        assert_eq!(attempts.load(Ordering::Relaxed), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_a_dead_letter_at_once() {
    System::run(async |system| {
        let handler = async |message: Message| Ok(message.decode::<Vec<String>>().map(drop)?);
        let _reader = system.start(app("reader").consume("transfers", "notify", handler)).await;
        let test = app("test");
        send(&test, Outgoing::new("t-1", "\u{1}")).await;
        system.settled().await;
        let dead = dead_letters(&test, "notify").await;
        assert!(matches!(&dead[..], [letter] if letter.attempts == 1 && matches!(letter.cause, Cause::Rejected(_))), "{dead:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_comes_when_the_test_has_advanced_the_clock_and_not_before() {
    System::run(async |system| {
        let (handler, seen) = flaky(0);
        let _reader = system.start(app("reader").consume("transfers", "notify", handler)).await;
        let later = env::wall_clock().after(Duration::from_secs(30));
        send(&app("test"), Outgoing { not_before: Some(later), ..Outgoing::new("t-1", "5") }).await;
        system.advance(Duration::from_secs(29)).await;
        assert_eq!(seen.load(Ordering::Relaxed), 0);
        system.advance(Duration::from_secs(1)).await;
        assert_eq!(seen.load(Ordering::Relaxed), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_repeated_publication_is_stored_once_and_an_earlier_life_of_its_producer_is_fenced() {
    System::run(async |system| {
        let test = app("test");
        let control = test.control::<MessageControlClient>();
        let producer = control.open_producer("test".into()).await.unwrap();
        let Outgoing { id, key, headers, payload, not_before } = Outgoing::new("t-1", "5");
        let message = OutgoingMessage { id, key, headers, payload, sequence: 0, not_before };
        let publish = Publish { topic: "transfers".into(), producer, messages: vec![message] };
        let first = control.publish(publish.clone()).await.unwrap();
        assert_eq!(control.publish(publish.clone()).await.unwrap(), first);
        assert_eq!(system.progress().1, 1);
        control.open_producer("test".into()).await.unwrap();
        let error = Error::from(control.publish(publish).await.unwrap_err());
        assert_eq!(error.code(), &codes::PRODUCER_FENCED);
    })
    .await;
}
