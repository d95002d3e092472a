//! The owner's view of a partition's log: who may append at which tail, and what became of it (`PROTOCOLS.md` P3).
//!
//! ```text
//!  Reading --read up to the end--> Barring --answered--> Ready --batch--> Appending --answered--> Ready
//!     ^  \                            |                                      |
//!     |   `--failed--> Stalled <-fail-+                                      |
//!     |                  | retry      |                                      |
//!     +------------------+------------+-- another tail, or no answer --------+
//! ```
//! An owner has a tail only in `Ready` and `Appending`. It gets one by reading the log to its end and appending a barrier that
//! expects that end: once the barrier is answered, no append of before can land any more. A batch without an answer goes back
//! to the head of the waiting list; what the log turns out to hold of it is answered with its offset, the rest is appended anew.
//! So nothing is appended twice, and nothing overtakes.
//!
//! A log without room refuses a batch, or the barrier. While it has none for the barrier, what was never sent to it is refused as
//! not done, instead of waiting for room that may take hours; the barrier is the probe that finds it again.
//!
//! A log that has stopped for good, or an owner that has, ends any stage in `Stopped`: whoever waits is told at once what is known,
//! and so is whoever comes.
//!
//! One batch is under way at a time; what arrives meanwhile is the next one. Left out: the spill into `Kv` for a silent log.

mod event;

pub use event::{Effect, Event, Failure, Refusal, RequestId, Submission};

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::id::{FencingToken, Offset};
use crate::port::Appended;

use super::dedupe::{Producers, Verdict, WINDOW};
use super::record::{MAX_RECORD_BYTES, ProducerMark, Record, StoredMessage};

/// Messages of one append at most: no more than a producer's window, so that all of them can be recognised later.
pub const MAX_BATCH: usize = WINDOW;
/// Bytes of one append, give or take its last message: a batch stays one request for every engine.
pub const MAX_BATCH_BYTES: usize = MAX_RECORD_BYTES;
/// Messages that may wait for their append; beyond it the partition is busy. Far below it nothing waits longer than a second.
pub const MAX_WAITING: usize = 16_384;
/// Bytes that may wait for their append.
pub const MAX_WAITING_BYTES: usize = 8 << 20;

/// A partition as its owner sees it.
///
/// ```
/// use settee_core::id::{FencingToken, Offset};
/// use settee_core::mq::partition::{Effect, Event, Partition};
///
/// let (mut partition, first) = Partition::take_over(FencingToken::default());
/// assert_eq!(first, Effect::Read(Offset(0)));
/// let effects = partition.apply(Event::Read { records: Vec::new(), end: Some(Offset(0)) });
/// assert!(matches!(effects[..], [Effect::Append { .. }]), "a barrier before anything else");
/// ```
#[derive(Clone, Debug)]
pub struct Partition {
    owner: FencingToken,
    stage: Stage,
    /// The logical offset of the next message.
    next: Offset,
    /// Everything below this position of the log is final and may be delivered.
    confirmed: Offset,
    producers: Producers,
    waiting: VecDeque<Pending>,
    waiting_bytes: usize,
    requests: BTreeMap<RequestId, Open>,
}

#[derive(Clone, Debug)]
enum Stage {
    Reading { position: Offset },
    Barring { tail: Offset },
    Stalled { position: Offset, is_full: bool },
    Ready { tail: Offset },
    Appending { tail: Offset, batch: Vec<Pending> },
    Parked,
    Stopped,
}

#[derive(Clone, Debug)]
struct Pending {
    request: RequestId,
    index: usize,
    submission: Submission,
    /// Whether it may be in the log already.
    was_sent: bool,
}

#[derive(Clone, Debug)]
struct Open {
    results: Vec<Option<Result<Offset, Refusal>>>,
    missing: usize,
}

