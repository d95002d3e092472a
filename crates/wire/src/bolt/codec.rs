//! The codec byte: how the content of a frame is written.

use std::fmt;

/// How a frame's content is written. A number this crate does not know is carried, not refused: whoever dispatches the call
/// decides what it can read.
///
/// ```
/// use settee_wire::bolt::Codec;
/// assert_eq!(Codec::HESSIAN2.to_string(), "hessian2");
/// assert_eq!(Codec(99).to_string(), "codec 99");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Codec(pub u8);

impl Codec {
    /// Hessian 2 in SOFA's dialect: Java's default, also in heartbeats and error frames.
    pub const HESSIAN2: Self = Self(1);
    /// Protocol buffers.
    pub const PROTOBUF: Self = Self(11);
    /// JSON.
    pub const JSON: Self = Self(12);
    /// MessagePack with named fields, between settee peers only: 83, the letter `S`, which no SOFA codec uses.
    pub const MESSAGE_PACK: Self = Self(b'S');

    /// The codec's name, if this crate knows it.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::HESSIAN2 => Some("hessian2"),
            Self::PROTOBUF => Some("protobuf"),
            Self::JSON => Some("json"),
            Self::MESSAGE_PACK => Some("messagepack"),
            _ => None,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => out.write_str(name),
            None => write!(out, "codec {}", self.0),
        }
    }
}
