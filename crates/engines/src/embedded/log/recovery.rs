//! What happens at open: every group of every segment is read and checked, the index is rebuilt, and the tail is found.
//!
//! - A group is good if its crc holds, it says where it lies, and its `previous` is the crc of the group before it.
//! - One group is in flight at a time, so a good group proves that everything before it was durable. Hence the rule at the first
//!   group that is not good: if any good group lies behind it, or a further segment, it is **damage**, and the log refuses to
//!   open and names the place. Otherwise it is a **torn tail**, a group that was never acknowledged: it is overwritten with zeroes.
//! - A tear can leave any of a group's sectors old (zero) or new. Nothing inside one group counts as a good group behind it: a
//!   group names its log, segment and position, which no payload written earlier can know.
//! - The last group is written once more before anyone reads it: after a failed sync or a kill the page cache may show what the
//!   disk does not hold.
//!
//! What cannot be told from a torn tail is damage to the very last group, at rest, in a log that was neither closed nor idle for a
//! second (then an empty group lies behind it). It is reported as a torn tail. So are segments removed by hand at the end.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use settee_core::env;
use settee_core::planted::Bug;
use settee_core::port::{DiskFile, StoreError, StoreErrorKind};
use settee_core::time::Instant;

use super::GROUP_MAX_BYTES;
use super::index::Index;
use super::layout::{BadSegment, GROUP_HEADER, GroupHeader, SECTOR, SegmentHeader, is_padding, is_whole};
use super::segment::{Begun, Segment, Window, damaged, discard_next, firsts, is_zero, name_of, write_zeroes};
use super::writer::Writer;
use crate::embedded::Folder;
use crate::embedded::folder::failed;

/// The end of a log that was cut off when it was opened: a group that was never acknowledged, as a crash leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment file.
    pub file: String,
    /// Where in the file the torn group began; what was written later begins there too.
    pub position: u64,
    /// Bytes that were cut off, in whole sectors.
    pub bytes: u64,
}

/// What a log was found to be.
pub(super) struct Recovered {
    pub(super) index: Index,
    pub(super) writer: Writer,
    pub(super) torn: Option<TornTail>,
}

/// Reads the log of `folder`, or makes one. Blocks.
pub(super) fn recover(folder: Folder, segment_bytes: u64) -> Result<Recovered, StoreError> {
    let began = Instant::now();
    let disk = folder.disk().clone();
    let names = disk.list().map_err(|error| failed("list the data folder", &error))?;
    discard_next(&*disk).map_err(|error| failed("remove an unfinished segment", &error))?;
    let firsts = firsts(&names);
    if firsts.is_empty() {
        return create(folder, segment_bytes);
    }
    let mut scan = Scan::default();
    for (first, next) in firsts.iter().zip(firsts.iter().skip(1).map(Some).chain([None])) {
        let file = disk.open(&name_of(*first), false).map_err(|error| failed("open a segment", &error))?;
        scan.segment(*first, file, next.is_none())?;
    }
    // A rename that was made and not yet synced must not be undone by a power cut after this.
    disk.sync_folder().map_err(|error| failed("sync the data folder", &error))?;
    let micros = began.elapsed().as_micros();
    tracing::info!(bytes = scan.bytes, segments = firsts.len(), streams = scan.index.len(), micros, "the log was read");
    scan.finish(folder, segment_bytes)
}

fn create(folder: Folder, segment_bytes: u64) -> Result<Recovered, StoreError> {
    let (index, writer) = Writer::create(folder, segment_bytes, env::random_u64())?;
    Ok(Recovered { index, writer, torn: None })
}

/// How far the chain has been followed.
#[derive(Default)]
struct Scan {
    index: Index,
    segment: Option<Segment>,
    /// Where the next group is expected, with its number and the crc of the one before.
    position: u64,
    sequence: u64,
    chain: u32,
    /// The last good group of the present segment.
    last: Option<(u64, Bytes)>,
    bytes: u64,
    torn: Option<TornTail>,
}

impl Scan {
    fn segment(&mut self, first: u64, file: Arc<dyn DiskFile>, is_last: bool) -> Result<(), StoreError> {
        let header = self.header(first, &*file)?;
        self.segment = Some(Segment { header, file: file.clone() });
        self.segment.iter().for_each(|segment| self.index.add_segment(segment));
        (self.position, self.sequence, self.chain, self.last) = (SECTOR, first, header.chain, None);
        let mut window = Window::new(&*file).map_err(|error| failed("read a segment", &error))?;
        while self.group(&header, &mut window)? {}
        self.bytes += self.position;
        if self.index.len() < header.streams as usize {
            return Err(damaged(first, self.position, "a stream at the segment's beginning is gone"));
        }
        if is_last { self.tail(&header, &mut window) } else { Ok(()) }
    }

