//! [`MemoryLog`]: a [`Log`] in memory, with faults that the caller decides.
//!
//! It keeps the contract exactly when no fault is planned. A fault is decided once per append, when it is called; silence (a log
//! whose leader is gone) holds every answer back until it ends, while what was appended may already have landed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use settee_core::env;
use settee_core::id::Offset;
use settee_core::port::{Append, Appended, BoxFuture, Log, ReadLimit, Record, StoreError, StoreErrorKind, StreamName};
use tokio::sync::watch;

/// What goes wrong with one append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFault {
    /// It is refused, and certainly not done.
    Refused,
    /// Its outcome is unknown, and it was not done.
    UnknownBefore,
    /// Its outcome is unknown, and it was done.
    UnknownAfter,
    /// Its sync fails: its outcome is unknown, it was not done, and the log says that it has stopped for good.
    SyncFailed,
    /// It never answers, and was not done.
    SilentBefore,
    /// It never answers, and was done.
    SilentAfter,
    /// It never answers, and is done after this time, long after its caller has given it up.
    SilentLate(Duration),
}

impl AppendFault {
    fn is_done(self) -> bool {
        matches!(self, Self::UnknownAfter | Self::SilentAfter)
    }

    fn is_silent(self) -> bool {
        matches!(self, Self::SilentBefore | Self::SilentAfter | Self::SilentLate(_))
    }

    fn error(self) -> StoreError {
        match self {
            Self::Refused => StoreError::not_done(StoreErrorKind::Unavailable, "the log refused the append, as planned"),
            Self::SyncFailed => StoreError::unknown(StoreErrorKind::Poisoned, "the log failed to sync, as planned"),
            _ => StoreError::unknown(StoreErrorKind::Unavailable, "the log did not say what became of the append, as planned"),
        }
    }
}

/// Decides which appends fail. A closure over a seeded generator is one.
pub trait LogFaults: Send + Sync + 'static {
    /// What goes wrong with this append; `None`: nothing.
    fn on_append(&self, append: &Append) -> Option<AppendFault>;
}

impl<F: Fn(&Append) -> Option<AppendFault> + Send + Sync + 'static> LogFaults for F {
    fn on_append(&self, append: &Append) -> Option<AppendFault> {
        self(append)
    }
}

/// A log in memory. Clones are the same log, so that it can outlive the node that uses it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use settee_core::{Certainty, port::{Append, Log, StreamName}};
/// use settee_engines::memory::{AppendFault, MemoryLog};
///
/// let log = MemoryLog::with_faults(|_: &Append| Some(AppendFault::UnknownAfter));
/// let stream = StreamName::new("orders").unwrap();
/// let append = Append { stream: stream.clone(), batch: vec!["pay 5".into()], expected_tail: None };
/// assert_eq!(log.append(append).await.unwrap_err().certainty(), Certainty::Unknown);
/// assert_eq!(log.tail(&stream).await?.0, 1, "it was done all the same");
/// # Ok::<(), settee_core::port::StoreError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryLog {
    streams: Arc<Mutex<BTreeMap<StreamName, Stream>>>,
    faults: Arc<dyn LogFaults>,
    silent: watch::Sender<bool>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLog {
    /// An empty log without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::with_faults(|_: &Append| None)
    }

    /// An empty log whose appends fail as `faults` decides.
    #[must_use]
    pub fn with_faults(faults: impl LogFaults) -> Self {
        Self { streams: Arc::default(), faults: Arc::new(faults), silent: watch::Sender::new(false) }
    }

    /// While silent, no call is answered. Appends made meanwhile take effect at once; their answers come when silence ends.
    pub fn set_silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }

    async fn silence_over(&self) {
        // The sender is in `self`, so waiting cannot fail.
        let _ = self.silent.subscribe().wait_for(|silent| !silent).await;
    }

    fn decide(&self, append: Append) -> (Option<AppendFault>, Result<Appended, StoreError>) {
        if append.batch.is_empty() {
            return (None, Err(StoreError::not_done(StoreErrorKind::Limit, "a batch without records cannot be appended")));
        }
        match self.faults.on_append(&append) {
            None => (None, Ok(self.apply(append))),
            Some(fault) => {
                match fault {
                    AppendFault::SilentLate(after) => self.apply_after(after, append),
                    _ if fault.is_done() => drop(self.apply(append)),
                    _ => {}
                }
                (Some(fault), Err(fault.error()))
            }
        }
    }

    fn apply_after(&self, time: Duration, append: Append) {
        let log = self.clone();
        env::spawn(async move {
            tokio::time::sleep(time).await;
            log.apply(append);
        });
    }

    fn apply(&self, append: Append) -> Appended {
        let mut streams = self.streams.lock();
        let tail = streams.get(&append.stream).map_or(0, Stream::tail);
        if append.expected_tail.is_some_and(|expected| expected.0 != tail) {
            return Appended::TailIs(Offset(tail));
        }
        streams.entry(append.stream).or_default().records.extend(append.batch);
        Appended::At(Offset(tail))
    }
}

