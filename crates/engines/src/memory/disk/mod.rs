//! A simulated disk: what a file holds now (its page cache) and what a power cut leaves of it are two things.
//!
//! Every write goes to the page cache and waits there, cut at 512-byte sectors. A sync makes the waiting writes durable. A crash
//! keeps an arbitrary part of them, sector by sector, and likewise of creations, renames and removals that
//! [`Disk::sync_folder`] has not confirmed. After a failed sync the waiting writes are still read but never become durable, which
//! is what Linux does. Left out: torn single sectors, and the time that work takes.

mod fault;
mod file;
mod folder;
mod image;

pub use fault::{DiskCounters, DiskFault, DiskFaults, DiskOperation};

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use settee_core::port::{Disk, DiskFile, DiskLock};

use self::file::Contents;
use self::folder::{FileId, Folder};

/// A folder of files in memory that can lose power, fill up, fail and rot. Clones are the same disk.
///
/// ```
/// use settee_core::port::Disk;
/// use settee_engines::memory::MemoryDisk;
///
/// let disk = MemoryDisk::new();
/// let file = disk.open("a", true)?;
/// disk.sync_folder()?;
/// file.write_at(0, b"durable")?;
/// file.sync()?;
/// file.write_at(0, b"waiting")?;
///
/// disk.crash(|| false);
/// assert!(file.len().is_err(), "what a dead process had open is closed");
/// let mut bytes = [0; 7];
/// disk.open("a", false)?.read_at(0, &mut bytes)?;
/// assert_eq!(&bytes, b"durable");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct MemoryDisk(Arc<Mutex<State>>);

struct State {
    folder: Folder,
    /// The room for all files together, in bytes.
    limit: u64,
    /// Counts deaths of the process: what an earlier one opened does nothing any more.
    process: u64,
    locked_by: Option<u64>,
    dies_after: Option<u64>,
    fail_next_sync: bool,
    faults: Option<Arc<dyn DiskFaults>>,
    counters: DiskCounters,
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryDisk {
    /// An empty disk without a limit and without faults.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            folder: Folder::default(),
            limit: u64::MAX,
            process: 0,
            locked_by: None,
            dies_after: None,
            fail_next_sync: false,
            faults: None,
            counters: DiskCounters::default(),
        })))
    }

    /// Limits all files together to `bytes`; a write that does not fit is cut short and fails with `StorageFull`.
    pub fn set_limit(&self, bytes: u64) {
        self.0.lock().limit = bytes;
    }

    /// Asks `faults` before every operation from now on.
    pub fn set_faults(&self, faults: Arc<dyn DiskFaults>) {
        self.0.lock().faults = Some(faults);
    }

    /// Makes the next sync of a file fail.
    pub fn fail_next_sync(&self) {
        self.0.lock().fail_next_sync = true;
    }

    /// Lets `operations` more changes (writes, lengths, syncs, names) happen; then everything fails until [`MemoryDisk::crash`].
    pub fn die_after(&self, operations: u64) {
        self.0.lock().dies_after = Some(operations);
    }

    /// The power goes. What was synced stays; of every waiting sector write, length and name, in order, `keep` says whether it
    /// reached the medium. Open files and the lock belong to the dead process and do nothing any more.
    pub fn crash(&self, mut keep: impl FnMut() -> bool) {
        let mut state = self.0.lock();
        let (kept, lost) = state.folder.crash(&mut keep);
        state.counters.crashes += 1;
        state.counters.writes_kept += kept;
        state.counters.writes_lost += lost;
        state.end_process();
    }

    /// The process is killed but the machine lives on: the page cache stays, open files and the lock are let go.
    pub fn kill(&self) {
        self.0.lock().end_process();
    }

    /// Turns one bit of what is stored, as rot does. `false`: the file has no such byte.
    pub fn flip(&self, name: &str, position: u64, bit: u8) -> bool {
        let mut state = self.0.lock();
        let flipped = state.folder.get_mut(name).is_some_and(|contents| contents.flip(position, bit));
        state.counters.flips += u64::from(flipped);
        flipped
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.lock().folder.used()
    }

    /// What took effect so far, so that a test can tell that its faults were really there.
    #[must_use]
    pub fn counters(&self) -> DiskCounters {
        self.0.lock().counters
    }

    fn with<T>(&self, operation: DiskOperation, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock();
        state.admit(operation)?;
        work(&mut state)
    }
}

