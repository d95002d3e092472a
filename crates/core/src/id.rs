//! Identities that several rooms speak: shards and their owners, transactions and branches, offsets and revisions.

mod fencing;
mod transaction;

pub use fencing::{Epoch, FencingToken, Generation};
pub use transaction::{BranchId, ParseXidError, Xid};

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many shards there are: everywhere, embedded too, for ever (`PROTOCOLS.md` P1).
pub const SHARDS: usize = 256;

/// One of the [`SHARDS`] parts that everything a coordinator owns is divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u8);

impl ShardId {
    /// The shard that `key` belongs to: 64-bit FNV-1a of its bytes, folded to eight bits. It is part of the stored format.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        Self(fold(fnv1a(key)))
    }

    /// Every shard, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:02x}", self.0)
    }
}

/// The position of a record in a log stream, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset `count` records further; saturates.
    #[must_use]
    pub fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// The number of a commit to a `Kv`: strictly increasing over the whole store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// 64-bit FNV-1a (Fowler, Noll, Vo): small, stable and good enough to spread names.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

fn fold(hash: u64) -> u8 {
    hash.to_be_bytes().into_iter().fold(0, |folded, byte| folded ^ byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_spread_over_all_shards() {
        let used: std::collections::BTreeSet<_> = (0..4_096).map(|n| ShardId::of(format!("job-{n}").as_bytes())).collect();
        assert_eq!(used.len(), SHARDS);
    }

    #[test]
    fn the_shard_of_a_name_is_part_of_the_stored_format_and_never_moves() {
        assert_eq!(ShardId::of(b"transfers"), ShardId(0xe6));
        assert_eq!(ShardId::of(b""), ShardId(fold(0xcbf2_9ce4_8422_2325)));
    }
}
