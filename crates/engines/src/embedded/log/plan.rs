//! Decides a group: which requests go in, at which offsets, and what each is answered once the group is durable. Pure.
//!
//! Offsets and `expected_tail` are decided here, in order of arrival and counting what the group already holds, and not when a
//! request is queued: so a group that is refused leaves no gap behind it. An answer about a tail waits for the group as well,
//! because the tail may be the group's.

use std::collections::BTreeMap;

use bytes::Bytes;
use settee_core::id::Offset;
use settee_core::port::{Append, Appended, StoreError, StoreErrorKind, StreamName};
use tokio::sync::oneshot;

use super::entry::{ENTRY_HEADER, Entry};
use super::index::{Index, MAX_STREAMS};

/// What waits for the next group.
pub(super) enum Request {
    Append(Append, Reply<Appended>),
    Trim(StreamName, Offset, Reply<()>),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// An answer that is given when the group is durable.
pub(super) enum Answer {
    Append(Reply<Appended>, Appended),
    Trim(Reply<()>),
}

impl Answer {
    /// Gives the answer, or the error. A caller that has gone away does not mind.
    pub(super) fn give(self, failed: Option<&StoreError>) {
        match (self, failed.cloned()) {
            (Self::Append(reply, appended), failed) => drop(reply.send(failed.map_or(Ok(appended), Err))),
            (Self::Trim(reply), failed) => drop(reply.send(failed.map_or(Ok(()), Err))),
        }
    }
}

/// A decided group. Without entries there is nothing to write, and the answers hold at once.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) entries: Vec<Entry>,
    pub(super) answers: Vec<Answer>,
}

/// Decides `requests` against `index`.
pub(super) fn plan(index: &Index, requests: Vec<Request>) -> Plan {
    let mut planner = Planner { index, new: BTreeMap::new(), tails: BTreeMap::new(), plan: Plan::default() };
    for request in requests {
        match request {
            Request::Append(append, reply) => planner.append(append, reply),
            Request::Trim(stream, before, reply) => planner.trim(&stream, before, reply),
        }
    }
    planner.plan
}

struct Planner<'a> {
    index: &'a Index,
    /// Streams that this group makes.
    new: BTreeMap<StreamName, u32>,
    /// Tails that this group moves.
    tails: BTreeMap<u32, u64>,
    plan: Plan,
}

impl Planner<'_> {
    fn append(&mut self, append: Append, reply: Reply<Appended>) {
        let tail = self.tail(&append.stream);
        if append.expected_tail.is_some_and(|expected| expected.0 != tail) {
            self.plan.answers.push(Answer::Append(reply, Appended::TailIs(Offset(tail))));
            return;
        }
        let Some(stream) = self.number_or_new(&append.stream) else {
            drop(reply.send(Err(StoreError::not_done(
                StoreErrorKind::Limit,
                format!("stream {} would be one more than the {MAX_STREAMS} streams of a log", append.stream),
            ))));
            return;
        };
        self.tails.insert(stream, tail + append.batch.len() as u64);
        self.plan.entries.push(Entry::Records { stream, first: tail, payloads: append.batch });
        self.plan.answers.push(Answer::Append(reply, Appended::At(Offset(tail))));
    }

    fn trim(&mut self, name: &StreamName, before: Offset, reply: Reply<()>) {
        let before = before.0.min(self.tail(name));
        let trimmed = self.index.named(name).map_or(0, |stream| stream.trimmed);
        if let (true, Some(stream)) = (before > trimmed, self.number(name)) {
            self.plan.entries.push(Entry::Trim { stream, before });
        }
        self.plan.answers.push(Answer::Trim(reply));
    }

    fn number(&self, name: &StreamName) -> Option<u32> {
        self.index.number(name).or_else(|| self.new.get(name).copied())
    }

    fn number_or_new(&mut self, name: &StreamName) -> Option<u32> {
        if let Some(number) = self.number(name) {
            return Some(number);
        }
        let count = self.index.len() + self.new.len();
        let number = u32::try_from(count).ok().filter(|_| count < MAX_STREAMS)?;
        self.new.insert(name.clone(), number);
        self.plan.entries.push(Entry::Stream { stream: number, tail: 0, trimmed: 0, name: name.clone() });
        Some(number)
    }

    fn tail(&self, name: &StreamName) -> u64 {
        let Some(number) = self.number(name) else { return 0 };
        let durable = self.index.stream(number).map_or(0, |stream| stream.tail);
        self.tails.get(&number).copied().unwrap_or(durable)
    }
}

/// Bytes that a batch takes in a group at most, with the declaration of its stream, and about what it takes in the queue.
pub(super) fn weight(stream: &StreamName, batch: &[Bytes]) -> usize {
    const HEADERS: usize = 2 * ENTRY_HEADER + 64;
    let records = batch.iter().map(|payload| payload.len() + size_of::<Bytes>()).sum::<usize>();
    HEADERS + stream.as_str().len() + records
}
