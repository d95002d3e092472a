//! The writing end: puts one group after the other on the disk, each durable before the next begins. Blocking, no tasks.
//!
//! - A group that finds no room, or fails to be written, is cut: its place is overwritten with zeroes and synced, so that nothing of
//!   it can come back after a crash. Only then is it refused as not done, and the log goes on.
//! - A sync that fails, or a cut that fails, ends the log: what is on the disk is not known any more.

use std::io;

use bytes::Bytes;
use settee_core::planted::Bug;
use settee_core::port::{StoreError, StoreErrorKind};

use super::GROUP_MAX_BYTES;
use super::entry::Entry;
use super::index::Index;
use super::layout::{GROUP_HEADER, Place, encode_group, group_size, sectors};
use super::segment::{self, Begin, Begun, Segment};
use crate::embedded::Folder;
use crate::embedded::folder::{failed, remove_if_there};

/// Owns the end of the log. It holds the folder, so the lock is let go when the writer is.
pub(super) struct Writer {
    folder: Folder,
    segment_bytes: u64,
    end: Begun,
    /// Segments that were begun and have no group that was acknowledged: readers have not heard of them.
    begun: Vec<Segment>,
    /// Whether the last group is empty: it then proves that those before it were durable, and is no loss itself.
    is_sealed: bool,
}

/// A group that is durable.
pub(super) struct Written {
    /// Segments that were begun since the last one.
    pub(super) begun: Vec<Segment>,
    /// The segment it is in.
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
    /// Goes on at `end`.
    pub(super) fn new(folder: Folder, segment_bytes: u64, end: Begun, is_sealed: bool) -> Self {
        Self { folder, segment_bytes, end, begun: Vec::new(), is_sealed }
    }

    /// Makes the first segment of a new log.
    pub(super) fn create(folder: Folder, segment_bytes: u64, log: u64) -> Result<(Index, Self), StoreError> {
        let disk = &**folder.disk();
        let begin = Begin { log, first: 1, chain: 0, length: segment::length_for(segment_bytes, &[], 0), streams: &[] };
        let begun = segment::write_aside(disk, &begin, false).and_then(|aside| segment::publish(disk, aside));
        let end = begun.map_err(|error| failed("make the first segment of the log", &error))?;
        let mut index = Index::default();
        index.add_segment(&end.segment);
        Ok((index, Self::new(folder, segment_bytes, end, true)))
    }

    /// Whether a group of `entries` goes into the present segment; else the next one is begun for it.
    pub(super) fn fits(&self, entries: &[Entry]) -> bool {
        self.end.position + sectors(group_size(entries)) <= self.end.segment.header.length
    }

    /// Whether an empty group should be put behind the last one, and there is room for it.
    pub(super) fn wants_seal(&self) -> bool {
        !self.is_sealed && self.fits(&[])
    }

    /// Whether more than half of the present segment is used, so that the next one should be prepared.
    pub(super) fn wants_next(&self) -> bool {
        self.end.position > self.end.segment.header.length / 2
    }

    /// What prepares the next segment: run it beside the writer, but not during a commit that begins a segment.
    pub(super) fn preparation(&self) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        // It holds the folder too: a next opener must not meet it at work.
        let (folder, length) = (self.folder.clone(), segment::length_for(self.segment_bytes, &[], 0));
        move || segment::prepare(&**folder.disk(), length)
    }

    /// Puts a group on the disk, in a new segment that begins with `streams` if it does not fit into the present one.
    pub(super) fn commit(&mut self, entries: &[Entry], streams: &[Entry], is_prepared: bool) -> Result<Written, Failure> {
        let size = group_size(entries);
        if size > GROUP_MAX_BYTES {
            let message =
                format!("a group of {size} bytes is over the limit of {GROUP_MAX_BYTES}, and would not be believed when read");
            return Err(Failure::Refused(StoreError::not_done(StoreErrorKind::Limit, message)));
        }
        if !self.fits(entries) {
            self.begin_segment(entries, streams, is_prepared)?;
        }
        let (group, crc) = encode_group(entries, &self.place());
        let file = &*self.end.segment.file;
        file.write_at(self.end.position, &group).map_err(|error| self.cut(&group, &error))?;
        if !Bug::SkipsLogSync.is_planted() {
            file.sync().map_err(|error| poisoned("sync the log", &error))?;
        }
        let position = self.end.position + GROUP_HEADER as u64;
        let is_sealed = entries.is_empty();
        let entries = group.slice(GROUP_HEADER..);
        self.is_sealed = is_sealed;
        self.end.pass(group.len() as u64, crc);
        Ok(Written { begun: std::mem::take(&mut self.begun), segment: self.end.segment.header.first, position, entries })
    }

    /// Removes a segment in which nothing is left; one at a time, so that a crash cannot leave a gap between segments. Safe to
    /// repeat: the file may be gone already, and only the folder not be synced.
    pub(super) fn remove(&self, first: u64) -> io::Result<()> {
        remove_if_there(&**self.folder.disk(), &segment::name_of(first))?;
        self.folder.disk().sync_folder()
    }

    fn place(&self) -> Place {
        self.end.place()
    }

    fn begin_segment(&mut self, entries: &[Entry], streams: &[Entry], is_prepared: bool) -> Result<(), Failure> {
        let disk = &**self.folder.disk();
        let begin = Begin {
            log: self.end.segment.header.log,
            first: self.end.sequence,
            chain: self.end.chain,
            length: segment::length_for(self.segment_bytes, streams, group_size(entries)),
            streams,
        };
        let aside = segment::write_aside(disk, &begin, is_prepared).map_err(|error| {
            // It has no segment's name yet, so it can be thrown away whatever failed in it; left behind, the next open removes it.
            if let Err(second) = segment::discard_next(disk) {
                tracing::warn!(%second, "an unfinished segment of the log could not be removed");
            }
            Failure::Refused(failed("begin a segment of the log", &error))
        })?;
        self.end = segment::publish(disk, aside).map_err(|error| poisoned("name a segment of the log", &error))?;
        self.begun.push(self.end.segment.clone());
        Ok(())
    }

    /// Makes sure that nothing of a group that failed to be written can be found again.
    fn cut(&self, group: &Bytes, error: &io::Error) -> Failure {
        let file = &*self.end.segment.file;
        let end = self.end.position + group.len() as u64;
        match segment::write_zeroes(file, self.end.position, end).and_then(|()| file.sync()) {
            Ok(()) => Failure::Refused(failed("write to the log", error)),
            Err(second) => poisoned(&format!("take back a write to the log that failed ({error})"), &second),
        }
    }
}

fn poisoned(attempt: &str, error: &io::Error) -> Failure {
    let message = format!(
        "could not {attempt}: {error}; what is on the disk is not known, so the log has stopped: check the disk, then restart"
    );
    Failure::Poisoned(StoreError::unknown(StoreErrorKind::Poisoned, message))
}
