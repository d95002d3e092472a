//! The rules of messaging: what is stored, who may append, what is a repeat, and what a group has finished.
//!
//! ```text
//! publish -> Partition (order, tail, barrier) -> Log -> Group (keys, attempts, deadlines) -> consumer
//!                 Producers (repeats)                      | bury -> dead letter
//! ```
//! - [`name`]: which names topics, groups and producers may have.
//! - [`record`]: the stored form of a message and of a barrier.
//! - [`dedupe`]: producers, their epochs and sequences; a repeat is answered with the first offset.
//! - [`partition`]: the owner's view of a partition's log (`PROTOCOLS.md` P3, without the spill).
//! - [`group`]: what a consumer group has finished, has in flight, and holds back to keep the order of a key.
//!
//! Left out on purpose: reading and writing (`settee-server`), the calls (`settee`), and the spill into `Kv`, which only a
//! replicated log needs.

pub mod name;
pub mod record;

pub mod dedupe;

pub mod partition;

pub mod group;

pub use dedupe::{Producers, Verdict};
pub use group::{Cause, Group, GroupPolicy};
pub use partition::{Partition, Submission};
pub use record::{Message, ProducerMark, Record, StoredMessage};

use crate::id::fnv1a;

/// The partition of a message: by its key, so that a key stays in order; without one by its id, so that a repeated send of
/// the same message meets its first.
///
/// It is part of the stored format: the number of a topic's partitions never changes.
///
/// ```
/// assert_eq!(settee_core::mq::partition_of(Some("account-7"), "m-1", 8), settee_core::mq::partition_of(Some("account-7"), "m-2", 8));
/// ```
#[must_use]
pub fn partition_of(key: Option<&str>, id: &str, partitions: u32) -> u32 {
    let hash = fnv1a(key.unwrap_or(id).as_bytes());
    u32::try_from(hash % u64::from(partitions.max(1))).unwrap_or(0)
}
