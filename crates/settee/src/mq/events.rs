//! Requests to a broker as what the rules of `settee_core::mq` understand.
//!
//! What every broker has in common: the one of `settee-server`, and the one of `settee::testing`.

use std::time::Duration;

use settee_core::id::Offset;
use settee_core::mq::group::Event;
use settee_core::mq::{Cause, Message, ProducerMark, Submission};
use settee_core::{Error, Timestamp};

use super::control::{AckRef, MAX_CAUSE_BYTES, Nack, NackClass, OutgoingMessage, ProducerRef};

impl OutgoingMessage {
    /// The message as a partition takes it in, sent by `producer` and published at `published`.
    ///
    /// # Errors
    /// `Invalid` when it is too large or malformed.
    pub fn submission(self, producer: ProducerRef, published: Timestamp) -> Result<Submission, Error> {
        let Self { id, key, headers, payload, sequence, not_before } = self;
        let mark = ProducerMark { producer: producer.id, epoch: producer.epoch, sequence };
        let message = Message { id, key, headers, published, not_before, payload };
        message.check()?;
        Ok(Submission { mark, message })
    }
}

impl AckRef {
    /// What it tells the group.
    #[must_use]
    pub fn event(&self) -> Event {
        Event::Ack { offset: Offset(self.place.offset), delivery: self.token }
    }
}

impl Nack {
    /// What it tells the group, with `jitter` added to the backoff.
    #[must_use]
    pub fn event(self, jitter: Duration) -> Event {
        let Self { delivery, mut cause, class } = self;
        cause.truncate(cause.floor_char_boundary(MAX_CAUSE_BYTES));
        let cause = match class {
            NackClass::Retry => Cause::Failed(cause),
            NackClass::Reject => Cause::Rejected(cause),
        };
        Event::Nack { offset: Offset(delivery.place.offset), delivery: delivery.token, cause, jitter }
    }
}