impl State {
    fn end_process(&mut self) {
        self.process += 1;
        self.locked_by = None;
        self.dies_after = None;
    }

    /// Counts the operation and lets a fault take its place.
    fn admit(&mut self, operation: DiskOperation) -> io::Result<()> {
        if self.dies_after == Some(0) {
            return Err(io::Error::other("the machine is dead"));
        }
        if let Some(left) = self.dies_after.as_mut().filter(|_| operation.changes()) {
            *left -= 1;
        }
        let fault = self.faults.as_ref().map_or(DiskFault::None, |faults| faults.next(operation));
        match fault {
            DiskFault::None => {}
            DiskFault::Fail(kind) => {
                self.counters.failed += 1;
                self.lose_waiting_of(operation);
                return Err(io::Error::new(kind, "injected by the simulated disk"));
            }
            DiskFault::Die => {
                self.dies_after = Some(0);
                return Err(io::Error::other("the machine is dead"));
            }
        }
        self.counters.count(operation);
        Ok(())
    }

    fn lose_waiting_of(&mut self, operation: DiskOperation) {
        if operation == DiskOperation::Sync {
            self.counters.failed_syncs += 1;
            self.folder.forget_waiting();
        }
    }

    fn room(&self) -> u64 {
        self.limit.saturating_sub(self.folder.used())
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let operation = if create { DiskOperation::Create } else { DiskOperation::Read };
        self.with(operation, |state| {
            let id = state.folder.open(name, create)?;
            Ok(Arc::new(OpenFile { disk: self.clone(), id, process: state.process }) as Arc<dyn DiskFile>)
        })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.with(DiskOperation::Read, |state| Ok(state.folder.names()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(DiskOperation::Remove, |state| state.folder.remove(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(DiskOperation::Rename, |state| state.folder.rename(from, to))
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.with(DiskOperation::SyncFolder, |state| {
            state.folder.sync();
            Ok(())
        })
    }

    fn lock(&self) -> io::Result<Box<dyn DiskLock>> {
        let mut state = self.0.lock();
        if state.locked_by.is_some() {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "another process holds the folder"));
        }
        state.locked_by = Some(state.process);
        Ok(Box::new(HeldLock { disk: self.clone(), process: state.process }))
    }
}

struct HeldLock {
    disk: MemoryDisk,
    process: u64,
}

impl DiskLock for HeldLock {}

impl Drop for HeldLock {
    fn drop(&mut self) {
        let mut state = self.disk.0.lock();
        if state.locked_by == Some(self.process) {
            state.locked_by = None;
        }
    }
}

struct OpenFile {
    disk: MemoryDisk,
    id: FileId,
    process: u64,
}

impl OpenFile {
    fn with<T>(&self, operation: DiskOperation, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        if state.process != self.process {
            return Err(io::Error::other("the process that opened the file is dead"));
        }
        state.admit(operation)?;
        work(&mut state)
    }

    fn contents<'a>(&self, state: &'a mut State) -> io::Result<&'a mut Contents> {
        state.folder.contents(self.id).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl DiskFile for OpenFile {
    fn read_at(&self, position: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.with(DiskOperation::Read, |state| self.contents(state)?.read(position, bytes))
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(DiskOperation::Write, |state| {
            let room = state.room();
            let written = self.contents(state)?.write(position, bytes, room);
            state.counters.bytes_written += u64::try_from(written).unwrap_or(u64::MAX);
            if written == bytes.len() {
                return Ok(());
            }
            state.counters.full += 1;
            Err(io::ErrorKind::StorageFull.into())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(DiskOperation::Sync, |state| {
            if std::mem::take(&mut state.fail_next_sync) {
                state.counters.failed_syncs += 1;
                self.contents(state)?.forget_waiting();
                return Err(io::Error::other("the simulated disk failed to sync"));
            }
            self.contents(state)?.sync();
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(DiskOperation::Read, |state| Ok(self.contents(state)?.len()))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.with(DiskOperation::SetLength, |state| {
            let room = state.room();
            let contents = self.contents(state)?;
            if length.saturating_sub(contents.len()) > room {
                state.counters.full += 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            contents.set_len(length);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
