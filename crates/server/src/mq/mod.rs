//! The broker: topics, their partitions over the log, and the groups that consume them.
//!
//! ```text
//! service -> Broker -> Topic -> PartitionOwner (one writer task, rule core::mq::Partition) -> Log  mq/<topic>/<partition>
//!                         \--> Group -> GroupOwner a partition (one delivery task, rule core::mq::Group) -> Kv
//! ```
//! What is in `Kv`, by shard: topics (`mqt`), producers (`mqi`), groups of a partition (`mqg`) and dead letters (`mqd`).
//! Everything a call answers is durable by then: published messages in the log, the rest behind a shard ticket (P4). A group's
//! record carries the log position it reflects; one that is above the log's tail refuses to start (P9).
//!
//! Left out: the spill of P3 for a replicated log, retention, and seek.

mod name;
mod record;

mod partition;

mod consumer;
mod delivery;
mod group;

mod broker;
mod dead;
mod load;
mod producers;
mod topic;

mod view;

mod service;

pub use broker::Broker;

use settee_core::mq::GroupPolicy;

/// How the broker works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Partitions of a topic that is created without saying how many. Default [`DEFAULT_PARTITIONS`].
    pub partitions: u32,
    /// The limits of every group.
    pub group: GroupPolicy,
}

/// Partitions of a topic, where nobody says: eight log streams and shards, so that eight servers can share its work.
pub const DEFAULT_PARTITIONS: u32 = 8;

/// Partitions of a topic at most: as many as there are shards.
pub const MAX_PARTITIONS: u32 = 256;

impl Default for Config {
    fn default() -> Self {
        Self { partitions: DEFAULT_PARTITIONS, group: GroupPolicy::default() }
    }
}

#[cfg(test)]
mod lives;

#[cfg(test)]
mod broker_test;

#[cfg(test)]
mod fault_test;
