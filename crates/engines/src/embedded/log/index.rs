//! What the log holds, in memory: the streams, and where their records are. Rebuilt at every open, never trusted from disk.
//!
//! A stream has a [`Span`] per 4 KiB of log rather than an entry per record: a span is one stretch of one segment that holds all
//! records of the stream from its first offset up to the next span's, and perhaps entries of other streams between them.
//! Recovery and the writer feed it the same way: the bytes of a durable group, through [`Index::apply`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use settee_core::port::{DiskFile, StreamName};

use super::entry::{Entry, EntryHeader, EntryKind, stream_of};
use super::layout::is_padding;
use super::segment::Segment;

/// A span is not continued by an entry that begins this far behind its beginning: what a read of one record may read in vain.
const SPAN_BYTES: u64 = 4 << 10;

/// Streams at most: each costs about 100 bytes of memory, and again at the beginning of every segment.
pub(super) const MAX_STREAMS: usize = 65_536;

/// Everything that is durable, and where.
#[derive(Default)]
pub(super) struct Index {
    numbers: BTreeMap<StreamName, u32>,
    streams: Vec<Stream>,
    segments: BTreeMap<u64, Held>,
}

/// A segment, and how many spans are in it: none means that it may go.
struct Held {
    file: Arc<dyn DiskFile>,
    spans: usize,
}

/// One stream.
pub(super) struct Stream {
    name: StreamName,
    pub(super) tail: u64,
    pub(super) trimmed: u64,
    spans: VecDeque<Span>,
}

/// Where some records of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u64,
    pub(super) segment: u64,
    pub(super) position: u64,
    pub(super) length: u64,
}

impl Index {
    /// Adds a segment that is empty yet, behind all others.
    pub(super) fn add_segment(&mut self, segment: &Segment) {
        self.segments.insert(segment.header.first, Held { file: segment.file.clone(), spans: 0 });
    }

    pub(super) fn file(&self, segment: u64) -> Option<Arc<dyn DiskFile>> {
        self.segments.get(&segment).map(|held| held.file.clone())
    }

    pub(super) fn number(&self, name: &StreamName) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(super) fn stream(&self, number: u32) -> Option<&Stream> {
        self.streams.get(usize::try_from(number).ok()?)
    }

