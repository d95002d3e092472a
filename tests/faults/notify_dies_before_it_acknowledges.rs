//! The notify service is killed when its notification is committed and the broker has not heard of it: there is no second one.

use settee::mq::{MessageControl, MessageControlClient};
use settee_payments::api::{Notify, NotifyClient, PaymentClient, TRANSFERS};
use settee_payments::notify::GROUP;
use settee_tests::{Relay, Street, open, order, settle, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_again_notifies_nobody_twice() {
    let mut street = Street::start().await;
    open(&street.caller, &["alice", "bob"], 100_00).await;
    let messages: MessageControlClient = street.caller.control();
    let notify: NotifyClient = street.caller.client();

    // It hears the broker, and the broker does not hear it.
    street.kill("notify").await;
    let relay = Relay::to(street.server()).await;
    street.start_part_behind("notify", relay.address()).await;
    until(|| async { (consumers(&messages).await? == 1).then_some(()) }).await;
    until(|| async { notify.counts().await.ok() }).await;
    relay.lose_what_is_sent();
    let payment: PaymentClient = street.caller.client();
    settle(&payment, &order("t-1", "alice", "bob", "12.50")).await.expect("nothing speaks against it");
    until(|| async { (notify.notified(vec!["t-1".into()]).await.ok()? == 1).then_some(()) }).await;
    assert_eq!(lag(&messages).await, Some(1), "committed, and not acknowledged");
    street.kill("notify").await;

    street.start_part("notify").await;
    until(|| async { (notify.counts().await.ok()?.duplicates_suppressed >= 1).then_some(()) }).await;
    until(|| async { (lag(&messages).await? == 0).then_some(()) }).await;
    assert_eq!(notify.counts().await.unwrap().rows, 1);
}

async fn consumers(messages: &MessageControlClient) -> Option<u32> {
    let topics = messages.topics().await.ok()?;
    let groups = topics.into_iter().filter(|topic| topic.name == TRANSFERS).flat_map(|topic| topic.groups);
    groups.filter(|group| group.name == GROUP).map(|group| group.consumers).next()
}

async fn lag(messages: &MessageControlClient) -> Option<u64> {
    let topics = messages.topics().await.ok()?;
    let groups = topics.into_iter().filter(|topic| topic.name == TRANSFERS).flat_map(|topic| topic.groups);
    groups.filter(|group| group.name == GROUP).map(|group| group.lag_messages).next()
}
