//! The owner of one partition: the rule, the requests that wait for it, and the one task that talks to the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::Certainty;
use settee_core::id::{FencingToken, Offset};
use settee_core::mq::partition::{Effect, Event, Failure, Partition, Refusal, RequestId};
use settee_core::mq::{Record, StoredMessage, Submission};
use settee_core::planted::Bug;
use settee_core::port::{Append, Log, ReadLimit, StoreError, StoreErrorKind};
use settee_core::trouble::Trouble;
use settee_core::{Error, Instant};
use tokio::sync::{Notify, oneshot, watch};

use super::name::PartitionName;

/// Records and bytes that are read at once: a few milliseconds of work, so that other partitions get their turn.
pub(super) const PAGE: ReadLimit = ReadLimit { records: 512, bytes: 2 << 20 };

/// The first and the longest wait before the log is tried again.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_LAST: Duration = Duration::from_secs(1);

/// How long the log may be silent before its answer counts as unknown: longer than a disk stalls, short enough to start anew.
/// What lands later finds another tail.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// One result for each message of a request.
type Results = Vec<Result<Offset, Refusal>>;

/// A partition that this server owns.
pub(super) struct PartitionOwner {
    pub(super) name: PartitionName,
    log: Arc<dyn Log>,
    state: Mutex<State>,
    work: Notify,
    /// The position below which the log may be read by groups.
    confirmed: watch::Sender<Offset>,
}

struct State {
    rule: Partition,
    /// What the task does next; the rule never wants two things at a time.
    next: Option<Effect>,
    answers: BTreeMap<RequestId, oneshot::Sender<Results>>,
    requests: u64,
    /// The log does not take records.
    trouble: Trouble,
}

impl PartitionOwner {
    /// A partition whose [`PartitionOwner::run`] must be started.
    pub(super) fn new(name: PartitionName, log: Arc<dyn Log>, owner: FencingToken) -> Self {
        let (rule, first) = Partition::take_over(owner);
        let state = State { rule, next: Some(first), answers: BTreeMap::new(), requests: 0, trouble: Trouble::default() };
        Self { name, log, state: Mutex::new(state), work: Notify::new(), confirmed: watch::Sender::new(Offset(0)) }
    }

    /// Stores messages: one offset for each, in order.
    ///
    /// # Cancel safety
    /// Dropped, they may be stored all the same.
    pub(super) async fn publish(&self, messages: Vec<Submission>) -> Result<Vec<Offset>, Error> {
        let results = self.queue(messages).await.map_err(|_| Error::from(Refusal::Lost))?;
        // One that is known to have failed must not hide one whose outcome is unknown.
        let unknown = results.iter().any(|result| matches!(result, Ok(_) | Err(Refusal::Forgotten | Refusal::Lost)));
        results.into_iter().collect::<Result<_, _>>().map_err(|refusal| {
            let error = Error::from(refusal);
            if unknown { error.unknown() } else { error }
        })
    }

