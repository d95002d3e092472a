//! `Kv` in a tree in memory, with faults that the caller decides.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use settee_core::id::Revision;
use settee_core::port::{
    BoxFuture, Commit, Event, Kv, Outcome, Page, Range, StoreError, StoreErrorKind, Versioned, Watch, Write,
};

use crate::kv::changes::Changes;
use crate::kv::{compared_key, holds, limits};

/// What happens to one call of a [`MemoryKv`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvFault {
    /// Nothing: the call takes place.
    None,
    /// The call is refused and certainly has no effect.
    Refused,
    /// A commit happens, but the caller learns only that its outcome is unknown.
    DoneUnknown,
    /// A commit does not happen, and the caller learns only that its outcome is unknown.
    LostUnknown,
    /// The call takes place after this time, and other calls may overtake it.
    Delayed(Duration),
}

/// Decides, usually by a seeded source, what goes wrong. Asked once for every read and commit, in the order of the calls.
pub trait KvFaults: Send + Sync {
    /// What happens to the next call. To a read, both unknown faults are [`KvFault::Refused`].
    fn next(&self) -> KvFault;
}

impl<F: Fn() -> KvFault + Send + Sync> KvFaults for F {
    fn next(&self) -> KvFault {
        self()
    }
}

/// A [`Kv`] that lives as long as its last clone: clones are the same store.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use settee_core::port::{Commit, Kv, Outcome, Write};
/// use settee_engines::memory::MemoryKv;
///
/// let kv = MemoryKv::new();
/// let commit = Commit { compares: vec![], writes: vec![Write::Put("a".into(), "1".into())] };
/// assert!(matches!(kv.commit(commit).await?, Outcome::Committed(_)));
/// assert_eq!(kv.get(b"a").await?.unwrap().value, "1");
/// # Ok::<(), settee_core::port::StoreError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct MemoryKv {
    state: Arc<Mutex<State>>,
    changes: Changes,
    faults: Option<Arc<dyn KvFaults>>,
}

#[derive(Default)]
struct State {
    keys: BTreeMap<Bytes, Versioned>,
    revision: Revision,
}

impl Default for MemoryKv {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryKv {
    /// An empty store without faults.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Arc::default(), changes: Changes::since(Revision(0)), faults: None }
    }

    /// The same store, seen through `faults`. Other clones are not affected.
    #[must_use]
    pub fn with_faults(&self, faults: Arc<dyn KvFaults>) -> Self {
        Self { faults: Some(faults), ..self.clone() }
    }

    /// Waits or refuses as the next fault says; returns what is left of it.
    async fn fault(&self) -> Result<KvFault, StoreError> {
        match self.faults.as_ref().map_or(KvFault::None, |faults| faults.next()) {
            KvFault::Refused => Err(StoreError::not_done(StoreErrorKind::Unavailable, "refused by an injected fault")),
            KvFault::Delayed(time) => {
                tokio::time::sleep(time).await;
                Ok(KvFault::None)
            }
            other => Ok(other),
        }
    }

    async fn read_fault(&self) -> Result<(), StoreError> {
        match self.fault().await? {
            KvFault::None => Ok(()),
            _ => Err(StoreError::not_done(StoreErrorKind::Unavailable, "no answer, by an injected fault")),
        }
    }

    fn apply(&self, commit: Commit) -> Outcome {
        let mut state = self.state.lock();
        if !commit.compares.iter().all(|compare| holds(compare, state.present(compared_key(compare)))) {
            return Outcome::Conflict;
        }
        state.revision.0 += 1;
        let revision = state.revision;
        let changed = commit.writes.into_iter().filter(|write| state.write(write, revision)).collect::<Vec<_>>();
        // Published under the lock of the state: order of revisions is order of events.
        self.changes.publish(changed.into_iter().map(|write| Event { revision, write }).collect());
        Outcome::Committed(revision)
    }
}

impl State {
    fn present(&self, key: &[u8]) -> Option<(&[u8], Revision)> {
        self.keys.get(key).map(|stored| (stored.value.as_ref(), stored.revision))
    }

    /// Whether anything changed: deleting what does not exist changes nothing.
    fn write(&mut self, write: &Write, revision: Revision) -> bool {
        match write {
            Write::Put(key, value) => {
                self.keys.insert(key.clone(), Versioned { value: value.clone(), revision });
                true
            }
            Write::Delete(key) => self.keys.remove(key).is_some(),
        }
    }

    fn page(&self, range: &Range) -> Page {
        let mut page = Page { revision: self.revision, ..Page::default() };
        if range.from >= range.to {
            return page;
        }
        let bounds = (Bound::Included(range.from.clone()), Bound::Excluded(range.to.clone()));
        let mut bytes = 0;
        for (key, stored) in self.keys.range(bounds) {
            if page.entries.len() >= range.limit.min(limits::PAGE_KEYS) || bytes >= limits::PAGE_BYTES {
                page.more = true;
                break;
            }
            bytes += key.len() + stored.value.len();
            page.entries.push((key.clone(), stored.clone()));
        }
        page
    }
}

impl Kv for MemoryKv {
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move {
            self.read_fault().await?;
            Ok(self.state.lock().keys.get(key).cloned())
        })
    }

    fn range(&self, range: Range) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(async move {
            self.read_fault().await?;
            Ok(self.state.lock().page(&range))
        })
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        Box::pin(async move {
            limits::check(&commit)?;
            let fault = self.fault().await?;
            if fault == KvFault::LostUnknown {
                return Err(StoreError::unknown(StoreErrorKind::Unavailable, "no answer, by an injected fault"));
            }
            let outcome = self.apply(commit);
            if fault == KvFault::DoneUnknown {
                return Err(StoreError::unknown(StoreErrorKind::Unavailable, "no answer, by an injected fault"));
            }
            Ok(outcome)
        })
    }

    fn watch(&self, prefix: Bytes, after: Revision) -> BoxFuture<'_, Result<Box<dyn Watch>, StoreError>> {
        Box::pin(async move { self.changes.watch(prefix, after) })
    }
}

#[cfg(test)]
mod tests {
    use settee_core::error::Certainty;

    use super::*;

    fn put() -> Commit {
        Commit { compares: Vec::new(), writes: vec![Write::Put("k".into(), "v".into())] }
    }

    #[tokio::test]
    async fn the_memory_engine_keeps_the_contract() {
        settee_core::testing::kv::contract(|| async { Arc::new(MemoryKv::new()) as Arc<dyn Kv> }).await;
    }

    #[tokio::test(start_paused = true)]
    async fn every_fault_does_what_it_says() {
        let cases = [
            (KvFault::None, None, true),
            (KvFault::Refused, Some(Certainty::NotDone), false),
            (KvFault::DoneUnknown, Some(Certainty::Unknown), true),
            (KvFault::LostUnknown, Some(Certainty::Unknown), false),
            (KvFault::Delayed(Duration::from_secs(1)), None, true),
        ];
        for (fault, certainty, written) in cases {
            let kv = MemoryKv::new();
            let answer = kv.with_faults(Arc::new(move || fault)).commit(put()).await;
            assert_eq!(answer.err().map(|error| error.certainty()), certainty, "{fault:?}");
            assert_eq!(kv.get(b"k").await.unwrap().is_some(), written, "{fault:?}");
        }
    }
}
