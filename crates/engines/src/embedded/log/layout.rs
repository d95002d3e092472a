//! The bytes of the log: segment headers and groups, to and from memory, and the drawing of all of it. No disk here.
//!
//! All numbers are little-endian. A segment file is made full of zeroes, then filled with groups from front to back; a group
//! starts at a sector, so that writing it never touches a sector that holds acknowledged bytes.
//!
//! ```text
//! segment   | header, one sector | group | zeroes to the sector's end | group | ... | zeroes to the end of the file |
//!
//! segment header          group header                      entry
//!  0 magic "STLOGSEG"      0 crc32c of all behind it,        0 crc32c of all behind it, to the entry's end
//!  8 format version u32      to the sector's end             4 length u32, this header with the body
//! 12 crc32c of the rest    4 length u32, always 56           8 kind u8: 2 records, 3 trim, 4 stream
//! 16 log id u64            8 kind u8: 1, 3 zeroes            9 3 zeroes
//! 24 first sequence u64   12 previous group's crc            12 stream number u32
//! 32 file length u64      16 sequence u64                    16 offset u64
//! 40 crc of the group     24 log id u64                      24 count u32
//!    before it u32        32 first sequence of segment u64   28 zero u32
//! 44 streams at its       40 position in the file u64        32 body, then zeroes to a multiple of 8
//!    beginning u32        48 bytes behind this header u32
//!                         52 zero u32
//!
//! records   offset: of the first record; count: records; body: for each, length u32 and payload
//! trim      offset: records before it may go; no body
//! stream    offset: its tail; body: trimmed-before u64, then its name. Declares a stream, or repeats it at a segment's beginning
//! ```
//!
//! Group headers have the shape of entries, so a reader can walk from any entry over group borders: by lengths, and from a
//! length of zero to the next sector.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::entry::{Entry, EntryKind, push};

/// The smallest unit in which a device tears a write.
pub(super) const SECTOR: u64 = 512;
pub(super) const GROUP_HEADER: usize = 56;
pub(super) const SEGMENT_HEADER: usize = 48;
const MAGIC: &[u8; 8] = b"STLOGSEG";
const VERSION: u32 = 1;

/// What the first sector of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Drawn when the log was made: bytes of another log never pass for ours.
    pub(super) log: u64,
    /// The sequence of the first group.
    pub(super) first: u64,
    /// The length the file was made with.
    pub(super) length: u64,
    /// The crc of the last group before.
    pub(super) chain: u32,
    /// How many streams are repeated at the beginning.
    pub(super) streams: u32,
}

/// Why bytes are not a segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadSegment {
    Damaged,
    Newer(u32),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut rest = Vec::with_capacity(SEGMENT_HEADER);
        rest.put_u64_le(self.log);
        rest.put_u64_le(self.first);
        rest.put_u64_le(self.length);
        rest.put_u32_le(self.chain);
        rest.put_u32_le(self.streams);
        let mut header = Vec::with_capacity(SEGMENT_HEADER);
        header.put_slice(MAGIC);
        header.put_u32_le(VERSION);
        header.put_u32_le(segment_crc(VERSION, &rest));
        header.put_slice(&rest);
        header
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadSegment> {
        let rest = bytes.get(..SEGMENT_HEADER).and_then(|bytes| bytes.strip_prefix(MAGIC)).ok_or(BadSegment::Damaged)?;
        let (version, crc, rest) = take_versioned(rest).ok_or(BadSegment::Damaged)?;
        if segment_crc(version, rest) != crc || version == 0 {
            return Err(BadSegment::Damaged);
        }
        if version > VERSION {
            return Err(BadSegment::Newer(version));
        }
        Self::take(rest).ok_or(BadSegment::Damaged)
    }

    fn take(mut from: &[u8]) -> Option<Self> {
        Some(Self {
            log: from.try_get_u64_le().ok()?,
            first: from.try_get_u64_le().ok()?,
            length: from.try_get_u64_le().ok()?,
            chain: from.try_get_u32_le().ok()?,
            streams: from.try_get_u32_le().ok()?,
        })
    }
}

fn take_versioned(mut from: &[u8]) -> Option<(u32, u32, &[u8])> {
    let version = from.try_get_u32_le().ok()?;
    let crc = from.try_get_u32_le().ok()?;
    Some((version, crc, from))
}

fn segment_crc(version: u32, rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&version.to_le_bytes()), rest)
}

/// Where a group is, in the chain and on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) log: u64,
    pub(super) segment: u64,
    pub(super) position: u64,
    pub(super) sequence: u64,
    pub(super) previous: u32,
}

/// A group header as read; its crc is not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupHeader {
    pub(super) crc: u32,
    pub(super) place: Place,
    /// Bytes behind the header, with the zeroes to the sector's end.
    pub(super) body: usize,
}

impl GroupHeader {
    pub(super) fn decode(mut from: &[u8]) -> Option<Self> {
        let crc = from.try_get_u32_le().ok()?;
        let length = from.try_get_u32_le().ok()?;
        let kind = from.try_get_u32_le().ok()?;
        let previous = from.try_get_u32_le().ok()?;
        let sequence = from.try_get_u64_le().ok()?;
        let log = from.try_get_u64_le().ok()?;
        let segment = from.try_get_u64_le().ok()?;
        let position = from.try_get_u64_le().ok()?;
        let body = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
        let is_group = length as usize == GROUP_HEADER && kind == u32::from(EntryKind::Group as u8);
        let place = Place { log, segment, position, sequence, previous };
        is_group.then_some(Self { crc, place, body })
    }
}

