//! The entries of a group, to and from memory: records, trims and streams. `layout` draws their bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use settee_core::port::StreamName;

use super::layout::{overwrite, word};

pub(super) const ENTRY_HEADER: usize = 32;
const ALIGNMENT: usize = 8;

/// One entry of a group, by stream number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Records { stream: u32, first: u64, payloads: Vec<Bytes> },
    Trim { stream: u32, before: u64 },
    Stream { stream: u32, tail: u64, trimmed: u64, name: StreamName },
}

impl Entry {
    /// Bytes in a group, exactly.
    pub(super) fn size(&self) -> usize {
        let body = match self {
            Self::Records { payloads, .. } => payloads.iter().map(|payload| 4 + payload.len()).sum(),
            Self::Trim { .. } => 0,
            Self::Stream { name, .. } => 8 + name.as_str().len(),
        };
        (ENTRY_HEADER + body).next_multiple_of(ALIGNMENT)
    }

    fn encode(&self, to: &mut BytesMut) {
        match self {
            Self::Records { stream, first, payloads } => {
                put_header(to, EntryKind::Records, *stream, *first, payloads.len());
                for payload in payloads {
                    to.put_slice(&word(payload.len()));
                    to.put_slice(payload);
                }
            }
            Self::Trim { stream, before } => put_header(to, EntryKind::Trim, *stream, *before, 0),
            Self::Stream { stream, tail, trimmed, name } => {
                put_header(to, EntryKind::Stream, *stream, *tail, name.as_str().len());
                to.put_u64_le(*trimmed);
                to.put_slice(name.as_str().as_bytes());
            }
        }
    }
}

fn put_header(to: &mut BytesMut, kind: EntryKind, stream: u32, offset: u64, count: usize) {
    to.put_u64_le(0);
    to.put_u32_le(u32::from(kind as u8));
    to.put_u32_le(stream);
    to.put_u64_le(offset);
    to.put_slice(&word(count));
    to.put_u32_le(0);
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum EntryKind {
    Group = 1,
    Records = 2,
    Trim = 3,
    Stream = 4,
}

/// An entry's header as read; its crc is not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryHeader {
    pub(super) crc: u32,
    /// With header and padding; at least the header.
    pub(super) length: usize,
    pub(super) kind: EntryKind,
    pub(super) stream: u32,
    pub(super) offset: u64,
    pub(super) count: u32,
}

impl EntryHeader {
    pub(super) fn decode(mut from: &[u8]) -> Option<Self> {
        let crc = from.try_get_u32_le().ok()?;
        let length = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
        let kind = match from.try_get_u32_le().ok()? {
            1 => EntryKind::Group,
            2 => EntryKind::Records,
            3 => EntryKind::Trim,
            4 => EntryKind::Stream,
            _ => return None,
        };
        let stream = from.try_get_u32_le().ok()?;
        let offset = from.try_get_u64_le().ok()?;
        let count = from.try_get_u32_le().ok()?;
        (length >= ENTRY_HEADER && length % ALIGNMENT == 0).then_some(Self { crc, length, kind, stream, offset, count })
    }

    /// Whether `entry`, header and body, is what the crc says.
    pub(super) fn is_whole(&self, entry: &[u8]) -> bool {
        entry.get(4..self.length).is_some_and(|rest| crc32c::crc32c(rest) == self.crc)
    }
}

/// The payloads of a records entry, sharing `entry`'s memory; `None` when its lengths do not add up.
pub(super) fn payloads(header: &EntryHeader, entry: &Bytes) -> Option<Vec<Bytes>> {
    let mut body = entry.get(ENTRY_HEADER..header.length).map(|body| entry.slice_ref(body))?;
    let mut payloads = Vec::new();
    for _ in 0..header.count {
        let length = usize::try_from(body.try_get_u32_le().ok()?).ok()?;
        if length > body.len() {
            return None;
        }
        payloads.push(body.split_to(length));
    }
    Some(payloads)
}

/// The trimmed-before mark and the name of a stream entry.
pub(super) fn stream_of<'a>(header: &EntryHeader, entry: &'a [u8]) -> Option<(u64, &'a str)> {
    let mut body = entry.get(ENTRY_HEADER..header.length)?;
    let trimmed = body.try_get_u64_le().ok()?;
    let name = body.get(..usize::try_from(header.count).ok()?)?;
    Some((trimmed, std::str::from_utf8(name).ok()?))
}

/// Adds `entry` to a group.
pub(super) fn push(bytes: &mut BytesMut, entry: &Entry) {
    let begin = bytes.len();
    entry.encode(bytes);
    bytes.resize(begin + entry.size(), 0);
    overwrite(bytes, begin + 4, &word(entry.size()));
    let crc = crc32c::crc32c(bytes.get(begin + 4..).unwrap_or_default());
    overwrite(bytes, begin, &crc.to_le_bytes());
}
