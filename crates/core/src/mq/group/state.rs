//! What happens to a group, what must be done about it, what of it is written, and its limits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::Offset;
use crate::time::Instant;

/// The limits of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupPolicy {
    /// How long a delivery may stay unanswered before the message is delivered again. Default 30 s.
    pub visibility: Duration,
    /// Deliveries of a message before it becomes a dead letter. Default 16: with the default backoff about 45 minutes.
    pub max_attempts: u32,
    /// The wait after the first failure; doubles with every further one. Default 1 s.
    pub backoff_first: Duration,
    /// The longest wait. Default 5 min.
    pub backoff_max: Duration,
    /// Messages that may be read and not done at a time. Default 1,024: a key that blocks holds back no others until this
    /// many of its own messages wait.
    pub window: usize,
}

impl Default for GroupPolicy {
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            max_attempts: 16,
            backoff_first: Duration::from_secs(1),
            backoff_max: Duration::from_secs(300),
            window: 1_024,
        }
    }
}

impl GroupPolicy {
    /// The wait after the `attempts`-th failed delivery, without jitter.
    #[must_use]
    pub fn backoff(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        self.backoff_first.saturating_mul(1 << doublings).min(self.backoff_max)
    }
}

/// Why a delivery did not end well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The handler failed and may succeed another time.
    Failed(String),
    /// The handler said that trying again cannot help: buried at once.
    Rejected(String),
    /// Nobody answered before the deadline.
    Unanswered,
    /// The consumer went away.
    ConsumerLost,
}

/// What happened to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message was read from the log, for the first time or again after a restart.
    Read {
        /// Its logical offset.
        offset: Offset,
        /// Where it lies in the log.
        position: Offset,
        /// Its key.
        key: Option<String>,
        /// When it may be delivered, if later than now.
        not_before: Option<Instant>,
    },
    /// A record that is no message was read.
    Passed {
        /// Where it lies in the log.
        position: Offset,
    },
    /// A consumer wants up to `limit` messages.
    Take {
        /// The consumer.
        consumer: u64,
        /// How many.
        limit: usize,
    },
    /// A delivery was processed.
    Ack {
        /// The message.
        offset: Offset,
        /// Which delivery of it.
        delivery: u64,
    },
    /// A delivery failed.
    Nack {
        /// The message.
        offset: Offset,
        /// Which delivery of it.
        delivery: u64,
        /// Why.
        cause: Cause,
        /// Added to the backoff, so that failures together do not come back together.
        jitter: Duration,
    },
    /// Time has passed.
    Tick,
    /// A consumer went away.
    ConsumerLost {
        /// The consumer.
        consumer: u64,
    },
    /// An operator wants a dead letter delivered again.
    Revive {
        /// The message.
        offset: Offset,
        /// Where it lies in the log.
        position: Offset,
        /// Its key.
        key: Option<String>,
    },
}

/// What must be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send the message to the consumer that took it.
    Deliver {
        /// The message.
        offset: Offset,
        /// The how manieth delivery it is, from 1.
        attempt: u32,
        /// The number that the answer must carry.
        delivery: u64,
    },
    /// The message is done.
    Done {
        /// The message.
        offset: Offset,
    },
    /// The answer is of a delivery that no longer counts; it changed nothing.
    Stale {
        /// The message.
        offset: Offset,
    },
    /// The message may be delivered again at once.
    Redeliver {
        /// The message.
        offset: Offset,
    },
    /// Write a dead letter, together with the snapshot.
    Bury {
        /// The message.
        offset: Offset,
        /// Where it lies in the log.
        position: Offset,
        /// How often it was delivered.
        attempts: u32,
        /// Why it is given up.
        cause: Cause,
    },
}

/// What is written of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Everything below this offset has been read, and is done unless it is in `open`.
    pub next: Offset,
    /// The position in the log that this reflects: where `next` or a later message lies.
    pub position: Offset,
    /// What is not done.
    pub open: Vec<OpenMessage>,
}

/// A message that was read and is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenMessage {
    /// Its logical offset.
    pub offset: Offset,
    /// Where it lies in the log.
    pub position: Offset,
    /// How often it was delivered.
    pub attempts: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_limit() {
        let policy = GroupPolicy::default();
        let table = [(0, 1), (1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (16, 300), (u32::MAX, 300)];
        for (attempts, seconds) in table {
            assert_eq!(policy.backoff(attempts), Duration::from_secs(seconds), "after {attempts}");
        }
    }
}
