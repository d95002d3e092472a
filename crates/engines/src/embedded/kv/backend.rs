//! redb's file, as one [`DiskFile`], and a record of the first thing that went wrong with it.
//!
//! redb reports every failure after the first as "previous error" and may panic on what it does not expect; the record here is
//! what the failure really was. redb's header gets a checksum on its way through, see [`seal`](super::seal).

use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::StorageBackend;
use settee_core::planted::Bug;
use settee_core::port::{DiskFile, StoreErrorKind};

use super::failure::Failure;
use super::seal::{self, HEADER, SECTOR};
use crate::embedded::folder::kind_of;

/// The file that redb reads and writes.
pub(super) struct Backend {
    file: Arc<dyn DiskFile>,
    trouble: Trouble,
}

/// What went wrong with the file so far. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<Failure>>>);

impl Trouble {
    pub(super) fn get(&self) -> Option<Failure> {
        self.0.lock().clone()
    }

    /// Keeps the first failure, except that one after which the disk's content is unknown replaces any other.
    fn note(&self, kind: StoreErrorKind, attempt: &str, error: &io::Error) {
        let mut known = self.0.lock();
        if known.is_none() || kind == StoreErrorKind::Poisoned {
            *known = Some(Failure::new(kind, format!("{attempt}: {error}")));
        }
    }
}

impl Backend {
    pub(super) fn new(file: Arc<dyn DiskFile>) -> (Self, Trouble) {
        let trouble = Trouble::default();
        (Self { file, trouble: trouble.clone() }, trouble)
    }

    /// Reads the header, if it is what was written.
    fn read_header(&self, header: &mut [u8; HEADER]) -> io::Result<()> {
        let mut sector = [0; SECTOR];
        self.file.read_at(0, &mut sector)?;
        match sector.first_chunk() {
            Some(first) if seal::is_whole(&sector) => *header = *first,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "the header is not what was written")),
        }
        Ok(())
    }

    fn noted<T>(&self, attempt: &str, kind: fn(&io::Error) -> StoreErrorKind, done: io::Result<T>) -> io::Result<T> {
        done.inspect_err(|error| self.trouble.note(kind(error), attempt, error))
    }
}

/// A read changes nothing, so whatever is not damage may pass.
fn of_read(error: &io::Error) -> StoreErrorKind {
    match kind_of(error) {
        StoreErrorKind::Damaged => StoreErrorKind::Damaged,
        _ => StoreErrorKind::Unavailable,
    }
}

/// A write that failed for another reason than room leaves the file in no known state, like a sync.
fn of_write(error: &io::Error) -> StoreErrorKind {
    match kind_of(error) {
        kind @ (StoreErrorKind::Full | StoreErrorKind::ReadOnly) => kind,
        _ => StoreErrorKind::Poisoned,
    }
}

/// What is on the disk after a failed sync is not known, whatever the reason.
fn of_sync(_: &io::Error) -> StoreErrorKind {
    StoreErrorKind::Poisoned
}

impl fmt::Debug for Backend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(super::FILE)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.noted("length", of_read, self.file.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let done = match (offset, <&mut [u8; HEADER]>::try_from(&mut *out)) {
            (0, Ok(header)) => self.read_header(header),
            _ => self.file.read_at(offset, out),
        };
        self.noted("read", of_read, done)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.noted("resize", of_write, self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        if Bug::SkipsStoreSync.is_planted() {
            return Ok(());
        }
        self.noted("sync", of_sync, self.file.sync())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let done = match (offset, <&[u8; HEADER]>::try_from(data)) {
            (0, Ok(header)) => self.file.write_at(0, &seal::seal(header)),
            _ => self.file.write_at(offset, data),
        };
        self.noted("write", of_write, done)
    }
}
