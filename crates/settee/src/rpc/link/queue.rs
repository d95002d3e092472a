//! The bytes that wait to be written, and which frames among them may have reached the peer.
//!
//! Positions count from the first byte of the connection. A frame that was not taken yet can still be made void: it is skipped,
//! and its call certainly did not happen.

use std::collections::BTreeMap;

use bytes::BytesMut;
use settee_wire::bolt::EncodeError;

/// Bytes handed to the socket at once: many calls leave together, and few of them have an uncertain end when it breaks.
const TAKEN_AT_ONCE: usize = 128 << 10;

/// Frames that wait, in the order in which they leave.
#[derive(Default)]
pub(super) struct WriteQueue {
    waiting: BytesMut,
    /// Where `waiting` begins: everything before was handed to the socket, or skipped.
    handed: u64,
    /// Frames to skip: start and end.
    void: BTreeMap<u64, u64>,
    /// Bytes of answers among `waiting`, at most.
    owed: usize,
}

/// Where a frame lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    start: u64,
    end: u64,
}

impl WriteQueue {
    /// Appends what `write` writes: one frame, or nothing when it fails.
    pub(super) fn append(&mut self, write: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>) -> Result<Place, EncodeError> {
        let start = self.end();
        write(&mut self.waiting)?;
        Ok(Place { start, end: self.end() })
    }

    /// Notes that the frame at `place` answers the peer.
    pub(super) fn is_owed(&mut self, place: Place) {
        self.owed += usize::try_from(place.end - place.start).unwrap_or(usize::MAX);
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes of answers that wait, or a few more.
    pub(super) fn owed(&self) -> usize {
        self.owed
    }

    /// Takes some bytes from the front; empty when nothing waits. From here on they may have reached the peer.
    pub(super) fn take(&mut self) -> BytesMut {
        while let Some((start, end)) = self.void.first_key_value().map(|(start, end)| (*start, *end))
            && start == self.handed
        {
            self.void.pop_first();
            let _skipped = self.split(end);
        }
        let until = self.void.first_key_value().map_or_else(|| self.end(), |(start, _)| *start);
        self.split(until.min(self.handed + TAKEN_AT_ONCE as u64))
    }

    /// Sees to it that the frame at `place` is never written. `false`: it is too late.
    pub(super) fn make_void(&mut self, place: Place) -> bool {
        let in_time = place.start >= self.handed;
        if in_time {
            self.void.insert(place.start, place.end);
        }
        in_time
    }

    /// Whether the whole frame at `place` was handed to the socket. A frame without its end is never executed.
    pub(super) fn has_handed(&self, place: Place) -> bool {
        place.end <= self.handed
    }

    /// Drops what waits: none of it will be written.
    pub(super) fn abandon(&mut self) {
        self.waiting = BytesMut::new();
        self.void.clear();
        self.owed = 0;
    }

    fn end(&self) -> u64 {
        self.handed + self.waiting.len() as u64
    }

    fn split(&mut self, until: u64) -> BytesMut {
        let length = usize::try_from(until - self.handed).unwrap_or(usize::MAX).min(self.waiting.len());
        self.handed += length as u64;
        let taken = self.waiting.split_to(length);
        self.owed = self.owed.min(self.waiting.len());
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(queue: &mut WriteQueue, bytes: &[u8]) -> Place {
        let written = queue.append(|out| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        written.unwrap()
    }

    #[test]
    fn a_void_frame_is_never_written_and_what_is_around_it_is() {
        let mut queue = WriteQueue::default();
        let places: Vec<_> = [b"aa", b"bb", b"cc", b"dd", b"ee"].iter().map(|frame| put(&mut queue, *frame)).collect();
        for void in [0, 2, 3] {
            assert!(queue.make_void(places[void]));
        }
        assert_eq!(&queue.take()[..], b"bb");
        assert!(!queue.make_void(places[1]), "it may have reached the peer");
        assert_eq!(&queue.take()[..], b"ee");
        assert!(queue.take().is_empty() && queue.len() == 0);
    }

    #[test]
    fn a_frame_counts_as_handed_only_with_its_last_byte() {
        let mut queue = WriteQueue::default();
        let (first, second) = (put(&mut queue, &[0; TAKEN_AT_ONCE - 1]), put(&mut queue, b"xy"));
        assert_eq!(queue.take().len(), TAKEN_AT_ONCE);
        assert!(queue.has_handed(first) && !queue.has_handed(second));
        assert!(!queue.make_void(second), "its first byte is on its way: the rest must follow");
        queue.abandon();
        assert!(queue.take().is_empty() && !queue.has_handed(second));
    }

    #[test]
    fn bytes_owed_never_exceed_what_waits() {
        let mut queue = WriteQueue::default();
        let answer = put(&mut queue, &[0; 100]);
        queue.is_owed(answer);
        put(&mut queue, &[0; TAKEN_AT_ONCE]);
        queue.take();
        assert_eq!(queue.owed(), 100);
        queue.take();
        assert_eq!(queue.owed(), 0);
    }
}
