//! The one task that commits: takes what was queued while the last sync ran, makes one group of it, and answers when it is durable.
//!
//! ```text
//! append -> queue -> [ plan | write + sync in env::blocking | index, answers ] -> next group
//! ```
//!
//! There is no timer in front of a group: a lone append is synced at once, and under load groups grow by themselves. When the log
//! has been idle for a second, an empty group is put behind the last one, as proof that the last one was durable.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::planted::Bug;
use settee_core::port::{StoreError, StoreErrorKind};
use settee_core::trouble::Trouble;
use settee_core::{Instant, env};
use tokio::sync::Notify;

use super::GROUP_TARGET_BYTES;
use super::entry::Entry;
use super::index::Index;
use super::plan::{Plan, Request, plan};
use super::writer::{Failure, Writer, Written};

/// Bytes of appends that may wait: about a second of a slow disk. Behind it an append is refused at once, not done.
const QUEUE_BYTES: usize = 64 << 20;

/// How long the log is idle before its last group is sealed by an empty one: rare enough to cost nothing.
const SEAL_AFTER: Duration = Duration::from_secs(1);

/// What the handle, the readers and the committer share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) index: Index,
    queue: VecDeque<(usize, Request)>,
    queued_bytes: usize,
    /// Why nothing is taken any more.
    stopped: Option<StoreError>,
}

impl State {
    /// Whether the log may be used.
    ///
    /// # Errors
    /// Why it stopped; what was asked is not done.
    pub(super) fn running(&self) -> Result<(), StoreError> {
        self.stopped.clone().map_or(Ok(()), Err)
    }
}

impl Shared {
    pub(super) fn new(index: Index) -> Self {
        Self { state: Mutex::new(State { index, ..State::default() }), arrived: Notify::new() }
    }

    /// Queues a request of so many bytes, behind all that came before.
    pub(super) fn submit(&self, bytes: usize, request: Request) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        state.running()?;
        if state.queued_bytes.saturating_add(bytes) > QUEUE_BYTES {
            let message =
                format!("{} bytes wait to be written to the log, which is the most: come again later", state.queued_bytes);
            return Err(StoreError::not_done(StoreErrorKind::Unavailable, message));
        }
        state.queued_bytes += bytes;
        state.queue.push_back((bytes, request));
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes nothing more, and lets the committer end after what is queued.
    pub(super) fn stop(&self, reason: StoreError) {
        self.state.lock().stopped.get_or_insert(reason);
        self.arrived.notify_one();
    }

    /// What was queued, up to a group; `None` once nothing is and nothing will be any more. Both are looked at under one lock:
    /// else what is queued just before the stop would be left behind.
    fn take(&self) -> Option<Vec<Request>> {
        let mut state = self.state.lock();
        if state.queue.is_empty() && state.stopped.is_some() {
            return None;
        }
        let mut taken = Vec::new();
        let mut total = 0;
        while total < GROUP_TARGET_BYTES
            && let Some((bytes, request)) = state.queue.pop_front()
        {
            total += bytes;
            state.queued_bytes -= bytes;
            taken.push(request);
        }
        Some(taken)
    }
}

/// Ends the log when the task does, for whatever reason: what is still queued then gets an answer, by its sender being dropped.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.stop(StoreError::not_done(StoreErrorKind::Unavailable, "the log has stopped"));
        self.0.state.lock().queue.clear();
    }
}

/// The task.
pub(super) struct Committer {
    shared: Arc<Shared>,
    /// Lent to blocking work while that runs; gone for good when the log is poisoned.
    writer: Option<Writer>,
    next: Next,
    /// Segments that are no longer read, oldest first: removed in this order, or not at all.
    doomed: VecDeque<u64>,
    /// There is no room to seal the last group.
    unsealed: Trouble,
}

