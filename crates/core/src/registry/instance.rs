//! An instance of a service, as it is published and as callers see it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::id::fnv1a;

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

    /// Bytes of the application's name and of all metadata together, at most: the largest list still fits one frame.
    pub const MAX_TEXT: usize = 700;

    /// An instance of `application` at `address` that holds every key and says nothing else.
    ///
    /// ```
    /// use settee_core::registry::Instance;
    ///
    /// let instance = Instance { weight: 50, ..Instance::new("127.0.0.1:7401".parse().unwrap(), "account") };
    /// assert!(instance.check().is_ok());
    /// ```
    #[must_use]
    pub fn new(address: SocketAddr, application: &str) -> Self {
        Self {
            address,
            application: application.to_owned(),
            weight: Self::DEFAULT_WEIGHT,
            share: None,
            metadata: BTreeMap::new(),
            publication: PublicationId::default(),
        }
    }

    /// Whether others can use it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), BadInstance> {
        let text = self.application.len() + self.metadata.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        if self.address.ip().is_unspecified() || self.address.port() == 0 {
            return Err(BadInstance::Nowhere(self.address));
        }
        if let Some(share) = self.share.filter(|share| share.index >= share.of) {
            return Err(BadInstance::NoSuchShare(share));
        }
        if text > Self::MAX_TEXT {
            return Err(BadInstance::TooLong(text));
        }
        Ok(())
    }

    /// A number that differs when anything about the instance does; the same in every process and version.
    pub(super) fn digest(&self) -> u64 {
        let mut bytes = Vec::with_capacity(128);
        let mut field = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        };
        field(self.address.to_string().as_bytes());
        field(self.application.as_bytes());
        field(&self.weight.to_le_bytes());
        field(self.share.map(|share| share.to_string()).unwrap_or_default().as_bytes());
        field(&self.publication.publisher.to_le_bytes());
        field(&self.publication.sequence.to_le_bytes());
        for (key, value) in &self.metadata {
            field(key.as_bytes());
            field(value.as_bytes());
        }
        fnv1a(&bytes)
    }
}

/// Why an instance cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInstance {
    /// The address is one to listen on, not one to connect to.
    #[error("nobody can connect to {0}: publish the address that callers use")]
    Nowhere(SocketAddr),
    /// The share's index is not below its count.
    #[error("share {0} does not exist")]
    NoSuchShare(Share),
    /// The name and the metadata are too long.
    #[error("its name and metadata have {0} bytes, at most {max} are allowed", max = Instance::MAX_TEXT)]
    TooLong(usize),
}

/// Which publication: the session that holds it and its number there (`PROTOCOLS.md` P7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicationId {
    /// The publisher's number, drawn at its start: newer starts draw larger ones (microseconds of its wall clock).
    pub publisher: u64,
    /// Counts the publications of that publisher.
    pub sequence: u64,
}

impl PublicationId {
    /// Whether `other` comes from the same publisher and is not newer than this.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.publisher == other.publisher && self.sequence >= other.sequence
    }
}

impl fmt::Display for PublicationId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.publisher, self.sequence)
    }
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
