//! Which names topics, groups and producers may have. Left out: the keys and streams that a broker makes of them.

use crate::error::Error;
use crate::name::check;

/// Bytes of a topic's name at most, so that a stream's name fits into its limit.
pub const MAX_TOPIC_BYTES: usize = 100;
/// Bytes of a group's name at most.
pub const MAX_GROUP_BYTES: usize = 64;
/// Bytes of a producer's name at most.
pub const MAX_PRODUCER_BYTES: usize = 255;

/// Checks the name of a topic: the same for who publishes into an outbox and for the broker, which must never refuse later what was
/// promised in somebody's commit.
///
/// # Errors
/// `Invalid` when it is no name.
pub fn check_topic(name: &str) -> Result<(), Error> {
    check("topic", name, MAX_TOPIC_BYTES)
}

/// Checks the name of a consumer group.
///
/// # Errors
/// `Invalid` when it is no name.
pub fn check_group(name: &str) -> Result<(), Error> {
    check("group", name, MAX_GROUP_BYTES)
}

/// Checks the name of a producer.
///
/// # Errors
/// `Invalid` when it is no name.
pub fn check_producer(name: &str) -> Result<(), Error> {
    check("producer", name, MAX_PRODUCER_BYTES)
}
