//! Bolt, the framing of SOFARPC. All integers are big-endian; the parts in brackets exist in v2 only.
//!
//! ```text
//! | protocol 1 | [version 1] | type 1 | command 2 | 1 | request id 4 | codec 1 | [switch 1] |
//! | timeout 4, or status 2 in a response | class length 2 | header length 2 | content length 4 |
//! | class | header | content | [CRC-32 4] |
//! ```
//!
//! The two 16-bit lengths are signed for Java and Node, so 32,767 is the most either may say. A CRC-32 of everything before
//! it ends a frame only if the version is 2 *and* bit 0 of the switch is set; Java sets that bit without a CRC at version 1.
//! Nothing is negotiated: the client chooses, and an answer repeats its request's version, switch and codec ([`Head::answer`]).

mod frame;
mod version;

mod codec;
mod status;

mod limits;

mod decode;
mod encode;
mod header;

pub use codec::Codec;
pub use decode::{DecodeError, Decoder};
pub use encode::{ContentWriter, EncodeError, Encoder, HeaderWriter};
pub use frame::{Body, Frame, Head, Kind, Timeout};
pub use header::{Header, HeaderError, Pairs};
pub use limits::{Limits, Part};
pub use status::Status;
pub use version::{SubVersion, Switch, Version};

#[cfg(test)]
mod golden_test;
#[cfg(test)]
mod property_test;
