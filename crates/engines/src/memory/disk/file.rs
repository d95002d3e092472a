//! One simulated file: its page cache, its durable image, and what waits between the two.

use std::io;

/// What reaches a medium whole or not at all, in bytes: the smallest sector in use.
const SECTOR: usize = 512;

/// The contents of one file.
#[derive(Default)]
pub(super) struct Contents {
    cached: Vec<u8>,
    durable: Vec<u8>,
    waiting: Vec<Waiting>,
}

/// A change that the next sync makes durable.
enum Waiting {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

impl Waiting {
    fn apply(self, image: &mut Vec<u8>) {
        match self {
            Self::Bytes(position, bytes) => put(image, position, &bytes),
            Self::Length(length) => image.resize(length, 0),
        }
    }
}

fn put(image: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    let end = position.saturating_add(bytes.len());
    if image.len() < end {
        image.resize(end, 0);
    }
    if let Some(place) = image.get_mut(position..end) {
        place.copy_from_slice(bytes);
    }
}

impl Contents {
    pub(super) fn len(&self) -> u64 {
        length(self.cached.len())
    }

    pub(super) fn read(&self, position: u64, bytes: &mut [u8]) -> io::Result<()> {
        let from = index(position)?;
        let stored = self.cached.get(from..from.saturating_add(bytes.len()));
        bytes.copy_from_slice(stored.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// Writes as much as `room` more bytes allow and returns how much that was.
    pub(super) fn write(&mut self, position: u64, bytes: &[u8], room: u64) -> usize {
        let Ok(from) = index(position) else { return 0 };
        let end_allowed = self.len().saturating_add(room);
        let fits = usize::try_from(end_allowed.saturating_sub(position)).unwrap_or(usize::MAX);
        let bytes = bytes.get(..fits).unwrap_or(bytes);
        put(&mut self.cached, from, bytes);
        self.wait_by_sector(from, bytes);
        bytes.len()
    }

    fn wait_by_sector(&mut self, mut position: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let in_sector = (SECTOR - position % SECTOR).min(bytes.len());
            let (sector, rest) = bytes.split_at(in_sector);
            self.waiting.push(Waiting::Bytes(position, sector.to_vec()));
            position += in_sector;
            bytes = rest;
        }
    }

    pub(super) fn set_len(&mut self, length: u64) {
        if let Ok(length) = index(length) {
            self.cached.resize(length, 0);
            self.waiting.push(Waiting::Length(length));
        }
    }

    pub(super) fn sync(&mut self) {
        for change in self.waiting.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// The waiting changes stay readable but will never be durable: a failed sync marks their pages as written.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// Returns how many waiting changes were kept and lost.
    pub(super) fn crash(&mut self, keep: &mut impl FnMut() -> bool) -> (u64, u64) {
        let (mut kept, mut lost) = (0, 0);
        for change in std::mem::take(&mut self.waiting) {
            if keep() {
                change.apply(&mut self.durable);
                kept += 1;
            } else {
                lost += 1;
            }
        }
        self.cached.clone_from(&self.durable);
        (kept, lost)
    }

    pub(super) fn flip(&mut self, position: u64, bit: u8) -> bool {
        let Ok(at) = index(position) else { return false };
        let mask = 1_u8.rotate_left(u32::from(bit));
        for image in [&mut self.durable, &mut self.cached] {
            if let Some(byte) = image.get_mut(at) {
                *byte ^= mask;
            }
        }
        at < self.cached.len()
    }
}

fn index(position: u64) -> io::Result<usize> {
    usize::try_from(position).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
