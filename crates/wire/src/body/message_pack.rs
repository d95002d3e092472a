//! MessagePack: structs as maps by field name, not human-readable, read only after a walk over its structure.

use std::io;

use rmp_serde::{Deserializer, Serializer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::BodyLimits;
use super::error::{BadBytes, BodyError};

const NAME: &str = "messagepack";

pub(super) fn encode<T>(value: &T, out: &mut impl io::Write) -> Result<(), BodyError>
where
    T: Serialize + ?Sized,
{
    let mut serializer = Serializer::new(out).with_struct_map();
    value.serialize(&mut serializer).map_err(|error| BodyError::Encode { codec: NAME, reason: error.to_string() })
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], limits: &BodyLimits) -> Result<T, BodyError> {
    check(bytes, limits)?;
    let mut deserializer = Deserializer::from_read_ref(bytes);
    // rmp-serde counts down and stops at zero, one level early.
    deserializer.set_max_depth(limits.depth + 1);
    T::deserialize(&mut deserializer).map_err(|error| BodyError::Decode { codec: NAME, reason: reason(&error) })
}

/// What serde said. rmp-serde names the byte that it met, where people think of the type that they sent.
fn reason(error: &rmp_serde::decode::Error) -> String {
    let rmp_serde::decode::Error::TypeMismatch(marker) = error else { return error.to_string() };
    let name = format!("{marker:?}");
    let kinds =
        [("Str", "a text"), ("Arr", "a list"), ("Map", "a map"), ("Bin", "bytes"), ("Null", "nothing"), ("Ext", "an extension")];
    let kind = kinds.iter().find(|(part, _)| name.contains(part)).map_or("a number or a truth value", |(_, kind)| kind);
    format!("invalid type: {kind}, expected another")
}

/// Whether `bytes` hold exactly one value within `limits`, and every length in it is covered by bytes.
fn check(bytes: &[u8], limits: &BodyLimits) -> Result<(), BodyError> {
    let mut walk = Walk { rest: bytes, nodes_left: limits.nodes, limits };
    let walked = walk.value(limits.depth).and_then(|()| walk.end());
    walked.map_err(|why| BodyError::Refused { codec: NAME, offset: bytes.len() - walk.rest.len(), why })
}

struct Walk<'a> {
    rest: &'a [u8],
    nodes_left: usize,
    limits: &'a BodyLimits,
}

impl Walk<'_> {
    /// Walks over one value. Recurses at most `depth_left` deep, which [`BodyLimits::MAX_DEPTH`] bounds.
    fn value(&mut self, depth_left: usize) -> Result<(), BadBytes> {
        self.count_node()?;
        let marker = self.integer::<1>()?;
        match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Ok(()),
            0x80..=0x8f => self.items(2 * (marker & 0x0f), depth_left),
            0x90..=0x9f => self.items(marker & 0x0f, depth_left),
            0xde => self.map::<2>(depth_left),
            0xdf => self.map::<4>(depth_left),
            0xdc => self.array::<2>(depth_left),
            0xdd => self.array::<4>(depth_left),
            0xc7..=0xc9 | 0xd4..=0xd8 => self.extension(marker, depth_left),
            _ => self.scalar(marker),
        }
    }

    /// Walks over a number, text or byte string.
    fn scalar(&mut self, marker: u64) -> Result<(), BadBytes> {
        let length = match marker {
            0xa0..=0xbf => marker & 0x1f,
            0xc4 | 0xd9 => self.integer::<1>()?,
            0xc5 | 0xda => self.integer::<2>()?,
            0xc6 | 0xdb => self.integer::<4>()?,
            0xcc | 0xd0 => 1,
            0xcd | 0xd1 => 2,
            0xca | 0xce | 0xd2 => 4,
            0xcb | 0xcf | 0xd3 => 8,
            // All others are taken; the format keeps this one free.
            _ => return Err(BadBytes::Reserved { marker: 0xc1 }),
        };
        self.skip(length)
    }

    /// Walks over a typed byte string, which counts as a container.
    fn extension(&mut self, marker: u64, depth_left: usize) -> Result<(), BadBytes> {
        self.deeper(depth_left)?;
        let length = match marker {
            0xc7 => self.integer::<1>()?,
            0xc8 => self.integer::<2>()?,
            0xc9 => self.integer::<4>()?,
            fixed => 1 << (fixed & 0x0f).saturating_sub(4),
        };
        self.skip(1 + length)
    }

    fn map<const N: usize>(&mut self, depth_left: usize) -> Result<(), BadBytes> {
        let pairs = self.integer::<N>()?;
        self.items(2 * pairs, depth_left)
    }

    fn array<const N: usize>(&mut self, depth_left: usize) -> Result<(), BadBytes> {
        let items = self.integer::<N>()?;
        self.items(items, depth_left)
    }

    /// Walks over the items of a container. Each takes a byte at least, so a lying count ends here, before serde sees it.
    fn items(&mut self, count: u64, depth_left: usize) -> Result<(), BadBytes> {
        let depth_left = self.deeper(depth_left)?;
        self.covered(count)?;
        for _ in 0..count {
            self.value(depth_left)?;
        }
        Ok(())
    }

    fn deeper(&self, depth_left: usize) -> Result<usize, BadBytes> {
        let limit = self.limits.depth;
        depth_left.checked_sub(1).ok_or(BadBytes::TooDeep { limit })
    }

    fn count_node(&mut self) -> Result<(), BadBytes> {
        let limit = self.limits.nodes;
        self.nodes_left = self.nodes_left.checked_sub(1).ok_or(BadBytes::TooManyNodes { limit })?;
        Ok(())
    }

    /// The next `N` bytes as a number.
    fn integer<const N: usize>(&mut self) -> Result<u64, BadBytes> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated(N as u64));
        };
        self.rest = rest;
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn skip(&mut self, length: u64) -> Result<(), BadBytes> {
        let length = self.covered(length)?;
        self.rest = self.rest.get(length..).unwrap_or_default();
        Ok(())
    }

    /// `declared` as a length, if so many bytes are left.
    fn covered(&self, declared: u64) -> Result<usize, BadBytes> {
        let length = usize::try_from(declared).ok();
        length.filter(|length| *length <= self.rest.len()).ok_or(self.truncated(declared))
    }

    fn truncated(&self, declared: u64) -> BadBytes {
        let left = self.rest.len();
        BadBytes::Truncated { declared, left }
    }

    fn end(&self) -> Result<(), BadBytes> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(BadBytes::Trailing { count }),
        }
    }
}