impl Partition {
    /// A partition that `owner` takes over, and the first thing to do: read its log from the beginning.
    #[must_use]
    pub fn take_over(owner: FencingToken) -> (Self, Effect) {
        let partition = Self {
            owner,
            stage: Stage::Reading { position: Offset(0) },
            next: Offset(0),
            confirmed: Offset(0),
            producers: Producers::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            requests: BTreeMap::new(),
        };
        (partition, Effect::Read(Offset(0)))
    }

    /// The logical offset that the next message will get.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.next
    }

    /// The position in the log below which everything is final: what groups may read.
    #[must_use]
    pub fn confirmed(&self) -> Offset {
        self.confirmed
    }

    /// Whether the partition waits for an operator.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        matches!(self.stage, Stage::Parked)
    }

    /// How many messages wait for their append.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes note of `event`; what must follow, in order. An event that does not fit the stage has no effect.
    pub fn apply(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match (event, &self.stage) {
            (Event::Publish { request, messages }, _) => self.publish(request, messages, &mut effects),
            (Event::Read { records, end }, &Stage::Reading { position }) => self.read(position, records, end, &mut effects),
            (Event::Unreadable, _) => self.park("a record of the log cannot be read", &mut effects),
            (Event::Answered(answer), &Stage::Barring { tail }) => self.barrier_answered(tail, answer, &mut effects),
            (Event::Answered(answer), &Stage::Appending { tail, .. }) => self.append_answered(tail, answer, &mut effects),
            (Event::Failed(failure), &Stage::Appending { tail, .. }) => self.append_failed(tail, failure, &mut effects),
            (Event::Failed(failure), &(Stage::Reading { position } | Stage::Barring { tail: position })) => {
                self.stall(position, failure, &mut effects)
            }
            (Event::Retry, &Stage::Stalled { position, .. }) => self.read_again(position, &mut effects),
            (Event::Stopped(under_way), _) => self.stop(under_way, &mut effects),
            _ => {}
        }
        effects
    }

    fn publish(&mut self, request: RequestId, messages: Vec<Submission>, effects: &mut Vec<Effect>) {
        let bytes: usize = messages.iter().map(|one| one.message.stored_size()).sum();
        let refusal = if self.is_parked() {
            Some(Refusal::Parked)
        } else if matches!(self.stage, Stage::Stopped) {
            Some(Refusal::Stopped)
        } else if matches!(self.stage, Stage::Stalled { is_full: true, .. }) {
            Some(Refusal::Full)
        } else if self.waiting.len() + messages.len() > MAX_WAITING || self.waiting_bytes + bytes > MAX_WAITING_BYTES {
            Some(Refusal::Busy)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return effects.push(Effect::Answer { request, results: vec![Err(refusal); messages.len()] });
        }
        self.waiting_bytes += bytes;
        self.requests.insert(request, Open { results: vec![None; messages.len()], missing: messages.len() });
        let messages = messages.into_iter().enumerate();
        let pending = messages.map(|(index, submission)| Pending { request, index, submission, was_sent: false });
        self.waiting.extend(pending);
        self.append_next(effects);
    }

    fn read(&mut self, position: Offset, records: Vec<(Offset, Record)>, end: Option<Offset>, effects: &mut Vec<Effect>) {
        let mut position = position;
        for (at, record) in records {
            let Some(after) = self.learn(position, at, &record) else {
                return self.park("a record lies where none can be, or repeats a logical offset", effects);
            };
            position = after;
        }
        match end {
            None => {
                self.stage = Stage::Reading { position };
                effects.push(Effect::Read(position));
            }
            Some(end) if end < self.confirmed || end < position => self.park("the log ends below what was acknowledged", effects),
            Some(end) => {
                self.stage = Stage::Barring { tail: end };
                let records = vec![Record::Barrier { owner: self.owner }];
                effects.push(Effect::Append { expected_tail: end, records });
            }
        }
    }

    /// Takes a record of the log into account: the position behind it, or `None` if it cannot be.
    fn learn(&mut self, expected: Offset, at: Offset, record: &Record) -> Option<Offset> {
        if at < expected {
            return None;
        }
        if let Some(stored) = record.message() {
            if stored.offset < self.next {
                return None;
            }
            self.next = stored.offset.plus(1);
            self.producers.record(stored.mark, stored.offset);
        }
        Some(at.plus(1))
    }

    fn barrier_answered(&mut self, tail: Offset, answer: Appended, effects: &mut Vec<Effect>) {
        match answer {
            Appended::At(at) if at == tail => {
                self.confirmed = tail.plus(1);
                self.stage = Stage::Ready { tail: self.confirmed };
                self.append_next(effects);
            }
            Appended::TailIs(other) if other > tail => self.read_again(tail, effects),
            Appended::At(_) | Appended::TailIs(_) => self.park("the log answered a barrier with an impossible tail", effects),
        }
    }

    fn append_answered(&mut self, tail: Offset, answer: Appended, effects: &mut Vec<Effect>) {
        match answer {
            Appended::At(at) if at == tail => self.batch_stored(tail, effects),
            Appended::TailIs(other) if other > tail => self.read_again(tail, effects),
            Appended::At(_) | Appended::TailIs(_) => self.park("the log answered an append with an impossible tail", effects),
        }
    }

    fn batch_stored(&mut self, tail: Offset, effects: &mut Vec<Effect>) {
        let batch = self.take_batch();
        self.confirmed = tail.plus(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        self.stage = Stage::Ready { tail: self.confirmed };
        for pending in batch {
            let offset = self.next;
            self.next = offset.plus(1);
            self.producers.record(pending.submission.mark, offset);
            self.settle(&pending, Ok(offset), effects);
        }
        self.append_next(effects);
    }

    fn append_failed(&mut self, tail: Offset, failure: Failure, effects: &mut Vec<Effect>) {
        let refusal = match failure {
            Failure::Full => Refusal::Full,
            Failure::NotDone => Refusal::NotStored,
            Failure::Unknown => return self.read_again(tail, effects),
        };
        let batch = self.take_batch();
        self.stage = Stage::Ready { tail };
        for pending in batch {
            self.settle(&pending, Err(refusal), effects);
        }
        self.append_next(effects);
    }

    /// Reads the log from `position` on; what was under way waits first in line until it is known whether it landed.
    fn read_again(&mut self, position: Offset, effects: &mut Vec<Effect>) {
        for pending in self.take_batch().into_iter().rev() {
            self.waiting_bytes += pending.submission.message.stored_size();
            self.waiting.push_front(Pending { was_sent: true, ..pending });
        }
        self.stage = Stage::Reading { position };
        effects.push(Effect::Read(position));
    }

    fn stall(&mut self, position: Offset, failure: Failure, effects: &mut Vec<Effect>) {
        let is_full = failure == Failure::Full;
        self.stage = Stage::Stalled { position, is_full };
        effects.push(Effect::RetryLater);
        if is_full {
            self.refuse_unsent(effects);
        }
    }

    /// Tells the senders of what certainly is not in the log; what may be in it waits on.
    fn refuse_unsent(&mut self, effects: &mut Vec<Effect>) {
        for pending in std::mem::take(&mut self.waiting) {
            if pending.was_sent {
                self.waiting.push_back(pending);
                continue;
            }
            self.waiting_bytes = self.waiting_bytes.saturating_sub(pending.submission.message.stored_size());
            self.settle(&pending, Err(Refusal::Full), effects);
        }
    }

    fn park(&mut self, why: &'static str, effects: &mut Vec<Effect>) {
        self.stage = Stage::Parked;
        self.waiting.clear();
        self.waiting_bytes = 0;
        effects.push(Effect::Park(why));
        for (request, open) in std::mem::take(&mut self.requests) {
            let results = open.results.into_iter().map(|result| result.unwrap_or(Err(Refusal::Forgotten)));
            effects.push(Effect::Answer { request, results: results.collect() });
        }
    }

    fn stop(&mut self, under_way: Failure, effects: &mut Vec<Effect>) {
        let batch_is_unknown = under_way == Failure::Unknown;
        let batch = self.take_batch().into_iter().map(|pending| (pending, batch_is_unknown));
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|pending| {
            let was_sent = pending.was_sent;
            (pending, was_sent)
        });
        self.stage = Stage::Stopped;
        self.waiting_bytes = 0;
        for (pending, is_unknown) in batch.chain(waiting) {
            let refusal = if is_unknown { Refusal::Lost } else { Refusal::Stopped };
            self.settle(&pending, Err(refusal), effects);
        }
    }

    /// Makes the next batch of what waits, if the tail is known and nothing is under way.
    fn append_next(&mut self, effects: &mut Vec<Effect>) {
        let Stage::Ready { tail } = self.stage else { return };
        let batch = self.next_batch(effects);
        if batch.is_empty() {
            return;
        }
        let records = (self.next.0..).zip(&batch).map(|(offset, pending)| self.record_at(Offset(offset), &pending.submission));
        effects.push(Effect::Append { expected_tail: tail, records: records.collect() });
        self.stage = Stage::Appending { tail, batch };
    }

    /// Takes from the waiting list what is new; answers what is not. A repeat within the batch ends it: it is answered after it.
    fn next_batch(&mut self, effects: &mut Vec<Effect>) -> Vec<Pending> {
        let (mut batch, mut marks, mut bytes) = (Vec::new(), BTreeSet::new(), 0);
        while let Some(pending) = self.waiting.pop_front() {
            let size = pending.submission.message.stored_size();
            let mark = pending.submission.mark;
            let is_full = batch.len() == MAX_BATCH || (bytes + size > MAX_BATCH_BYTES && !batch.is_empty());
            if is_full || must_wait(&marks, mark) {
                self.waiting.push_front(pending);
                break;
            }
            self.waiting_bytes = self.waiting_bytes.saturating_sub(size);
            match self.producers.check(mark) {
                Verdict::New => {
                    marks.insert(mark);
                    bytes += size;
                    batch.push(pending);
                }
                Verdict::Duplicate(offset) => self.settle(&pending, Ok(offset), effects),
                Verdict::Fenced => self.settle(&pending, Err(Refusal::Fenced), effects),
                Verdict::Forgotten => self.settle(&pending, Err(Refusal::Forgotten), effects),
            }
        }
        batch
    }

    fn record_at(&self, offset: Offset, submission: &Submission) -> Record {
        let Submission { mark, message } = submission.clone();
        Record::Message { owner: self.owner, stored: StoredMessage { offset, mark, message } }
    }

    fn take_batch(&mut self) -> Vec<Pending> {
        match std::mem::replace(&mut self.stage, Stage::Parked) {
            Stage::Appending { batch, .. } => batch,
            _ => Vec::new(),
        }
    }

    fn settle(&mut self, pending: &Pending, result: Result<Offset, Refusal>, effects: &mut Vec<Effect>) {
        let Some(open) = self.requests.get_mut(&pending.request) else { return };
        if let Some(slot) = open.results.get_mut(pending.index) {
            *slot = Some(result);
            open.missing -= 1;
        }
        if open.missing > 0 {
            return;
        }
        if let Some(open) = self.requests.remove(&pending.request) {
            let results = open.results.into_iter().flatten().collect();
            effects.push(Effect::Answer { request: pending.request, results });
        }
    }
}

/// Whether `mark` can only be judged once the batch with `marks` is stored: it is in it, or its producer is in another epoch.
fn must_wait(marks: &BTreeSet<ProducerMark>, mark: ProducerMark) -> bool {
    let first = marks.range(ProducerMark { epoch: 0, sequence: 0, ..mark }..).next();
    first.is_some_and(|first| first.producer == mark.producer && first.epoch != mark.epoch) || marks.contains(&mark)
}

#[cfg(test)]
#[path = "partition_test.rs"]
mod tests;
