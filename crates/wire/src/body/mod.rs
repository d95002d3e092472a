//! What settee peers put in the content of a frame: one serde value, as MessagePack with named fields or as JSON.
//!
//! Reading goes twice over the bytes. First a walk without allocation checks nesting, count and lengths, because serde
//! formats trust a declared length further than a stranger deserves, and rmp-serde does not count nested enums. Then serde
//! builds the value. Fields it does not know are ignored, so that peers of different versions understand each other.
//! Byte strings should be `bytes::Bytes`: a `Vec<u8>` is written number by number, each counting as a node.

mod error;

mod json;
mod message_pack;

pub use error::{BadBytes, BodyError};

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bolt::Codec;

/// A codec that turns any serde value into bytes and back.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use settee_wire::body::{BodyCodec, BodyLimits};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Transfer { from: String, cents: i64 }
///
/// let transfer = Transfer { from: "a".into(), cents: 5 };
/// let mut bytes = Vec::new();
/// BodyCodec::MessagePack.encode(&transfer, &mut bytes)?;
/// assert_eq!(BodyCodec::MessagePack.decode::<Transfer>(&bytes, &BodyLimits::default())?, transfer);
/// # Ok::<(), settee_wire::body::BodyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyCodec {
    /// MessagePack: structs as maps by field name, enums by variant name.
    MessagePack,
    /// JSON, for people and for HTTP.
    Json,
}

impl BodyCodec {
    /// The body codec that reads and writes this frame codec, if there is one.
    #[must_use]
    pub const fn of(codec: Codec) -> Option<Self> {
        match codec {
            Codec::MESSAGE_PACK => Some(Self::MessagePack),
            Codec::JSON => Some(Self::Json),
            _ => None,
        }
    }

    /// The number that a frame carries for this codec.
    #[must_use]
    pub const fn codec(self) -> Codec {
        match self {
            Self::MessagePack => Codec::MESSAGE_PACK,
            Self::Json => Codec::JSON,
        }
    }

    /// Writes `value` to `out`: a `Vec<u8>`, a [`ContentWriter`](crate::bolt::ContentWriter), or a `BytesMut` through
    /// `BufMut::writer`. Part of it may have been written when this fails.
    ///
    /// # Errors
    /// When `out` refuses the bytes, or the value cannot be said in this codec (a JSON map with keys that are not text).
    pub fn encode<T>(self, value: &T, out: &mut impl io::Write) -> Result<(), BodyError>
    where
        T: Serialize + ?Sized,
    {
        match self {
            Self::MessagePack => message_pack::encode(value, out),
            Self::Json => json::encode(value, out),
        }
    }

    /// Reads the one value that `bytes` hold.
    ///
    /// # Errors
    /// When the bytes break a limit, are malformed, hold more or less than one value, or are not a `T`. Nothing was built
    /// from them unless they passed the limits.
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8], limits: &BodyLimits) -> Result<T, BodyError> {
        let limits = limits.clamped();
        match self {
            Self::MessagePack => message_pack::decode(bytes, &limits),
            Self::Json => json::decode(bytes, &limits),
        }
    }
}

/// What a value may cost to read. Its bytes are limited by the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Arrays, maps and enum variants inside each other. Default 64, ceiling [`BodyLimits::MAX_DEPTH`].
    pub depth: usize,
    /// Values in all, map keys included. Default 1,000,000: it bounds what one-byte values can grow into.
    pub nodes: usize,
}

impl BodyLimits {
    /// The most that [`BodyLimits::depth`] may be: where serde_json stops, and far from the end of a stack.
    pub const MAX_DEPTH: usize = 127;

    fn clamped(self) -> Self {
        Self { depth: self.depth.min(Self::MAX_DEPTH), ..self }
    }
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { depth: 64, nodes: 1_000_000 }
    }
}

#[cfg(test)]
mod body_test;