    fn queue(&self, messages: Vec<Submission>) -> oneshot::Receiver<Results> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state.lock();
        state.requests += 1;
        let request = RequestId(state.requests);
        state.answers.insert(request, answer);
        self.apply(&mut state, Event::Publish { request, messages });
        answered
    }

    fn apply(&self, state: &mut State, event: Event) {
        for effect in state.rule.apply(event) {
            match effect {
                Effect::Answer { request, results } => {
                    let answer = state.answers.remove(&request);
                    let _the_caller_may_have_left = answer.map(|answer| answer.send(results));
                }
                Effect::Park(why) => tracing::error!(stream = %self.name.stream, why, "the partition is parked"),
                effect => {
                    state.next = Some(effect);
                    self.work.notify_one();
                }
            }
        }
        let confirmed = state.rule.confirmed();
        self.confirmed.send_if_modified(|known| std::mem::replace(known, confirmed) != confirmed);
    }

    /// Talks to the log until that stops for good.
    pub(super) async fn run(self: Arc<Self>) {
        let mut wait = RETRY_FIRST;
        loop {
            let next = self.state.lock().next.take();
            let Some(effect) = next else {
                self.work.notified().await;
                continue;
            };
            let is_retry = matches!(effect, Effect::RetryLater);
            if is_retry {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_LAST);
            }
            let event = self.perform(effect).await;
            let is_last = matches!(event, Event::Stopped(_));
            if matches!(event, Event::Answered(_)) {
                wait = RETRY_FIRST;
                self.note_answer();
            }
            self.apply(&mut self.state.lock(), event);
            if is_last {
                return;
            }
        }
    }

    /// Answers everyone who waits, and from now on everyone who comes: nobody talks to the log any more, and what was under way may
    /// have happened.
    fn stop(&self) {
        self.apply(&mut self.state.lock(), Event::Stopped(Failure::Unknown));
    }

    async fn perform(&self, effect: Effect) -> Event {
        match tokio::time::timeout(ANSWER_WITHIN, self.ask_log(effect)).await {
            Ok(event) => event,
            Err(_) => {
                if self.is_worth_a_line() {
                    tracing::warn!(stream = %self.name.stream, "the log is silent");
                }
                Event::Failed(Failure::Unknown)
            }
        }
    }

    async fn ask_log(&self, effect: Effect) -> Event {
        match effect {
            Effect::Read(position) => self.read_for_rule(position).await,
            Effect::Append { expected_tail, records } => self.append(expected_tail, &records).await,
            Effect::RetryLater | Effect::Answer { .. } | Effect::Park(_) => Event::Retry,
        }
    }

    async fn append(&self, expected_tail: Offset, records: &[Record]) -> Event {
        let Ok(batch) = records.iter().map(Record::encode).collect() else {
            return Event::Failed(Failure::NotDone);
        };
        let expected_tail = Some(expected_tail).filter(|_| !Bug::ForgetsExpectedTail.is_planted());
        let append = Append { stream: self.name.stream.clone(), batch, expected_tail };
        match self.log.append(append).await {
            Ok(appended) => Event::Answered(appended),
            Err(error) => self.failed("append", &error),
        }
    }

    async fn read_for_rule(&self, position: Offset) -> Event {
        let records = match self.log.read(&self.name.stream, position, PAGE).await {
            Ok(records) => records,
            Err(error) => return self.failed("read", &error),
        };
        if !records.is_empty() {
            let decoded = records.iter().map(|record| Record::decode(&record.payload).map(|decoded| (record.offset, decoded)));
            return match decoded.collect() {
                Ok(records) => Event::Read { records, end: None },
                Err(error) => self.unreadable(&error),
            };
        }
        match self.log.tail(&self.name.stream).await {
            Ok(tail) => Event::Read { records: Vec::new(), end: Some(tail).filter(|tail| *tail <= position) },
            Err(error) => self.failed("read the tail", &error),
        }
    }

    fn failed(&self, what: &str, error: &StoreError) -> Event {
        if error.kind() == StoreErrorKind::Poisoned || self.is_worth_a_line() {
            tracing::warn!(stream = %self.name.stream, what, %error, "the log failed");
        }
        let failure = match (error.kind(), error.certainty()) {
            (StoreErrorKind::Full, Certainty::NotDone) => Failure::Full,
            (_, Certainty::NotDone) => Failure::NotDone,
            _ => Failure::Unknown,
        };
        if error.kind() == StoreErrorKind::Poisoned { Event::Stopped(failure) } else { Event::Failed(failure) }
    }

    /// Whether a failure of the log should be written down: a log without room is asked for some every second, however long.
    fn is_worth_a_line(&self) -> bool {
        self.state.lock().trouble.met(Instant::now())
    }

    fn note_answer(&self) {
        if self.state.lock().trouble.is_over() {
            tracing::info!(stream = %self.name.stream, "the log takes records again");
        }
    }

    fn unreadable(&self, error: &Error) -> Event {
        tracing::error!(stream = %self.name.stream, %error, "a record of the log cannot be read");
        Event::Unreadable
    }

    /// The messages from `position` on, and the position behind what was read. Only final records are read.
    pub(super) async fn read(&self, position: Offset, limit: ReadLimit) -> Result<Vec<(Offset, Record)>, Error> {
        let confirmed = *self.confirmed.borrow();
        let records = self.log.read(&self.name.stream, position, limit).await?;
        let is_final = |record: &&settee_core::port::Record| record.offset < confirmed;
        records.iter().filter(is_final).map(|record| Ok((record.offset, Record::decode(&record.payload)?))).collect()
    }

    /// The message that lies at `position`, which is final because it was read before: also while the tail is not known.
    pub(super) async fn read_one(&self, position: Offset) -> Result<Option<StoredMessage>, Error> {
        let records = self.log.read(&self.name.stream, position, ReadLimit { records: 1, ..PAGE }).await?;
        let Some(found) = records.first().filter(|record| record.offset == position) else { return Ok(None) };
        Ok(match Record::decode(&found.payload)? {
            Record::Message { stored, .. } => Some(stored),
            Record::Barrier { .. } => None,
        })
    }

    /// The position below which the log may be read, as it grows.
    pub(super) fn confirmed(&self) -> watch::Receiver<Offset> {
        self.confirmed.subscribe()
    }

    /// The offset of the next message.
    pub(super) fn next(&self) -> Offset {
        self.state.lock().rule.next()
    }

    /// How many messages wait for their append.
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().rule.waiting()
    }

    /// Whether the partition waits for an operator.
    pub(super) fn is_parked(&self) -> bool {
        self.state.lock().rule.is_parked()
    }

    /// The log's tail, for the check at load.
    pub(super) async fn tail(&self) -> Result<Offset, Error> {
        Ok(self.log.tail(&self.name.stream).await?)
    }
}

/// Starts the task of a partition. A log that has stopped for good ends the server, as a store does (P9): what is on its disk is
/// not known before it is read again. However it ends, nobody is left waiting for an answer of it.
pub(super) fn start(partition: &Arc<PartitionOwner>, shards: &crate::shard::Shards) {
    let (partition, shards) = (partition.clone(), shards.clone());
    settee_core::env::spawn(async move {
        tokio::select! {
            () = shards.lost() => {}
            () = partition.clone().run() => shards.lose(),
        }
        partition.stop();
    });
}
