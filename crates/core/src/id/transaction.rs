//! The identity of a global transaction and of its branches.
//!
//! ```text
//! xid, 128 bits, printed as 32 hex digits
//! | shard 8 | generation 24 | counter 48 | random 48 |
//! ```
//! The shard routes without a look-up; generation and counter let an owner tell "never seen" from "forgotten" (P6); the
//! random part keeps two clients with the same leased counter apart and makes an xid hard to guess.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Generation, ShardId};

const COUNTER_BITS: u32 = 48;
const RANDOM_BITS: u32 = 48;
const GENERATION_BITS: u32 = 24;

/// A global transaction.
///
/// ```
/// use settee_core::id::{Generation, ShardId, Xid};
///
/// let xid = Xid::new(ShardId(7), Generation(1), 42, 0xfeed);
/// assert_eq!(xid.shard(), ShardId(7));
/// assert_eq!(xid.to_string().parse::<Xid>().unwrap(), xid);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid(u128);

impl Xid {
    /// An xid of its parts; parts wider than their field are cut to it.
    #[must_use]
    pub fn new(shard: ShardId, generation: Generation, counter: u64, random: u64) -> Self {
        let mut bits = u128::from(shard.0);
        bits = bits << GENERATION_BITS | cut(u64::from(generation.0), GENERATION_BITS);
        bits = bits << COUNTER_BITS | cut(counter, COUNTER_BITS);
        bits = bits << RANDOM_BITS | cut(random, RANDOM_BITS);
        Self(bits)
    }

    /// The shard whose owner coordinates this transaction.
    #[must_use]
    pub fn shard(self) -> ShardId {
        ShardId(self.0.to_be_bytes()[0])
    }

    /// The life of the store in which it was begun.
    #[must_use]
    pub fn generation(self) -> Generation {
        let bits = self.0 >> (COUNTER_BITS + RANDOM_BITS) & ((1 << GENERATION_BITS) - 1);
        Generation(u32::try_from(bits).unwrap_or(u32::MAX))
    }

    /// Its number among those leased by the shard's owners.
    #[must_use]
    pub fn counter(self) -> u64 {
        u64::try_from(self.0 >> RANDOM_BITS & ((1 << COUNTER_BITS) - 1)).unwrap_or(u64::MAX)
    }

    /// The bytes that are stored: big-endian, so that they sort as the fields do.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The xid whose stored bytes these are.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

fn cut(value: u64, bits: u32) -> u128 {
    u128::from(value & ((1 << bits) - 1))
}

/// Text that is not an xid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read xid {0:?}: 32 hex digits are expected")]
pub struct ParseXidError(String);

impl FromStr for Xid {
    type Err = ParseXidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        bits.map(Self).ok_or_else(|| ParseXidError(text.to_owned()))
    }
}

impl fmt::Display for Xid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl fmt::Debug for Xid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Xid({self})")
    }
}

impl Serialize for Xid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Xid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A branch of a global transaction: the caller's path and the number of its call, `1`, `2`, `2.1` (P5).
///
/// It is derived, not drawn, so a repeated call of a repeated caller names the same branch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BranchId(Box<str>);

impl BranchId {
    /// The branch of the `call`-th call, counted from 1, that the transaction's beginner makes.
    #[must_use]
    pub fn root(call: u32) -> Self {
        Self(call.to_string().into())
    }

    /// The branch of the `call`-th call that the participant of this branch makes itself.
    #[must_use]
    pub fn child(&self, call: u32) -> Self {
        Self(format!("{}.{call}", self.0).into())
    }

    /// A branch as it was received or stored.
    #[must_use]
    pub fn received(text: &str) -> Self {
        Self(text.into())
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BranchId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_xid_comes_back_out_of_its_text() {
        let xid = Xid::new(ShardId(0xab), Generation(0x12_3456), 0xffff_ffff_ffff, 0x1234_5678_9abc);
        assert_eq!(xid.to_string(), "ab123456ffffffffffff123456789abc");
        let read: Xid = xid.to_string().parse().unwrap();
        assert_eq!((read.shard(), read.generation(), read.counter()), (ShardId(0xab), Generation(0x12_3456), 0xffff_ffff_ffff));
    }

    #[test]
    fn text_that_is_no_xid_is_refused_and_named() {
        for text in ["", "abc", "+b123456ffffffffffff123456789abc", "zz123456ffffffffffff123456789abc"] {
            let error = text.parse::<Xid>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
