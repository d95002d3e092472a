//! The only partition of a topic: the rule of `core::mq`, over a log in memory that answers at once.

use std::collections::VecDeque;

use settee_core::id::Offset;
use settee_core::mq::partition::{Effect, Event, Refusal, RequestId};
use settee_core::mq::{Partition, StoredMessage, Submission};
use settee_core::port::Appended;

use super::coordinator::OWNER;

/// The messages of a topic. A message's offset is its index, because nothing is ever trimmed.
pub(super) struct MemoryLog {
    rule: Partition,
    stored: Vec<StoredMessage>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        let (rule, _read_from_the_beginning) = Partition::take_over(OWNER);
        let mut log = Self { rule, stored: Vec::new() };
        log.apply(Event::Read { records: Vec::new(), end: Some(Offset(0)) });
        log
    }
}

impl MemoryLog {
    /// What is stored, in order.
    pub(super) fn stored(&self) -> &[StoredMessage] {
        &self.stored
    }

    /// Stores messages, or finds where they are stored already.
    pub(super) fn publish(&mut self, messages: Vec<Submission>) -> Result<Vec<Offset>, Refusal> {
        self.apply(Event::Publish { request: RequestId(0), messages }).into_iter().collect()
    }

    /// Applies an event and everything that follows from it; what became of the messages that it brought.
    fn apply(&mut self, event: Event) -> Vec<Result<Offset, Refusal>> {
        let (mut effects, mut answered) = (VecDeque::from(self.rule.apply(event)), Vec::new());
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Append { expected_tail, records } => {
                    self.stored.extend(records.iter().filter_map(|record| record.message().cloned()));
                    effects.extend(self.rule.apply(Event::Answered(Appended::At(expected_tail))));
                }
                Effect::Answer { results, .. } => answered = results,
                Effect::Read(_) | Effect::RetryLater | Effect::Park(_) => unreachable!("memory never fails"),
            }
        }
        answered
    }
}
