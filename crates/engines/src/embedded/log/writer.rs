//! The writing end: puts one group after the other on the disk, each durable before the next begins. Blocking, no tasks.
//!
//! - A group that finds no room, or fails to be written, is cut: its place is overwritten with zeroes and synced, so that nothing of
//!   it can come back after a crash. Only then is it refused as not done, and the log goes on.
//! - A sync that fails, or a cut that fails, ends the log: what is on the disk is not known any more.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use settee_core::port::{Disk, StoreError, StoreErrorKind};

use super::index::Index;
use super::layout::{Entry, GROUP_HEADER, Place, SECTOR, SegmentHeader, encode_group, group_size, sectors};
use super::segment::{NEXT, Segment, name_of, prepare};
use super::{GROUP_TARGET_BYTES, segment};
use crate::embedded::Folder;
use crate::embedded::folder::failed;

/// Owns the last segment. It holds the folder, so the lock is let go when the writer is.
pub(super) struct Writer {
    folder: Folder,
    segment_bytes: u64,
    segment: Segment,
    position: u64,
    sequence: u64,
    chain: u32,
}

/// A group that is durable.
pub(super) struct Written {
    /// The segments that were begun for it, already holding the streams at their beginning.
    pub(super) begun: Option<Segment>,
    pub(super) segment: u64,
    /// Where its entries begin.
    pub(super) position: u64,
    pub(super) entries: Bytes,
}

/// A group that is not.
pub(super) enum Failure {
    /// Nothing of it is on the disk; the log goes on.
    Refused(StoreError),
    /// It may be on the disk; the log has ended.
    Poisoned(StoreError),
}

impl Writer {
    pub(super) fn new(folder: Folder, segment_bytes: u64, segment: Segment, position: u64, sequence: u64, chain: u32) -> Self {
        Self { folder, segment_bytes, segment, position, sequence, chain }
    }

    /// Makes the first segment of a new log.
    pub(super) fn create(folder: Folder, segment_bytes: u64, log: u64) -> Result<(Index, Self), StoreError> {
        let begin = Begin { log, first: 1, chain: 0, streams: &[] };
        let begun = begin_segment(&**folder.disk(), &begin, segment_length(segment_bytes, &[], 0), false);
        let (segment, position) = begun.map_err(|error| failed("make the first segment of the log", &error))?;
        let mut index = Index::default();
        index.add_segment(&segment);
        Ok((index, Self::new(folder, segment_bytes, segment, position, 1, 0)))
    }

    /// Whether a group of `entries` goes into the present segment; else the next one is begun for it.
    pub(super) fn fits(&self, entries: &[Entry]) -> bool {
        self.position + sectors(group_size(entries)) <= self.segment.header.length
    }

    /// Whether more than half of the present segment is used, so that the next one should be prepared.
    pub(super) fn wants_next(&self) -> bool {
        self.position > self.segment.header.length / 2
    }

    /// What prepares the next segment: run it beside the writer, not during a commit that begins a segment.
    pub(super) fn preparation(&self) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        let (disk, length) = (self.folder.disk().clone(), segment_length(self.segment_bytes, &[], 0));
        move || prepare(&*disk, length)
    }

    /// Puts a group on the disk, in a new segment that begins with `streams` if it does not fit into the present one.
    pub(super) fn commit(&mut self, entries: &[Entry], streams: &[Entry], is_prepared: bool) -> Result<Written, Failure> {
        let begun = match self.fits(entries) {
            true => None,
            false => Some(self.begin_next(entries, streams, is_prepared)?),
        };
        let (group, crc) = encode_group(entries, &self.place());
        let file = &*self.segment.file;
        file.write_at(self.position, &group).map_err(|error| self.cut(&group, &error))?;
        file.sync().map_err(|error| poisoned("sync the log", &error))?;
        let position = self.position + GROUP_HEADER as u64;
        let entries = group.slice(GROUP_HEADER..group_size(entries));
        (self.position, self.sequence, self.chain) = (self.position + group.len() as u64, self.sequence + 1, crc);
        Ok(Written { begun, segment: self.segment.header.first, position, entries })
    }

    /// Removes a segment in which nothing is left; one at a time, so that a crash cannot leave a gap between segments.
    pub(super) fn remove(&self, first: u64) -> io::Result<()> {
        self.folder.disk().remove(&name_of(first))?;
        self.folder.disk().sync_folder()
    }

    fn place(&self) -> Place {
        let SegmentHeader { log, first, .. } = self.segment.header;
        Place { log, segment: first, position: self.position, sequence: self.sequence, previous: self.chain }
    }

    fn begin_next(&mut self, entries: &[Entry], streams: &[Entry], is_prepared: bool) -> Result<Segment, Failure> {
        let begin = Begin { log: self.segment.header.log, first: self.sequence, chain: self.chain, streams };
        let length = segment_length(self.segment_bytes, streams, group_size(entries));
        let disk = self.folder.disk().clone();
        match begin_segment(&*disk, &begin, length, is_prepared) {
            Ok((segment, position)) => {
                self.sequence += pieces(streams).count() as u64;
                self.chain = segment.chain_at_end;
                self.position = position;
                self.segment = segment.segment.clone();
                Ok(segment.segment)
            }
            // A file that does not have its name yet can be thrown away, whatever failed in it.
            Err(error) if disk.open(&name_of(begin.first), false).is_err() => {
                let _ = segment::discard_next(&*disk);
                Err(Failure::Refused(failed("begin a segment of the log", &error)))
            }
            Err(error) => Err(poisoned("begin a segment of the log", &error)),
        }
    }

    /// Makes sure that nothing of a group that failed to be written can be found again.
    fn cut(&self, group: &Bytes, error: &io::Error) -> Failure {
        let file = &*self.segment.file;
        let end = self.position + group.len() as u64;
        match segment::write_zeroes(file, self.position, end).and_then(|()| file.sync()) {
            Ok(()) => Failure::Refused(failed("write to the log", error)),
            Err(second) => poisoned(&format!("take back a write to the log that failed ({error})"), &second),
        }
    }
}
