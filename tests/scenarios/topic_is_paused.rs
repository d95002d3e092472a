//! A paused topic takes messages and delivers none; resumed, it delivers every one.

use std::path::Path;

use settee::mq::control::CreateTopic;
use settee::mq::{MessageControl, MessageControlClient};
use settee_payments::api::{Notify, NotifyClient, PaymentClient, TRANSFERS};
use settee_tests::{Demo, House, Street, open, order, settle, until};

use super::SETTEE;

const ORDERS: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_notified_while_the_topic_is_paused_and_everything_after() {
    let house = House::start().await;
    open(&house.caller, &["alice", "bob"], 100_00).await;
    let messages: MessageControlClient = house.caller.control();
    let notify: NotifyClient = house.caller.client();
    pause(&messages).await;

    // Transfers do not wait for it.
    let payment: PaymentClient = house.caller.client();
    for number in 0..ORDERS {
        settle(&payment, &order(&format!("t-{number}"), "alice", "bob", "1")).await.expect("nothing speaks against it");
    }
    until(|| async { (stored(&messages).await? == ORDERS).then_some(()) }).await;
    assert_eq!(until(|| async { notify.counts().await.ok() }).await.rows, 0);

    assert!(!messages.resume_topic(TRANSFERS.into()).await.unwrap().paused);
    until(|| async { (notify.counts().await.ok()?.rows == ORDERS).then_some(()) }).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_whose_topic_was_paused_before_notifies_nobody_and_fails() {
    let mut street = Street::server_only().await;
    pause(&street.caller.control()).await;
    street.kill("server").await;

    let flags = ["--generate", "30", "--patience", "1"];
    let Demo { exit, report, complaints } = Demo::run(Path::new(SETTEE), street.folder(), &flags).await;
    let [accepted, sent, applied] = [("transfers", "accepted"), ("messages", "sent"), ("messages", "applied")]
        .map(|(part, count)| report[part][count].as_u64());
    assert!(accepted > Some(0) && sent == accepted, "{report}");
    assert_eq!((exit, applied), (Some(1), Some(0)), "{complaints}");
    assert!(complaints.contains("notified: 0"), "{complaints}");
}

async fn pause(messages: &MessageControlClient) {
    until(|| async { messages.create_topic(CreateTopic { name: TRANSFERS.into(), partitions: None }).await.ok() }).await;
    assert!(messages.pause_topic(TRANSFERS.into()).await.unwrap().paused);
}

async fn stored(messages: &MessageControlClient) -> Option<u64> {
    let topics = messages.topics().await.ok()?;
    topics.iter().find(|topic| topic.name == TRANSFERS).map(|topic| topic.messages)
}
