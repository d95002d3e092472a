//! The task that delivers one group's messages of one partition: reads ahead, takes what is ready, waits for what it observed
//! to be durable, and only then sends.

use std::sync::Arc;
use std::time::Duration;

use settee_core::Error;
use settee_core::id::Offset;
use settee_core::port::ReadLimit;
use tokio::sync::watch;

use super::consumer::Consumer;
use super::group::GroupOwner;
use super::partition::PAGE;
use super::topic::Members;

/// Before a read that failed is tried again: a group must never wait for somebody to wake it.
const READ_AGAIN: Duration = Duration::from_millis(250);

/// Delivers until the ownership ends.
pub(super) async fn run(owner: Arc<GroupOwner>, members: Arc<Members>) {
    let (mut confirmed, mut paused) = (owner.partition.confirmed(), members.paused());
    loop {
        let tail = *confirmed.borrow_and_update();
        let consumers = if *paused.borrow_and_update() { Vec::new() } else { members.consumers() };
        if let Err(error) = deliver(&owner, &consumers, tail).await {
            if error.certainty() == settee_core::Certainty::Unknown {
                return;
            }
            let (stream, group) = (&owner.partition.name.stream, &owner.group);
            tracing::warn!(%stream, group, %error, "reading for a group failed, trying again");
            tokio::time::sleep(READ_AGAIN).await;
            continue;
        }
        wait(&owner, &mut confirmed, &mut paused).await;
    }
}

/// Waits for something that can change what is deliverable: an answer, a consumer, a message, a timer, the pause.
async fn wait(owner: &GroupOwner, confirmed: &mut watch::Receiver<Offset>, paused: &mut watch::Receiver<bool>) {
    let timer = async {
        match owner.next_timer() {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = owner.wake.notified() => {}
        () = timer => {}
        Ok(()) = confirmed.changed() => {}
        Ok(()) = paused.changed() => {}
    }
}

/// Sends everything that can be sent now. An error of unknown outcome means that the ownership is lost.
async fn deliver(owner: &GroupOwner, consumers: &[Arc<Consumer>], tail: Offset) -> Result<(), Error> {
    loop {
        let read = if consumers.is_empty() { Ok(false) } else { read_ahead(owner, tail).await };
        let (deliveries, ticket) = owner.take(consumers);
        ticket.committed().await?;
        let is_idle = deliveries.is_empty();
        for (consumer, delivery) in deliveries {
            consumer.deliver(delivery);
        }
        if is_idle && !read? {
            return Ok(());
        }
    }
}

/// Reads one page, if the group has room for it: whether it went on.
async fn read_ahead(owner: &GroupOwner, tail: Offset) -> Result<bool, Error> {
    let Some((position, records)) = owner.wants().filter(|(position, _)| *position < tail) else { return Ok(false) };
    let limit = ReadLimit { records: records.min(PAGE.records), ..PAGE };
    let page = owner.partition.read(position, limit).await?;
    let is_missing = page.first().is_some_and(|(first, _)| *first != position);
    owner.read(page);
    let is_further = owner.wants().is_none_or(|(next, _)| next != position);
    if is_missing && !is_further {
        let stream = &owner.partition.name.stream;
        tracing::error!(%stream, group = owner.group, position = position.0, "a message that the group has not done is not in the log");
    }
    Ok(is_further)
}
