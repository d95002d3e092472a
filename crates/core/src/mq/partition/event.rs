//! What happens to a partition, what must be done about it, and why a message is refused.

use std::time::Duration;

use crate::error::{Error, ErrorKind, codes};
use crate::id::Offset;
use crate::port::Appended;

use super::super::record::{Message, ProducerMark, Record};
use super::{MAX_WAITING, MAX_WAITING_BYTES};

/// When to come back to a partition that is busy: several syncs of a disk that keeps up.
const BUSY_RETRY_AFTER: Duration = Duration::from_millis(50);

/// A message on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Who sends it.
    pub mark: ProducerMark,
    /// What is sent.
    pub message: Message,
}

/// The number of a publish request, unique in the process; its answer names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Why a message was not stored by this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A newer epoch of its producer has stored here.
    Fenced,
    /// It repeats something older than is remembered: whether it is stored cannot be told.
    Forgotten,
    /// Too much is waiting; nothing of the request was queued.
    Busy,
    /// The log certainly did not take it.
    NotStored,
    /// The log certainly did not take it, for want of room.
    Full,
    /// The partition is parked.
    Parked,
    /// Its log has stopped for good, or its owner has, and the log certainly never took it.
    Stopped,
    /// Its log has stopped for good, or its owner has, before it was known whether the log took it.
    Lost,
}

/// Why the log did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It has no room, and certainly did nothing.
    Full,
    /// It certainly did nothing.
    NotDone,
    /// Nobody knows whether it did.
    Unknown,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Someone wants messages stored, in this order.
    Publish {
        /// The request.
        request: RequestId,
        /// Its messages, at least one.
        messages: Vec<Submission>,
    },
    /// Records of the log, in order, from where [`Effect::Read`] asked; `end` once there are no more behind them.
    Read {
        /// The records and where they lie.
        records: Vec<(Offset, Record)>,
        /// Where the next record will lie, if these reach to it.
        end: Option<Offset>,
    },
    /// A record of the log is not what an owner writes.
    Unreadable,
    /// The log answered the append that is under way.
    Answered(Appended),
    /// What was under way failed, and perhaps happened.
    Failed(Failure),
    /// The wait after [`Effect::RetryLater`] is over.
    Retry,
    /// The log will never be asked again; what was under way failed like this.
    Stopped(Failure),
}

/// What must be done about it. Of `Read`, `Append` and `RetryLater` never more than one is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read the log from this position and report [`Event::Read`].
    Read(Offset),
    /// Append these records at this tail, and report the outcome.
    Append {
        /// The tail that they must meet.
        expected_tail: Offset,
        /// The records.
        records: Vec<Record>,
    },
    /// Wait, longer every time, and report [`Event::Retry`].
    RetryLater,
    /// Tell the sender: one result for each message, in order. Everything they observed is durable.
    Answer {
        /// The request.
        request: RequestId,
        /// The offset of each message, or why there is none.
        results: Vec<Result<Offset, Refusal>>,
    },
    /// Stop serving the partition and call an operator.
    Park(&'static str),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        use ErrorKind::{Closed, Conflict, Limited, Unavailable};
        match refusal {
            Refusal::Fenced => {
                Error::new(Conflict, codes::PRODUCER_FENCED, "publish: a newer epoch of the producer has published: end this one")
            }
            Refusal::Forgotten => {
                Error::new(Conflict, codes::WRITE_UNKNOWN, "publish: whether the message is stored cannot be told any more")
                    .unknown()
            }
            Refusal::Busy => {
                let text =
                    format!("publish: {MAX_WAITING} messages or {MAX_WAITING_BYTES} bytes of the partition wait for the log");
                Error::new(Limited, codes::RATE_LIMITED, text).with_retry_after(BUSY_RETRY_AFTER)
            }
            Refusal::NotStored => Error::new(Unavailable, codes::STORE_UNAVAILABLE, "publish: the log did not take the message"),
            Refusal::Full => Error::new(ErrorKind::Full, codes::STORE_FULL, "publish: the log has no room for the message"),
            Refusal::Parked => Error::new(Unavailable, codes::PARKED, "publish: the partition is parked: an operator is needed"),
            Refusal::Stopped => {
                Error::new(Closed, codes::DRAINING, "publish: the broker has stopped: send the message again, once it is back")
            }
            Refusal::Lost => {
                Error::new(Closed, codes::DRAINING, "publish: the broker stopped before the log said what became of the message")
                    .unknown()
            }
        }
    }
}
