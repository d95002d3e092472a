//! How large a request to the embedded and the memory `Kv` may be. Checked before anything else is done.
//!
//! A commit lane cuts its groups at 120 writes or 1 MB (`PROTOCOLS.md` P1); these limits leave room for twice that.

use std::collections::BTreeSet;

use settee_core::port::{Commit, StoreError, StoreErrorKind};

use super::compared_key;

/// The longest key, in bytes: names and ids are far shorter, and short keys keep the tree's inner pages wide.
pub const KEY_BYTES: usize = 1024;

/// The largest value, in bytes: one record of a coordinator, with a transaction's whole context, fits.
pub const VALUE_BYTES: usize = 1024 * 1024;

/// The most writes of one commit, and the most compares: twice what a lane sends at once.
pub const COMMIT_OPERATIONS: usize = 256;

/// The most bytes of keys and values written by one commit: twice what a lane sends at once.
pub const COMMIT_BYTES: usize = 2 * 1024 * 1024;

/// The most keys of one page: what is read under one lock, whatever the caller asks for.
pub const PAGE_KEYS: usize = 10_000;

/// A page ends with the entry that takes it to this many bytes, so that large values do not fill the memory.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Refuses a commit that is over a limit, names an empty key, or names one key twice.
pub(crate) fn check(commit: &Commit) -> Result<(), StoreError> {
    let operations = commit.writes.len().max(commit.compares.len());
    at_most("operations of a commit", operations, COMMIT_OPERATIONS)?;
    at_most("bytes of a commit", commit.writes.iter().map(|write| write.size()).sum(), COMMIT_BYTES)?;
    for compare in &commit.compares {
        check_key(compared_key(compare))?;
    }
    let mut seen = BTreeSet::new();
    for write in &commit.writes {
        check_key(write.key())?;
        at_most("bytes of a value", write.size() - write.key().len(), VALUE_BYTES)?;
        if !seen.insert(write.key()) {
            return Err(refused(format!("a commit names key {} twice", write.key().escape_ascii())));
        }
    }
    Ok(())
}

fn check_key(key: &[u8]) -> Result<(), StoreError> {
    if key.is_empty() {
        return Err(refused("a key is empty, at least one byte is expected".to_owned()));
    }
    at_most("bytes of a key", key.len(), KEY_BYTES)
}

fn at_most(what: &str, given: usize, limit: usize) -> Result<(), StoreError> {
    if given <= limit {
        return Ok(());
    }
    Err(refused(format!("{what}: {given}, at most {limit} are allowed")))
}

fn refused(message: String) -> StoreError {
    StoreError::not_done(StoreErrorKind::Limit, message)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use settee_core::port::{Compare, Write};

    use super::*;

    fn put(key: usize, value: usize) -> Write {
        Write::Put(vec![b'k'; key].into(), vec![0; value].into())
    }

    fn many(count: usize) -> Commit {
        let key = |n: usize| Bytes::from(n.to_string());
        Commit { compares: Vec::new(), writes: (0..count).map(|n| Write::Delete(key(n))).collect() }
    }

    #[test]
    fn what_is_at_a_limit_passes_and_one_more_is_refused() {
        let writes = |writes: Vec<Write>| Commit { compares: Vec::new(), writes };
        let compare = |key: usize| Commit { compares: vec![Compare::Absent(vec![b'k'; key].into())], writes: Vec::new() };
        let cases = [
            (writes(vec![put(KEY_BYTES, 1)]), true),
            (writes(vec![put(KEY_BYTES + 1, 1)]), false),
            (writes(vec![put(0, 1)]), false),
            (compare(KEY_BYTES), true),
            (compare(KEY_BYTES + 1), false),
            (writes(vec![put(1, VALUE_BYTES)]), true),
            (writes(vec![put(1, VALUE_BYTES + 1)]), false),
            (writes(vec![put(1, VALUE_BYTES), put(2, VALUE_BYTES - 3)]), true),
            (writes(vec![put(1, VALUE_BYTES), put(2, VALUE_BYTES - 2)]), false),
            (writes(vec![put(1, 1), put(1, 2)]), false),
            (many(COMMIT_OPERATIONS), true),
            (many(COMMIT_OPERATIONS + 1), false),
        ];
        for (n, (commit, allowed)) in cases.into_iter().enumerate() {
            assert_eq!(check(&commit).is_ok(), allowed, "case {n}");
        }
    }
}
