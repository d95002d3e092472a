//! An instance of a service, as it is published and as callers see it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, fnv1a};

/// One process that serves a service at one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Where it listens.
    pub address: SocketAddr,
    /// The application it belongs to.
    pub application: String,
    /// Its share of calls relative to others; 0 takes none. The default is [`Instance::DEFAULT_WEIGHT`].
    pub weight: u32,
    /// The part of the service's routing keys that it holds; `None`: all of them.
    pub share: Option<Share>,
    /// What its operators and routers attach.
    pub metadata: BTreeMap<String, String>,
    /// Which publication this is: of two for one address the newer one wins.
    pub publication: PublicationId,
}

impl Instance {
    /// The weight of an instance that says nothing.
    pub const DEFAULT_WEIGHT: u32 = 100;
}

/// Which publication: the session that holds it and its number there (`PROTOCOLS.md` P7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicationId {
    /// The publisher's number, drawn at its start: newer starts draw larger ones (microseconds of its wall clock).
    pub publisher: u64,
    /// Counts the publications of that publisher.
    pub sequence: u64,
}

/// Part `index` of `of` of a service's routing keys.
///
/// ```
/// use settee_core::registry::Share;
///
/// let share = Share::of_key("CH9300762011623852957", 2);
/// assert!(share.index < 2 && share.holds("CH9300762011623852957"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Share {
    /// Which part, counted from 0.
    pub index: u32,
    /// How many parts there are, at least 1.
    pub of: u32,
}

impl Share {
    /// The part that `key` falls into: 64-bit FNV-1a modulo the number of parts. Services store by it, so it never changes.
    #[must_use]
    pub fn of_key(key: &str, of: u32) -> Self {
        let of = of.max(1);
        let index = u32::try_from(fnv1a(key.as_bytes()) % u64::from(of)).unwrap_or(0);
        Self { index, of }
    }

    /// Whether `key` falls into this part.
    #[must_use]
    pub fn holds(self, key: &str) -> bool {
        Self::of_key(key, self.of).index == self.index
    }
}

impl fmt::Display for Share {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.index, self.of)
    }
}

/// The version of a list: the epoch of the owner that made it, and its count there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ListVersion {
    /// The owner's epoch.
    pub epoch: Epoch,
    /// Counts the changes within it.
    pub n: u64,
}

/// The instances of one service, in the order of their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceList {
    /// Which list this is.
    pub version: ListVersion,
    /// The instances.
    pub instances: Vec<Arc<Instance>>,
    /// Whether the registry knows that nobody is missing. A caller merges an incomplete list into its last good one.
    pub complete: bool,
}
