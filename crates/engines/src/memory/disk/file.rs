//! One simulated file: its page cache, its durable image, and what waits between the two.

use std::io;

use super::image::Image;

/// What reaches a medium whole or not at all, in bytes: the smallest sector in use.
const SECTOR: usize = 512;

/// The contents of one file.
#[derive(Default)]
pub(super) struct Contents {
    cached: Image,
    durable: Image,
    waiting: Vec<Waiting>,
}

/// A change that the next sync makes durable.
enum Waiting {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

impl Waiting {
    fn apply(&self, image: &mut Image) {
        match self {
            Self::Bytes(position, bytes) => image.put(*position, bytes),
            Self::Length(length) => image.resize(*length),
        }
    }

    /// What a power cut keeps or loses one by one: the sectors of a write.
    fn cut_by_sector(self) -> Vec<Self> {
        let Self::Bytes(mut position, bytes) = self else { return vec![self] };
        let mut rest = bytes.as_slice();
        let mut sectors = Vec::new();
        while !rest.is_empty() {
            let (sector, behind) = rest.split_at((SECTOR - position % SECTOR).min(rest.len()));
            sectors.push(Self::Bytes(position, sector.to_vec()));
            position += sector.len();
            rest = behind;
        }
        sectors
    }
}

impl Contents {
    pub(super) fn len(&self) -> u64 {
        length(self.cached.len())
    }

    pub(super) fn read(&self, position: u64, bytes: &mut [u8]) -> io::Result<()> {
        let is_there = self.cached.read(index(position)?, bytes);
        is_there.then_some(()).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Writes as much as `room` more bytes allow and returns how much that was.
    pub(super) fn write(&mut self, position: u64, bytes: &[u8], room: u64) -> usize {
        let Ok(from) = index(position) else { return 0 };
        let end_allowed = self.len().saturating_add(room);
        let fits = usize::try_from(end_allowed.saturating_sub(position)).unwrap_or(usize::MAX);
        let bytes = bytes.get(..fits).unwrap_or(bytes);
        self.cached.put(from, bytes);
        self.waiting.push(Waiting::Bytes(from, bytes.to_vec()));
        bytes.len()
    }

    pub(super) fn set_len(&mut self, length: u64) {
        if let Ok(length) = index(length) {
            self.cached.resize(length);
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
        for change in std::mem::take(&mut self.waiting).into_iter().flat_map(Waiting::cut_by_sector) {
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
        self.durable.flip(at, mask);
        self.cached.flip(at, mask)
    }
}

fn index(position: u64) -> io::Result<usize> {
    usize::try_from(position).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
