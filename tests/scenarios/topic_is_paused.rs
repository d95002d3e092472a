//! A paused topic takes messages and delivers none; resumed, it delivers every one.

use settee::mq::control::CreateTopic;
use settee::mq::{MessageControl, MessageControlClient};
use settee_payments::api::{Notify, NotifyClient, PaymentClient, TRANSFERS};
use settee_tests::{House, open, order, settle, until};

const ORDERS: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_notified_while_the_topic_is_paused_and_everything_after() {
    let house = House::start().await;
    open(&house.caller, &["alice", "bob"], 100_00).await;
    let messages: MessageControlClient = house.caller.control();
    let notify: NotifyClient = house.caller.client();
    messages.create_topic(CreateTopic { name: TRANSFERS.into(), partitions: None }).await.unwrap();
    assert!(messages.pause_topic(TRANSFERS.into()).await.unwrap().paused);

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

async fn stored(messages: &MessageControlClient) -> Option<u64> {
    let topics = messages.topics().await.ok()?;
    topics.iter().find(|topic| topic.name == TRANSFERS).map(|topic| topic.messages)
}