/// The records of one stream; those before `trimmed` are gone.
#[derive(Default)]
struct Stream {
    trimmed: u64,
    records: VecDeque<Bytes>,
}

impl Stream {
    fn tail(&self) -> u64 {
        self.trimmed + self.records.len() as u64
    }

    fn trim(&mut self, before: u64) {
        while self.trimmed < before && self.records.pop_front().is_some() {
            self.trimmed += 1;
        }
    }

    fn read(&self, from: u64, limit: ReadLimit) -> Vec<Record> {
        let mut bytes = 0;
        let skip = usize::try_from(from.saturating_sub(self.trimmed)).unwrap_or(usize::MAX);
        let fits = |(at, payload): &(usize, &Bytes)| {
            bytes += payload.len();
            *at == 0 || bytes <= limit.bytes
        };
        let taken = self.records.iter().skip(skip).take(limit.records).enumerate().take_while(fits);
        (from.max(self.trimmed)..)
            .zip(taken)
            .map(|(offset, (_, payload))| Record { offset: Offset(offset), payload: payload.clone() })
            .collect()
    }
}

impl Log for MemoryLog {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, StoreError>> {
        let (fault, answer) = self.decide(append);
        Box::pin(async move {
            if fault.is_some_and(AppendFault::is_silent) {
                std::future::pending::<()>().await;
            }
            self.silence_over().await;
            answer
        })
    }

    fn read(&self, stream: &StreamName, from: Offset, limit: ReadLimit) -> BoxFuture<'_, Result<Vec<Record>, StoreError>> {
        let stream = stream.clone();
        Box::pin(async move {
            self.silence_over().await;
            Ok(self.streams.lock().get(&stream).map(|stream| stream.read(from.0, limit)).unwrap_or_default())
        })
    }

    fn tail(&self, stream: &StreamName) -> BoxFuture<'_, Result<Offset, StoreError>> {
        let stream = stream.clone();
        Box::pin(async move {
            self.silence_over().await;
            Ok(Offset(self.streams.lock().get(&stream).map_or(0, Stream::tail)))
        })
    }

    fn trim(&self, stream: &StreamName, before: Offset) -> BoxFuture<'_, Result<(), StoreError>> {
        let stream = stream.clone();
        Box::pin(async move {
            self.silence_over().await;
            if let Some(stream) = self.streams.lock().get_mut(&stream) {
                stream.trim(before.0);
            }
            Ok(())
        })
    }

    fn streams(&self) -> BoxFuture<'_, Result<Vec<StreamName>, StoreError>> {
        Box::pin(async move {
            self.silence_over().await;
            Ok(self.streams.lock().keys().cloned().collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use settee_core::Certainty;

    use super::*;

    fn append(text: &'static str) -> Append {
        Append { stream: StreamName::new("s").unwrap(), batch: vec![Bytes::from_static(text.as_bytes())], expected_tail: None }
    }

    #[tokio::test]
    async fn it_keeps_the_contract_of_a_log() {
        settee_core::testing::log::contract(async || Arc::new(MemoryLog::new()) as Arc<dyn Log>).await;
    }

    #[tokio::test]
    async fn each_fault_does_what_it_says_and_no_more() {
        let cases = [
            (AppendFault::Refused, Some(Certainty::NotDone), 0),
            (AppendFault::UnknownBefore, Some(Certainty::Unknown), 0),
            (AppendFault::UnknownAfter, Some(Certainty::Unknown), 1),
            (AppendFault::SyncFailed, Some(Certainty::Unknown), 0),
            (AppendFault::SilentBefore, None, 0),
            (AppendFault::SilentAfter, None, 1),
        ];
        for (fault, expected, tail) in cases {
            let log = MemoryLog::with_faults(move |_: &Append| Some(fault));
            let answer = log.append(append("a")).now_or_never().map(|answer| answer.unwrap_err().certainty());
            assert_eq!(answer, expected, "{fault:?}");
            assert_eq!(log.tail(&append("a").stream).await.unwrap(), Offset(tail), "{fault:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_append_lands_where_it_was_sent_to_or_nowhere() {
        let late = AppendFault::SilentLate(Duration::from_secs(3));
        let log = MemoryLog::with_faults(move |append: &Append| (append.batch[0] == "late").then_some(late));
        let mut silent = log.append(Append { expected_tail: Some(Offset(0)), ..append("late") });
        assert!((&mut silent).now_or_never().is_none());
        assert_eq!(log.append(append("barrier")).await.unwrap(), Appended::At(Offset(0)));
        let mut other = log.append(append("late"));
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!((&mut silent).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        assert_eq!(log.tail(&append("a").stream).await.unwrap(), Offset(2), "only the one that expected no tail");
    }

    #[tokio::test]
    async fn a_silent_log_answers_when_silence_ends_and_what_landed_meanwhile_is_there() {
        let log = MemoryLog::new();
        log.set_silent(true);
        let mut first = log.append(append("a"));
        assert!((&mut first).now_or_never().is_none());
        assert!(log.tail(&append("a").stream).now_or_never().is_none());
        log.set_silent(false);
        assert_eq!(first.await.unwrap(), Appended::At(Offset(0)));
    }
}
