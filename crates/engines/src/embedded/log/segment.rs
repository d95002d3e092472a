//! Segment files: their names, how one comes to be, and reading through a window.
//!
//! A segment appears whole or not at all: it is written aside with zeroes, header and the streams at its beginning, synced, and
//! then renamed. So a file with a segment's name always has a good header, and its zeroes are on the disk already: a later
//! sync writes only groups, and changes no metadata of the file system.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use settee_core::port::{Disk, DiskFile, StoreError, StoreErrorKind};

use super::entry::Entry;
use super::layout::{Place, SECTOR, SegmentHeader, encode_group, group_size, sectors};
use crate::embedded::folder::remove_if_there;

/// The file in which the next segment is prepared.
pub(super) const NEXT: &str = "log-next.tmp";

/// Bytes that are written or read at once where a whole file is: enough for full speed, and little enough not to count.
const PIECE_BYTES: usize = 1 << 20;

/// Streams in one group at a segment's beginning: with the longest names 2.4 MB, well below the limit of a group.
const STREAMS_PER_GROUP: usize = 8_192;

/// An open segment.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) file: Arc<dyn DiskFile>,
}

impl Segment {
    pub(super) fn name(&self) -> String {
        name_of(self.header.first)
    }
}

/// The file name of the segment that begins with group `first`.
pub(super) fn name_of(first: u64) -> String {
    format!("log-{first:020}.seg")
}

/// The error for bytes that are not what was written, with their place.
pub(super) fn damaged(segment: u64, position: u64, reason: &str) -> StoreError {
    let file = name_of(segment);
    let message =
        format!("the log is damaged: file {file}, position {position}: {reason}; restore the data folder from a backup");
    StoreError::not_done(StoreErrorKind::Damaged, message)
}

/// The sequences in the names of all segment files, in order.
pub(super) fn firsts(names: &[String]) -> Vec<u64> {
    let number = |name: &String| name.strip_prefix("log-")?.strip_suffix(".seg")?.parse::<u64>().ok();
    let mut firsts: Vec<u64> = names.iter().filter_map(number).filter(|first| names.contains(&name_of(*first))).collect();
    firsts.sort_unstable();
    firsts
}

/// How a segment is to begin.
pub(super) struct Begin<'a> {
    pub(super) log: u64,
    pub(super) first: u64,
    pub(super) chain: u32,
    pub(super) length: u64,
    /// Repeated at the beginning, so that the segments before it are not needed to know them.
    pub(super) streams: &'a [Entry],
}

/// A segment, and where its next group goes.
pub(super) struct Begun {
    pub(super) segment: Segment,
    pub(super) position: u64,
    pub(super) sequence: u64,
    pub(super) chain: u32,
}

impl Begun {
    /// The place of the next group.
    pub(super) fn place(&self) -> Place {
        let SegmentHeader { log, first, .. } = self.segment.header;
        Place { log, segment: first, position: self.position, sequence: self.sequence, previous: self.chain }
    }

    /// Goes behind a group of `length` bytes.
    pub(super) fn pass(&mut self, length: u64, crc: u32) {
        (self.position, self.sequence, self.chain) = (self.position + length, self.sequence + 1, crc);
    }
}

/// The length of a segment that takes `streams` and a first group of `group` bytes, even where `wanted` is too little for them.
pub(super) fn length_for(wanted: u64, streams: &[Entry], group: usize) -> u64 {
    let begin: u64 = streams.chunks(STREAMS_PER_GROUP).map(|streams| sectors(group_size(streams))).sum();
    wanted.max(SECTOR + begin + sectors(group)).next_multiple_of(SECTOR)
}

/// Writes a whole new segment into the file [`NEXT`], on the disk.
pub(super) fn write_aside(disk: &dyn Disk, begin: &Begin<'_>, is_prepared: bool) -> io::Result<Begun> {
    if !is_prepared || disk.open(NEXT, false)?.len()? != begin.length {
        prepare(disk, begin.length)?;
    }
    let file = disk.open(NEXT, false)?;
    let streams = u32::try_from(begin.streams.len()).unwrap_or(u32::MAX);
    let header = SegmentHeader { log: begin.log, first: begin.first, length: begin.length, chain: begin.chain, streams };
    file.write_at(0, &header.encode())?;
    let segment = Segment { header, file: file.clone() };
    let mut begun = Begun { segment, position: SECTOR, sequence: begin.first, chain: begin.chain };
    for streams in begin.streams.chunks(STREAMS_PER_GROUP) {
        let (group, crc) = encode_group(streams, &begun.place());
        file.write_at(begun.position, &group)?;
        begun.pass(group.len() as u64, crc);
    }
    file.sync()?;
    Ok(begun)
}

/// Gives the file [`NEXT`] its name, on the disk: from here on the segment is part of the log.
pub(super) fn publish(disk: &dyn Disk, mut begun: Begun) -> io::Result<Begun> {
    let name = begun.segment.name();
    disk.rename(NEXT, &name)?;
    disk.sync_folder()?;
    begun.segment.file = disk.open(&name, false)?;
    Ok(begun)
}

/// Makes the file [`NEXT`] of `length` zeroes, on the disk.
pub(super) fn prepare(disk: &dyn Disk, length: u64) -> io::Result<()> {
    discard_next(disk)?;
    let file = disk.open(NEXT, true)?;
    write_zeroes(&*file, 0, length)?;
    file.sync()
}

/// Removes the file [`NEXT`] if there is one.
pub(super) fn discard_next(disk: &dyn Disk) -> io::Result<()> {
    remove_if_there(disk, NEXT)
}

/// Writes zeroes from `from` up to `to`.
pub(super) fn write_zeroes(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let zeroes = vec![0; PIECE_BYTES];
    let mut position = from;
    while position < to {
        let piece = usize::try_from(to - position).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        file.write_at(position, zeroes.get(..piece).unwrap_or_default())?;
        position += piece as u64;
    }
    Ok(())
}

/// Reads a file from front to back in large pieces.
pub(super) struct Window<'a> {
    file: &'a dyn DiskFile,
    length: u64,
    start: u64,
    bytes: Bytes,
}

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a dyn DiskFile) -> io::Result<Self> {
        Ok(Self { file, length: file.len()?, start: 0, bytes: Bytes::new() })
    }

    /// How long the file is.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// `count` bytes at `position`; `None` when the file ends before.
    pub(super) fn get(&mut self, position: u64, count: usize) -> io::Result<Option<Bytes>> {
        if position.checked_add(count as u64).is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        if let Some(held) = self.held(position, count) {
            return Ok(Some(held));
        }
        let rest = usize::try_from(self.length - position).unwrap_or(usize::MAX);
        let mut bytes = vec![0; count.max(PIECE_BYTES).min(rest)];
        self.file.read_at(position, &mut bytes)?;
        (self.start, self.bytes) = (position, bytes.into());
        Ok(self.held(position, count))
    }

    fn held(&self, position: u64, count: usize) -> Option<Bytes> {
        let begin = usize::try_from(position.checked_sub(self.start)?).ok()?;
        let found = self.bytes.get(begin..begin.checked_add(count)?)?;
        Some(self.bytes.slice_ref(found))
    }
}

/// Whether a sector holds zeroes only.
pub(super) fn is_zero(sector: &[u8]) -> bool {
    const ZERO: [u8; SECTOR as usize] = [0; SECTOR as usize];
    ZERO.get(..sector.len()).is_some_and(|zero| zero == sector)
}