    pub(super) fn named(&self, name: &StreamName) -> Option<&Stream> {
        self.stream(self.number(name)?)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &StreamName> {
        self.numbers.keys()
    }

    /// How many streams there are; the next one gets this number.
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Takes in the entries of a durable group; `position` is where they begin in `segment`.
    ///
    /// The error says what in them contradicts the groups before.
    pub(super) fn apply(&mut self, segment: u64, position: u64, mut entries: &[u8]) -> Result<(), String> {
        let mut at = position;
        while !is_padding(entries) {
            let header = EntryHeader::decode(entries).ok_or("an entry has no header")?;
            let (entry, rest) = entries.split_at_checked(header.length).ok_or("an entry is longer than its group")?;
            self.apply_entry(&header, entry, segment, at)?;
            at += header.length as u64;
            entries = rest;
        }
        Ok(())
    }

    fn apply_entry(&mut self, header: &EntryHeader, entry: &[u8], segment: u64, position: u64) -> Result<(), String> {
        match header.kind {
            EntryKind::Group => Err("a group lies inside a group".into()),
            EntryKind::Records => self.apply_records(header, segment, position),
            EntryKind::Trim => self.apply_trim(header),
            EntryKind::Stream => self.apply_stream(header, entry),
        }
    }

    fn apply_records(&mut self, header: &EntryHeader, segment: u64, position: u64) -> Result<(), String> {
        let stream = stream_mut(&mut self.streams, header.stream)?;
        if stream.tail != header.offset {
            return Err(format!("stream {} goes on at offset {} and not at {}", stream.name, header.offset, stream.tail));
        }
        stream.tail += u64::from(header.count);
        let end = position + header.length as u64;
        match stream.spans.back_mut() {
            Some(last) if last.segment == segment && position < last.position + SPAN_BYTES => last.length = end - last.position,
            _ => {
                let held = self.segments.get_mut(&segment).ok_or("the segment is not known")?;
                held.spans += 1;
                stream.spans.push_back(Span { first: header.offset, segment, position, length: end - position });
            }
        }
        Ok(())
    }

    fn apply_trim(&mut self, header: &EntryHeader) -> Result<(), String> {
        let stream = stream_mut(&mut self.streams, header.stream)?;
        if header.offset > stream.tail {
            return Err(format!("stream {} is trimmed at {}, behind its tail {}", stream.name, header.offset, stream.tail));
        }
        stream.trimmed = stream.trimmed.max(header.offset);
        while let Some(span) = stream.pop_trimmed() {
            if let Some(held) = self.segments.get_mut(&span.segment) {
                held.spans -= 1;
            }
        }
        Ok(())
    }

    fn apply_stream(&mut self, header: &EntryHeader, entry: &[u8]) -> Result<(), String> {
        let (trimmed, name) = stream_of(header, entry).ok_or("a stream cannot be read")?;
        let name = StreamName::new(name).ok_or("a stream has a name that is none")?;
        if header.stream as usize == self.streams.len() && self.number(&name).is_none() {
            self.numbers.insert(name.clone(), header.stream);
            self.streams.push(Stream { name, tail: header.offset, trimmed, spans: VecDeque::new() });
            return Ok(());
        }
        let known = stream_mut(&mut self.streams, header.stream)?;
        match known.name == name && known.tail == header.offset && known.trimmed == trimmed {
            true => Ok(()),
            false => Err(format!("stream {name} is not repeated as it was")),
        }
    }

    /// Every stream as an entry: what a new segment begins with, so that those before it can be dropped.
    pub(super) fn streams(&self) -> Vec<Entry> {
        let entry = |(number, stream): (u32, &Stream)| Entry::Stream {
            stream: number,
            tail: stream.tail,
            trimmed: stream.trimmed,
            name: stream.name.clone(),
        };
        (0..).zip(&self.streams).map(entry).collect()
    }

    /// Takes out the oldest segments in which nothing is left to read; the newest stays.
    pub(super) fn take_empty(&mut self) -> Vec<u64> {
        let newest = self.segments.keys().next_back().copied();
        let is_empty = |(first, held): (&u64, &Held)| held.spans == 0 && Some(*first) != newest;
        let empty: Vec<u64> =
            self.segments.iter().take_while(|(first, held)| is_empty((first, held))).map(|(first, _)| *first).collect();
        for first in &empty {
            self.segments.remove(first);
        }
        empty
    }

    /// Records that should be there and are in no segment: the first gap found, in words.
    pub(super) fn missing(&self) -> Option<String> {
        self.streams.iter().find_map(|stream| {
            let first = stream.spans.front().map_or(stream.tail, |span| span.first);
            (first > stream.trimmed)
                .then(|| format!("records {} to {} of stream {} are in no file", stream.trimmed, first - 1, stream.name))
        })
    }
}

fn stream_mut(streams: &mut [Stream], number: u32) -> Result<&mut Stream, String> {
    streams.get_mut(number as usize).ok_or_else(|| format!("stream number {number} is not known"))
}

impl Stream {
    /// The spans that hold the records from `from` on, in order.
    pub(super) fn spans_from(&self, from: u64) -> impl Iterator<Item = &Span> {
        let begin = self.spans.partition_point(|span| span.first <= from).saturating_sub(1);
        self.spans.iter().skip(begin)
    }

    fn pop_trimmed(&mut self) -> Option<Span> {
        let end = self.spans.get(1).map_or(self.tail, |second| second.first);
        (end <= self.trimmed).then(|| self.spans.pop_front()).flatten()
    }
}
