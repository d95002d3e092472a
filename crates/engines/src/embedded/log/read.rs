//! Reading: which spans hold the records is found under the lock, the disk is read without it, and every record is checked again.
//!
//! The index knows only what is durable, so a reader never sees a record that a crash could take back.

use std::sync::Arc;

use bytes::Bytes;
use settee_core::id::Offset;
use settee_core::port::{DiskFile, ReadLimit, Record, StoreError, StreamName};

use super::entry::{ENTRY_HEADER, EntryHeader, EntryKind, payloads};
use super::index::{Index, Span};
use super::layout::{SECTOR, is_padding};
use super::segment::{damaged, name_of};
use crate::embedded::folder::failed;

/// Spans in one read: enough for 4 MiB of scattered small records, and a bound on the work done under the lock.
const SPANS_PER_READ: usize = 1_024;

/// What to read from the disk.
pub(super) struct Reading {
    stream: u32,
    from: u64,
    limit: ReadLimit,
    spans: Vec<(Span, Arc<dyn DiskFile>)>,
}

/// Finds where the records from `from` on are; `None` when there are none.
pub(super) fn prepare(index: &Index, name: &StreamName, from: Offset, limit: ReadLimit) -> Option<Reading> {
    let number = index.number(name)?;
    let stream = index.stream(number)?;
    let from = from.0.max(stream.trimmed);
    if from >= stream.tail || limit.records == 0 {
        return None;
    }
    let mut spans = Vec::new();
    let mut bytes = 0;
    for span in stream.spans_from(from).take(SPANS_PER_READ) {
        spans.push((*span, index.file(span.segment)?));
        bytes += span.length;
        // The first span may lie before `from` in part, so it does not count.
        if spans.len() > 1 && bytes >= limit.bytes as u64 {
            break;
        }
    }
    Some(Reading { stream: number, from, limit, spans })
}

impl Reading {
    /// Reads, blocking.
    pub(super) fn run(self) -> Result<Vec<Record>, StoreError> {
        let mut taken = Taken { next: self.from, limit: self.limit, bytes: 0, records: Vec::new() };
        for (span, file) in &self.spans {
            let length = usize::try_from(span.length).unwrap_or(usize::MAX);
            let mut bytes = vec![0; length];
            file.read_at(span.position, &mut bytes)
                .map_err(|error| failed(&format!("read {} at {}", name_of(span.segment), span.position), &error))?;
            let before = taken.next;
            self.walk(span, &bytes.into(), &mut taken)?;
            if taken.is_full() {
                break;
            }
            if taken.next == before {
                return Err(damaged(span.segment, span.position, "the records that should be here are not"));
            }
        }
        Ok(taken.records)
    }

    /// Goes over the entries in `bytes` by their lengths, over group borders too, and takes those of the stream.
    fn walk(&self, span: &Span, bytes: &Bytes, taken: &mut Taken) -> Result<(), StoreError> {
        let mut at = 0;
        while at + ENTRY_HEADER <= bytes.len() && !taken.is_full() {
            let position = span.position + at as u64;
            let rest = bytes.slice(at..);
            if is_padding(&rest) {
                at += usize::try_from(SECTOR - position % SECTOR).unwrap_or(usize::MAX);
                continue;
            }
            let header = EntryHeader::decode(&rest).ok_or_else(|| damaged(span.segment, position, "an entry has no header"))?;
            if header.kind == EntryKind::Records && header.stream == self.stream {
                let found =
                    records(&header, &rest).ok_or_else(|| damaged(span.segment, position, "a batch is not what was written"))?;
                taken.batch(header.offset, found).map_err(|reason| damaged(span.segment, position, reason))?;
            }
            at = at.saturating_add(header.length);
        }
        Ok(())
    }
}

fn records(header: &EntryHeader, entry: &Bytes) -> Option<Vec<Bytes>> {
    header.is_whole(entry).then(|| payloads(header, entry)).flatten()
}

/// Records taken so far.
struct Taken {
    next: u64,
    limit: ReadLimit,
    bytes: usize,
    records: Vec<Record>,
}

impl Taken {
    fn is_full(&self) -> bool {
        self.records.len() >= self.limit.records || (self.bytes >= self.limit.bytes && !self.records.is_empty())
    }

    fn batch(&mut self, first: u64, payloads: Vec<Bytes>) -> Result<(), &'static str> {
        if first > self.next {
            return Err("a batch before this one is gone");
        }
        for (offset, payload) in (first..).zip(payloads) {
            if offset < self.next {
                continue;
            }
            let is_first = self.records.is_empty();
            self.bytes = self.bytes.saturating_add(payload.len());
            if self.records.len() >= self.limit.records || (self.bytes > self.limit.bytes && !is_first) {
                // Full from here on, also for a smaller record behind this one.
                self.limit.records = self.records.len();
                break;
            }
            self.records.push(Record { offset: Offset(offset), payload });
            self.next = offset + 1;
        }
        Ok(())
    }
}