    /// The segment's header, if it continues what was read so far.
    fn header(&self, first: u64, file: &dyn DiskFile) -> Result<SegmentHeader, StoreError> {
        let mut window = Window::new(file).map_err(|error| failed("read a segment", &error))?;
        let sector = window.get(0, SECTOR as usize).map_err(|error| failed("read a segment", &error))?;
        let header = SegmentHeader::decode(&sector.unwrap_or_default()).map_err(|bad| match bad {
            BadSegment::Damaged => damaged(first, 0, "the header is not what was written"),
            BadSegment::Newer(version) => newer(first, version),
        })?;
        if header.first != first || header.length != window.length() {
            return Err(damaged(first, 0, "the header belongs to a file of another name or length"));
        }
        let Some(before) = &self.segment else { return Ok(header) };
        let continues = header.log == before.header.log && header.first == self.sequence && header.chain == self.chain;
        match continues {
            true => Ok(header),
            false => Err(damaged(before.header.first, self.position, "a group is bad or missing, and a later segment exists")),
        }
    }

    /// Takes the next group in; `false` when there is no good one.
    fn group(&mut self, segment: &SegmentHeader, window: &mut Window<'_>) -> Result<bool, StoreError> {
        let found = group_at(segment, window, self.position).map_err(|error| failed("read a segment", &error))?;
        let Some((header, group)) = found else { return Ok(false) };
        if header.place.sequence != self.sequence || header.place.previous != self.chain {
            return Ok(false);
        }
        let entries = group.get(GROUP_HEADER..).unwrap_or_default();
        let applied = self.index.apply(segment.first, self.position + GROUP_HEADER as u64, entries);
        applied.map_err(|reason| damaged(segment.first, self.position, &reason))?;
        let next = self.position + group.len() as u64;
        self.last = Some((self.position, group));
        (self.position, self.sequence, self.chain) = (next, self.sequence + 1, header.crc);
        Ok(true)
    }

    /// Behind the last good group of the last segment: zeroes, or a torn tail to be cut, or damage.
    fn tail(&mut self, segment: &SegmentHeader, window: &mut Window<'_>) -> Result<(), StoreError> {
        let mut torn = None;
        let mut position = self.position;
        let read = |error: &io::Error| failed("read a segment", error);
        while let Some(sector) = window.get(position, SECTOR as usize).map_err(|error| read(&error))? {
            if !is_zero(&sector) {
                if group_at(segment, window, position).map_err(|error| read(&error))?.is_some() {
                    return Err(damaged(segment.first, self.position, "a group is bad, and a good one lies behind it"));
                }
                torn = Some(position + SECTOR);
            }
            position += SECTOR;
        }
        torn.map_or(Ok(()), |end| self.cut(end))
    }

    fn cut(&mut self, end: u64) -> Result<(), StoreError> {
        let Some(segment) = &self.segment else { return Ok(()) };
        let (file, position, bytes) = (segment.name(), self.position, end - self.position);
        let sequence = self.sequence;
        tracing::warn!(file, position, sequence, bytes, "the log ends with a group that was never acknowledged; it is cut off");
        self.torn = Some(TornTail { file, position, bytes });
        write_zeroes(&*segment.file, self.position, end).map_err(|error| failed("cut the torn tail of the log", &error))
    }

    fn finish(self, folder: Folder, segment_bytes: u64) -> Result<Recovered, StoreError> {
        if let Some(gap) = self.index.missing() {
            let message = format!("the log is damaged: {gap}; restore the data folder from a backup");
            return Err(StoreError::not_done(StoreErrorKind::Damaged, message));
        }
        let Some(segment) = self.segment else { return create(folder, segment_bytes) };
        if let Some((position, group)) = &self.last {
            segment.file.write_at(*position, group).map_err(|error| failed("write the last group of the log again", &error))?;
        }
        segment.file.sync().map_err(|error| failed("sync the last segment of the log", &error))?;
        let end = Begun { segment, position: self.position, sequence: self.sequence, chain: self.chain };
        let is_sealed = self.last.is_none_or(|(_, group)| is_padding(group.get(GROUP_HEADER..).unwrap_or_default()));
        let writer = Writer::new(folder, segment_bytes, end, is_sealed);
        Ok(Recovered { index: self.index, writer, torn: self.torn })
    }
}

/// The group that lies at `position`, if its crc holds and it says that it lies there.
fn group_at(segment: &SegmentHeader, window: &mut Window<'_>, position: u64) -> io::Result<Option<(GroupHeader, Bytes)>> {
    let Some(header) = window.get(position, GROUP_HEADER)?.and_then(|bytes| GroupHeader::decode(&bytes)) else { return Ok(None) };
    let place = header.place;
    let is_here = place.log == segment.log && place.segment == segment.first && place.position == position;
    let is_sectors = ((GROUP_HEADER + header.body) as u64).is_multiple_of(SECTOR);
    if !is_here || !is_sectors || header.body > GROUP_MAX_BYTES {
        return Ok(None);
    }
    let group = window.get(position, GROUP_HEADER + header.body)?;
    let is_good = |group: &Bytes| is_whole(group, &header) || Bug::TrustsTornTail.is_planted();
    Ok(group.filter(is_good).map(|group| (header, group)))
}

fn newer(segment: u64, version: u32) -> StoreError {
    let file = name_of(segment);
    let message =
        format!("the log was written by a newer version: file {file} has format {version}; run that version, or a later one");
    StoreError::not_done(StoreErrorKind::Newer, message)
}
