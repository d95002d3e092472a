//! For tests: as many new data folders as they ask for, in one place that goes with them.

use std::cell::Cell;

use tempfile::TempDir;

use super::FileDisk;

pub(super) struct Folders {
    place: TempDir,
    made: Cell<u32>,
}

impl Folders {
    pub(super) fn new() -> Self {
        Self { place: tempfile::tempdir().unwrap(), made: Cell::new(0) }
    }

    pub(super) fn disk(&self) -> FileDisk {
        self.made.set(self.made.get() + 1);
        FileDisk::open(&self.place.path().join(self.made.get().to_string())).unwrap()
    }
}