/// Whether the entries of a group end here, and zeroes go on to the sector's end.
pub(super) fn is_padding(entries: &[u8]) -> bool {
    entries.get(4..8).is_none_or(|length| length == [0; 4])
}

/// Whether `group`, header and entries, is what its crc says.
pub(super) fn is_whole(group: &[u8], header: &GroupHeader) -> bool {
    group.get(4..).is_some_and(|rest| crc32c::crc32c(rest) == header.crc)
}

/// The bytes of a group of `entries` at `place`, padded to whole sectors, and the group's crc.
pub(super) fn encode_group(entries: &[Entry], place: &Place) -> (Bytes, u32) {
    let length = group_size(entries);
    let mut bytes = BytesMut::with_capacity(length.next_multiple_of(SECTOR as usize));
    bytes.resize(GROUP_HEADER, 0);
    for entry in entries {
        push(&mut bytes, entry);
    }
    bytes.resize(length.next_multiple_of(SECTOR as usize), 0);
    let mut header = Vec::with_capacity(GROUP_HEADER);
    header.put_slice(&word(GROUP_HEADER));
    header.put_u32_le(u32::from(EntryKind::Group as u8));
    header.put_u32_le(place.previous);
    header.put_u64_le(place.sequence);
    header.put_u64_le(place.log);
    header.put_u64_le(place.segment);
    header.put_u64_le(place.position);
    header.put_slice(&word(bytes.len() - GROUP_HEADER));
    header.put_u32_le(0);
    overwrite(&mut bytes, 4, &header);
    let crc = crc32c::crc32c(bytes.get(4..).unwrap_or_default());
    overwrite(&mut bytes, 0, &crc.to_le_bytes());
    (bytes.freeze(), crc)
}

/// Bytes of a group of `entries`, without the padding to whole sectors.
pub(super) fn group_size(entries: &[Entry]) -> usize {
    GROUP_HEADER + entries.iter().map(Entry::size).sum::<usize>()
}

/// `length` rounded up to whole sectors.
pub(super) fn sectors(length: usize) -> u64 {
    (length as u64).next_multiple_of(SECTOR)
}

/// Lengths in a group are below 4 GiB by the limits on what goes in.
pub(super) fn word(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

pub(super) fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    if let Some(target) = bytes.get_mut(at..at + with.len()) {
        target.copy_from_slice(with);
    }
}

#[cfg(test)]
mod tests {
    use settee_core::port::StreamName;

    use super::super::entry::{EntryHeader, payloads, stream_of};
    use super::*;

    fn place() -> Place {
        Place { log: 7, segment: 1, position: 512, sequence: 3, previous: 99 }
    }

    fn group() -> Bytes {
        let entries = [
            Entry::Stream { stream: 0, tail: 4, trimmed: 2, name: StreamName::new("orders").unwrap() },
            Entry::Records { stream: 0, first: 4, payloads: vec![Bytes::from_static(b"abc"), Bytes::new()] },
        ];
        encode_group(&entries, &place()).0
    }

    #[test]
    fn what_is_written_is_read_back() {
        let group = group();
        assert_eq!(group.len() as u64 % SECTOR, 0);
        let header = GroupHeader::decode(&group).unwrap();
        assert_eq!(header.place, place());
        assert!(is_whole(&group[..GROUP_HEADER + header.body], &header));
        let stream = EntryHeader::decode(&group[GROUP_HEADER..]).unwrap();
        assert!(stream.is_whole(&group[GROUP_HEADER..]));
        assert_eq!(stream_of(&stream, &group[GROUP_HEADER..]), Some((2, "orders")));
        let entry = group.slice(GROUP_HEADER + stream.length..);
        let records = EntryHeader::decode(&entry).unwrap();
        assert_eq!((records.kind, records.offset), (EntryKind::Records, 4));
        assert_eq!(payloads(&records, &entry).unwrap(), [Bytes::from_static(b"abc"), Bytes::new()]);
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let header = SegmentHeader { log: 7, first: 1, length: 4096, chain: 0, streams: 0 };
        let bytes = header.encode();
        assert_eq!((bytes.len(), SegmentHeader::decode(&bytes)), (SEGMENT_HEADER, Ok(header)));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), Err(BadSegment::Damaged), "bit {bit}");
        }
    }

    #[test]
    fn a_segment_of_a_newer_format_is_named_as_such() {
        let rest = [7; 32];
        let bytes = [&MAGIC[..], &2u32.to_le_bytes(), &segment_crc(2, &rest).to_le_bytes(), &rest].concat();
        assert_eq!(SegmentHeader::decode(&bytes), Err(BadSegment::Newer(2)));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = SegmentHeader::decode(&bytes);
            let _ = GroupHeader::decode(&bytes);
            let entry = Bytes::from(bytes);
            if let Some(header) = EntryHeader::decode(&entry) {
                let _ = (header.is_whole(&entry), payloads(&header, &entry), stream_of(&header, &entry));
            }
        }
    }
}
