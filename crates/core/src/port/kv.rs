//! The state port: ordered keys with revisions, compare-and-commit, and a watch without gaps.

use bytes::Bytes;

use super::{BoxFuture, StoreError};
use crate::id::Revision;

/// Ordered keys with revisions. Every successful commit takes the next [`Revision`] of the whole store.
///
/// # Errors
/// Every method fails with a [`StoreError`]; its `certainty` says whether a commit happened. Reads never have an effect.
///
/// # Cancel safety
/// A dropped read has no effect. A dropped commit may still happen: its outcome is then unknown.
pub trait Kv: Send + Sync + 'static {
    /// The value of `key`, as of the last commit that was acknowledged before the call, or later.
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>>;

    /// One page of keys in order, all as of one revision.
    fn range(&self, range: Range) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// Writes all of `commit.writes` at one revision if all of `commit.compares` hold; durable when it returns.
    ///
    /// Concurrent commits are serialised. Safe to repeat only with a compare that the first one invalidates.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>>;

    /// Every change of a key with `prefix` at a revision above `after`, in order and without gaps.
    ///
    /// Fails with `Compacted` when changes after `after` are no longer known.
    fn watch(&self, prefix: Bytes, after: Revision) -> BoxFuture<'_, Result<Box<dyn Watch>, StoreError>>;
}

/// A value and the revision of the commit that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// What was written.
    pub value: Bytes,
    /// When.
    pub revision: Revision,
}

/// Which keys to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first key, inclusive.
    pub from: Bytes,
    /// The end, exclusive.
    pub to: Bytes,
    /// How many keys at most; an engine may return fewer.
    pub limit: usize,
}

impl Range {
    /// All keys that begin with `prefix`, which must not be empty and must not be all `0xff`.
    #[must_use]
    pub fn prefix(prefix: &[u8], limit: usize) -> Self {
        let mut to = prefix.to_vec();
        while let Some(last) = to.pop() {
            if last < u8::MAX {
                to.push(last + 1);
                break;
            }
        }
        Self { from: Bytes::copy_from_slice(prefix), to: to.into(), limit }
    }

    /// The same range, beginning just behind `key`: for the next page.
    #[must_use]
    pub fn behind(mut self, key: &[u8]) -> Self {
        self.from = [key, &[0]].concat().into();
        self
    }
}

/// Keys in order, as of one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The keys and their values.
    pub entries: Vec<(Bytes, Versioned)>,
    /// Whether there is more behind the last entry.
    pub more: bool,
    /// The store's revision when the page was read.
    pub revision: Revision,
}

/// A conditional write of several keys at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// What must hold, all of it.
    pub compares: Vec<Compare>,
    /// What is then written. A key is named at most once.
    pub writes: Vec<Write>,
}

/// A condition on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The key does not exist.
    Absent(Bytes),
    /// The key's last write has this revision.
    Revision(Bytes, Revision),
    /// The key holds exactly this value.
    Value(Bytes, Bytes),
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets the key.
    Put(Bytes, Bytes),
    /// Removes the key; nothing happens if it does not exist.
    Delete(Bytes),
}

impl Write {
    /// The key that is changed.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Put(key, _) | Self::Delete(key) => key,
        }
    }

    /// Bytes of key and value, for limits.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Put(key, value) => key.len() + value.len(),
            Self::Delete(key) => key.len(),
        }
    }
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was written at this revision, and is durable.
    Committed(Revision),
    /// A compare did not hold; nothing was written.
    Conflict,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The commit that made it.
    pub revision: Revision,
    /// What changed.
    pub write: Write,
}

/// A running watch; dropping it ends it.
pub trait Watch: Send {
    /// The next change, in order. Waits until there is one.
    ///
    /// # Errors
    /// `Compacted` when the watcher fell too far behind: read the range anew and watch from its revision.
    ///
    /// # Cancel safety
    /// No event is lost.
    fn next(&mut self) -> BoxFuture<'_, Result<Event, StoreError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor_even_at_the_highest_byte() {
        assert_eq!(Range::prefix(b"t/07", 1).to, Bytes::from_static(b"t/08"));
        assert_eq!(Range::prefix(&[b't', 0xff], 1).to, Bytes::from_static(b"u"));
    }
}
