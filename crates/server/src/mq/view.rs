//! Topics, their partitions and their groups as people see them.

use std::sync::Arc;
use std::time::Duration;

use settee::mq::control::{GroupView, PartitionGroupView, PartitionView, TopicView};
use settee_core::id::Offset;
use settee_core::{Error, Timestamp, env};

use super::group::{GroupOwner, Standing};
use super::partition::PartitionOwner;
use super::topic::{GroupOfTopic, Topic};

pub(super) async fn topic(topic: &Topic) -> Result<TopicView, Error> {
    let record = topic.record();
    let mut groups = Vec::new();
    for (name, group) in topic.groups() {
        groups.push(group_view(name, &group).await?);
    }
    let parked = topic.partitions.iter().filter(|partition| partition.is_parked()).count();
    Ok(TopicView {
        name: record.name,
        partitions: record.partitions,
        paused: record.paused,
        messages: topic.partitions.iter().map(|partition| partition.next().0).sum(),
        parked: u32::try_from(parked).unwrap_or(u32::MAX),
        groups,
    })
}

pub(super) async fn partitions(topic: &Topic) -> Result<Vec<PartitionView>, Error> {
    let groups = topic.groups();
    let mut views = Vec::new();
    for (index, partition) in topic.partitions.iter().enumerate() {
        let owners = groups.iter().filter_map(|(name, group)| Some((name, group.owners.get(index)?)));
        views.push(partition_view(partition, owners).await?);
    }
    Ok(views)
}

async fn partition_view<'a>(
    partition: &PartitionOwner,
    owners: impl Iterator<Item = (&'a String, &'a Arc<GroupOwner>)>,
) -> Result<PartitionView, Error> {
    let mut groups = Vec::new();
    for (name, owner) in owners {
        let Seen { standing, unread } = seen(owner).await?;
        let (open, dead) = (count(standing.open), count(standing.dead));
        groups.push(PartitionGroupView { name: name.clone(), lag_messages: unread + open, open, dead });
    }
    let (messages, parked) = (partition.next().0, partition.is_parked());
    Ok(PartitionView { partition: partition.name.partition, messages, parked, groups })
}

async fn group_view(name: String, group: &GroupOfTopic) -> Result<GroupView, Error> {
    let consumers = u32::try_from(group.members.consumers().len()).unwrap_or(u32::MAX);
    let (mut lag_messages, mut open, mut dead, mut oldest) = (0, 0, 0, None::<Timestamp>);
    for owner in &group.owners {
        let Seen { standing, unread } = seen(owner).await?;
        lag_messages += unread + count(standing.open);
        open += count(standing.open);
        dead += count(standing.dead);
        let published = match standing.oldest {
            None if unread > 0 => published_at(owner, standing.position).await?,
            read_ahead => read_ahead,
        };
        oldest = [oldest, published].into_iter().flatten().min();
    }
    let lag = oldest.map_or(Duration::ZERO, |oldest| env::wall_clock().since(oldest));
    let lag_ms = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
    Ok(GroupView { name, consumers, lag_messages, lag_ms, open, dead })
}

/// How a group stands on a partition, durably, and how many messages it has not read.
struct Seen {
    standing: Standing,
    unread: u64,
}

async fn seen(owner: &GroupOwner) -> Result<Seen, Error> {
    let (standing, ticket) = owner.standing();
    ticket.committed().await?;
    let unread = owner.partition.next().0.saturating_sub(standing.next.0);
    Ok(Seen { standing, unread })
}

/// When the first message from `position` on was published. Barriers before it are few.
async fn published_at(owner: &GroupOwner, position: Offset) -> Result<Option<Timestamp>, Error> {
    let limit = settee_core::port::ReadLimit { records: 16, bytes: 64 << 10 };
    let records = owner.partition.read(position, limit).await?;
    Ok(records.iter().find_map(|(_, record)| record.message().map(|stored| stored.message.published)))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
