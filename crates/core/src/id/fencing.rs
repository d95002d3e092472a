//! Fencing: numbers that only grow, carried by everything that must be exclusive and checked where the write lands.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The life of a store: raised by `restore` and `import`, so that tokens of before can be told from tokens of after (P6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u32);

/// The number of an ownership of a shard within one generation: every take-over and every restart takes the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Who may write: the generation first, then the epoch. A resource remembers the highest it has seen and refuses lower ones.
///
/// ```
/// use settee_core::id::{Epoch, FencingToken, Generation};
///
/// let old = FencingToken { generation: Generation(1), epoch: Epoch(9) };
/// let restored = FencingToken { generation: Generation(2), epoch: Epoch(1) };
/// assert!(restored > old);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FencingToken {
    /// The life of the store.
    pub generation: Generation,
    /// The ownership within it.
    pub epoch: Epoch,
}

impl fmt::Display for Generation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.generation, self.epoch)
    }
}
