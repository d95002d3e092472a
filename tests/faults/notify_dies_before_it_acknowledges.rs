//! The notify service is killed when its notification is committed and the broker has not heard of it: there is no second one.

use settee::mq::MessageControlClient;
use settee::mq::control::GroupView;
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
    until(|| async { (group(&messages).await?.consumers == 1).then_some(()) }).await;
    until(|| async { notify.counts().await.ok() }).await;
    relay.lose_what_is_sent();
    let payment: PaymentClient = street.caller.client();
    settle(&payment, &order("t-1", "alice", "bob", "12.50")).await.expect("nothing speaks against it");
    until(|| async { (notify.notified(vec!["t-1".into()]).await.ok()? == 1).then_some(()) }).await;
    assert_eq!(group(&messages).await.unwrap().lag_messages, 1, "committed, and not acknowledged");
    street.kill("notify").await;

    street.start_part("notify").await;
    until(|| async { (notify.counts().await.ok()?.duplicates_suppressed >= 1).then_some(()) }).await;
    until(|| async { (group(&messages).await?.lag_messages == 0).then_some(()) }).await;
    assert_eq!(notify.counts().await.unwrap().rows, 1);
}

/// What the broker knows of the notify service.
async fn group(messages: &MessageControlClient) -> Option<GroupView> {
    let topic = messages.topics().await.ok()?.into_iter().find(|topic| topic.name == TRANSFERS)?;
    topic.groups.into_iter().find(|group| group.name == GROUP)
}
