//! The latest changes of a store, which every watch reads at its own pace.
//!
//! There is no queue per watch: a watch is a position in one shared, bounded history. Publishing and reading go through one lock
//! and positions are dense, so that there cannot be a gap; a watch that is left behind by the bound learns it as `Compacted`.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use settee_core::id::Revision;
use settee_core::port::{BoxFuture, Event, StoreError, StoreErrorKind, Watch};
use tokio::sync::watch;

/// How many changes are kept: at 10,000 changes a second, a watch may be more than a second late.
pub(crate) const HISTORY_EVENTS: usize = 16_384;

/// How many bytes of keys and values are kept, so that an idle server stays small after a burst of large values.
pub(crate) const HISTORY_BYTES: usize = 8 * 1024 * 1024;

/// The history of one store. Clones share it.
#[derive(Clone)]
pub(crate) struct Changes(Arc<Shared>);

struct Shared {
    history: Mutex<History>,
    /// Moves whenever the history does; the number means nothing.
    moved: watch::Sender<u64>,
}

struct History {
    events: VecDeque<Event>,
    bytes: usize,
    /// The position of the first of `events`.
    first: u64,
    /// Every change above this revision is still here.
    floor: Revision,
    stopped: Option<StoreError>,
}

impl Changes {
    /// The history of a store that is at `revision` now; what was before is not known.
    pub(crate) fn since(revision: Revision) -> Self {
        let history = History { events: VecDeque::new(), bytes: 0, first: 0, floor: revision, stopped: None };
        Self(Arc::new(Shared { history: Mutex::new(history), moved: watch::Sender::new(0) }))
    }

    /// Adds the changes of one or more commits, in order of their revisions.
    pub(crate) fn publish(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let mut history = self.0.history.lock();
        for event in events {
            history.push(event);
        }
        drop(history);
        self.wake();
    }

    /// Ends every watch, present and future, with `reason`, once it has read what is left. The first reason stays.
    #[cfg(any(feature = "embedded", test))]
    pub(crate) fn stop(&self, reason: StoreError) {
        self.0.history.lock().stopped.get_or_insert(reason);
        self.wake();
    }

    fn wake(&self) {
        self.0.moved.send_modify(|moved| *moved = moved.wrapping_add(1));
    }

    /// A watch of the keys with `prefix` from behind `after`.
    pub(crate) fn watch(&self, prefix: Bytes, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        let history = self.0.history.lock();
        if let Some(reason) = &history.stopped {
            return Err(reason.clone());
        }
        if after < history.floor {
            return Err(compacted(after, history.floor));
        }
        let next = history.first;
        let moved = self.0.moved.subscribe();
        drop(history);
        Ok(Box::new(Position { changes: self.clone(), moved, prefix, after, next }))
    }
}

impl History {
    fn push(&mut self, event: Event) {
        self.bytes += event.write.size();
        self.events.push_back(event);
        while self.events.len() > HISTORY_EVENTS || self.bytes > HISTORY_BYTES {
            let Some(forgotten) = self.events.pop_front() else { break };
            self.bytes -= forgotten.write.size();
            self.first += 1;
            self.floor = forgotten.revision;
        }
    }
}

fn compacted(after: Revision, floor: Revision) -> StoreError {
    let message = format!("changes after revision {after} are no longer known, only those after {floor}");
    StoreError::not_done(StoreErrorKind::Compacted, message)
}

struct Position {
    changes: Changes,
    moved: watch::Receiver<u64>,
    prefix: Bytes,
    after: Revision,
    next: u64,
}

impl Position {
    /// The next change that is already there, skipping what is not watched.
    fn take(&mut self) -> Result<Option<Event>, StoreError> {
        let history = self.changes.0.history.lock();
        let Some(behind) = self.next.checked_sub(history.first) else {
            return Err(compacted(self.after, history.floor));
        };
        let unread = usize::try_from(behind).unwrap_or(usize::MAX);
        for event in history.events.iter().skip(unread) {
            self.next += 1;
            if event.revision > self.after && event.write.key().starts_with(&self.prefix) {
                return Ok(Some(event.clone()));
            }
        }
        history.stopped.clone().map_or(Ok(None), Err)
    }
}

impl Watch for Position {
    fn next(&mut self) -> BoxFuture<'_, Result<Event, StoreError>> {
        Box::pin(async move {
            loop {
                // Marked as seen before reading, so that what is published in between wakes this watch again.
                self.moved.borrow_and_update();
                if let Some(event) = self.take()? {
                    return Ok(event);
                }
                let closed = || StoreError::not_done(StoreErrorKind::Unavailable, "the store was closed");
                self.moved.changed().await.map_err(|_| closed())?;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use settee_core::port::Write;

    use super::*;

    fn event(revision: u64, value: usize) -> Event {
        let key = Bytes::from(format!("k/{revision}"));
        Event { revision: Revision(revision), write: Write::Put(key, vec![0; value].into()) }
    }

    fn next(watch: &mut dyn Watch) -> Option<Result<u64, StoreErrorKind>> {
        watch.next().now_or_never().map(|next| next.map(|event| event.revision.0).map_err(|error| error.kind()))
    }

    #[test]
    fn a_watch_left_behind_by_many_or_by_large_changes_learns_it() {
        let many = u64::try_from(HISTORY_EVENTS).unwrap() + 1;
        for (count, size) in [(many, 1), (9, 1024 * 1024)] {
            let changes = Changes::since(Revision(0));
            let mut watch = changes.watch(Bytes::new(), Revision(0)).unwrap();
            changes.publish((1..=count).map(|revision| event(revision, size)).collect());
            assert_eq!(next(watch.as_mut()), Some(Err(StoreErrorKind::Compacted)));
            assert_eq!(changes.watch(Bytes::new(), Revision(0)).err().unwrap().kind(), StoreErrorKind::Compacted);
        }
    }

    #[test]
    fn a_revision_is_known_whole_or_not_at_all() {
        let changes = Changes::since(Revision(0));
        changes.publish(vec![event(1, 5 * 1024 * 1024), event(1, 1), event(2, 1)]);
        changes.publish(vec![event(3, 4 * 1024 * 1024)]);
        assert!(changes.watch(Bytes::new(), Revision(0)).is_err(), "half of revision 1 is forgotten");
        let mut watch = changes.watch(Bytes::new(), Revision(1)).unwrap();
        assert_eq!(next(watch.as_mut()), Some(Ok(2)));
        assert_eq!(next(watch.as_mut()), Some(Ok(3)));
        assert_eq!(next(watch.as_mut()), None);
    }

    #[test]
    fn a_stopped_store_ends_its_watches_after_what_was_published() {
        let changes = Changes::since(Revision(0));
        let mut watch = changes.watch(Bytes::new(), Revision(0)).unwrap();
        changes.publish(vec![event(1, 1)]);
        changes.stop(StoreError::not_done(StoreErrorKind::Poisoned, "a sync failed"));
        assert_eq!(next(watch.as_mut()), Some(Ok(1)));
        assert_eq!(next(watch.as_mut()), Some(Err(StoreErrorKind::Poisoned)));
    }
}