/// The segment after the present one.
enum Next {
    Missing,
    Preparing(env::JoinHandle<io::Result<()>>),
    Prepared,
    /// Not tried again beside the writer: the next group that needs it makes it.
    Failed,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, writer: Writer) -> Self {
        Self { shared, writer: Some(writer), next: Next::Missing, doomed: VecDeque::new(), unsealed: Trouble::default() }
    }

    /// Runs until the log is stopped and everything queued before is answered.
    pub(super) async fn run(mut self) {
        let _ending = Ending(self.shared.clone());
        while let Some(requests) = self.shared.take() {
            match requests.is_empty() {
                true => self.idle().await,
                false => self.group(requests).await,
            }
        }
        self.seal().await;
        self.settle_next().await;
    }

    async fn idle(&mut self) {
        let shared = self.shared.clone();
        let arrived = shared.arrived.notified();
        if !self.wants_seal() {
            return arrived.await;
        }
        if tokio::time::timeout(SEAL_AFTER, arrived).await.is_err() {
            self.seal().await;
        }
    }

    async fn group(&mut self, requests: Vec<Request>) {
        let Plan { entries, mut answers } = plan(&self.shared.state.lock().index, requests);
        if Bug::AcknowledgesBeforeSync.is_planted() {
            answers.drain(..).for_each(|answer| answer.give(None));
        }
        let done = match entries.is_empty() {
            true => self.usable(),
            false => self.commit(entries).await,
        };
        let failed = done.err();
        answers.into_iter().for_each(|answer| answer.give(failed.as_ref()));
        self.remove_doomed().await;
    }

    fn usable(&self) -> Result<(), StoreError> {
        if self.writer.is_some() { Ok(()) } else { Err(self.gone()) }
    }

    /// Without a writer nothing becomes durable, so nothing may be acknowledged.
    fn gone(&self) -> StoreError {
        let reason = self.shared.state.lock().stopped.clone();
        reason.unwrap_or_else(|| StoreError::not_done(StoreErrorKind::Unavailable, "the log has no writer"))
    }

    /// Puts an empty group behind the last one, if there is room: a good group proves that those before it were durable.
    async fn seal(&mut self) {
        if self.wants_seal() {
            let sealed = self.commit(Vec::new()).await;
            self.note_seal(sealed);
        }
    }

    /// A log that is idle and without room tries to seal its end every second, and says so far less often.
    fn note_seal(&mut self, sealed: Result<(), StoreError>) {
        match sealed {
            Ok(()) if self.unsealed.is_over() => tracing::info!("the end of the log is sealed: there is room again"),
            Ok(()) => {}
            Err(error) if self.unsealed.met(Instant::now()) => tracing::warn!(%error, "the end of the log could not be sealed"),
            Err(_) => {}
        }
    }

    fn wants_seal(&self) -> bool {
        self.writer.as_ref().is_some_and(Writer::wants_seal)
    }

    async fn commit(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let Some(writer) = self.writer.take() else { return Err(self.gone()) };
        let streams = match writer.fits(&entries) {
            true => Vec::new(),
            false => {
                self.settle_next().await;
                self.shared.state.lock().index.streams()
            }
        };
        let is_prepared = matches!(self.next, Next::Prepared);
        let (writer, written) = with(writer, move |writer| writer.commit(&entries, &streams, is_prepared)).await;
        self.writer = Some(writer);
        let done = self.finish(written);
        self.prepare_next();
        done
    }

    /// Makes a durable group visible to readers, or ends the log.
    fn finish(&mut self, written: Result<Written, Failure>) -> Result<(), StoreError> {
        let written = match written {
            Ok(written) => written,
            Err(Failure::Refused(error)) => {
                // A preparation under way must stay known: nothing else may write its file meanwhile.
                if matches!(self.next, Next::Prepared | Next::Missing) {
                    self.next = Next::Failed;
                }
                return Err(error);
            }
            Err(Failure::Poisoned(error)) => return Err(self.poison(error)),
        };
        let mut state = self.shared.state.lock();
        for segment in &written.begun {
            state.index.add_segment(segment);
            self.next = Next::Missing;
        }
        let applied = state.index.apply(written.segment, written.position, &written.entries);
        self.doomed.extend(state.index.take_empty());
        drop(state);
        applied.map_err(|reason| {
            self.poison(StoreError::unknown(StoreErrorKind::Damaged, format!("the log contradicts itself: {reason}")))
        })
    }

    /// Ends the log for everyone; gives the error back for those whose group it was.
    fn poison(&mut self, error: StoreError) -> StoreError {
        tracing::error!(%error, "the log has stopped");
        self.writer = None;
        self.shared.state.lock().stopped = Some(StoreError::not_done(StoreErrorKind::Poisoned, error.to_string()));
        error
    }

    fn prepare_next(&mut self) {
        if let (Next::Missing, Some(writer)) = (&self.next, &self.writer)
            && writer.wants_next()
        {
            self.next = Next::Preparing(env::spawn(env::blocking(writer.preparation())));
        }
    }

    /// Waits for a preparation under way: two of them must not write the same file.
    async fn settle_next(&mut self) {
        if let Next::Preparing(task) = &mut self.next {
            self.next = match task.await {
                Ok(Ok(())) => Next::Prepared,
                Ok(Err(_)) | Err(_) => Next::Failed,
            };
        }
    }

    async fn remove_doomed(&mut self) {
        while let (Some(first), true) = (self.doomed.front().copied(), self.writer.is_some()) {
            let Some(writer) = self.writer.take() else { return };
            let (writer, removed) = with(writer, move |writer| writer.remove(first)).await;
            self.writer = Some(writer);
            if let Err(error) = removed {
                tracing::warn!(%error, "a segment of the log that is trimmed could not be removed; it is tried again after the next group");
                return;
            }
            self.doomed.pop_front();
        }
    }
}

/// Runs blocking work with the writer, and brings it back.
async fn with<T: Send + 'static>(mut writer: Writer, work: impl FnOnce(&mut Writer) -> T + Send + 'static) -> (Writer, T) {
    env::blocking(move || {
        let done = work(&mut writer);
        (writer, done)
    })
    .await
}

#[cfg(test)]
mod tests {
    use settee_core::id::Offset;
    use settee_core::port::StreamName;
    use tokio::sync::oneshot;

    use super::*;

    fn closed() -> StoreError {
        StoreError::not_done(StoreErrorKind::Unavailable, "closed")
    }

    #[test]
    fn what_was_queued_before_the_stop_is_taken_before_the_end() {
        let shared = Shared::default();
        assert_eq!(shared.take().map(|taken| taken.len()), Some(0), "idle is not the end");
        let (reply, _answer) = oneshot::channel();
        shared.submit(1, Request::Trim(StreamName::new("s").unwrap(), Offset(0), reply)).unwrap();
        shared.stop(closed());
        assert_eq!(shared.take().map(|taken| taken.len()), Some(1));
        assert!(shared.take().is_none());
    }

    #[tokio::test]
    async fn without_a_writer_no_group_is_acknowledged() {
        let mut committer = Committer {
            shared: Arc::default(),
            writer: None,
            next: Next::Missing,
            doomed: VecDeque::new(),
            unsealed: Trouble::default(),
        };
        assert!(committer.commit(Vec::new()).await.is_err());
        assert!(committer.usable().is_err());
    }
}
