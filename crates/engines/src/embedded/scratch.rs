//! A folder in memory for tests that open it tens of thousands of times: no page cache, no sectors, what was written is there.
//!
//! It does what the simulated disk leaves out: a write can stop at any byte, as one does that meets the end of the disk or of its
//! process.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use settee_core::port::{Disk, DiskFile, DiskLock};

/// A folder. Clones are the same folder.
#[derive(Clone, Default)]
pub(crate) struct ScratchDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    writes: u64,
    short: Option<ShortWrite>,
    is_dead: bool,
}

/// A write that stops before its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortWrite {
    /// Which one, counted from 0.
    pub(crate) at: u64,
    /// How many bytes of it are written.
    pub(crate) bytes: usize,
    /// Whether nothing works any more after it; else it only reports that there is no room.
    pub(crate) is_last: bool,
}

impl ScratchDisk {
    /// A folder with one file.
    pub(crate) fn with(name: &str, bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.0.lock().files.insert(name.to_owned(), bytes);
        disk
    }

    /// Cuts one of the writes to come short.
    pub(crate) fn shorten(&self, short: ShortWrite) {
        self.0.lock().short = Some(short);
    }

    /// Lets nothing work any more: what its process does while it dies changes nothing.
    pub(crate) fn die(&self) {
        self.0.lock().is_dead = true;
    }

    /// What the files hold, for the next process.
    pub(crate) fn revived(&self) -> Self {
        let files = self.0.lock().files.clone();
        Self(Arc::new(Mutex::new(State { files, ..State::default() })))
    }

    /// Turns one bit, as rot does.
    pub(crate) fn turn(&self, name: &str, position: usize, bit: u32) {
        self.0.lock().files.get_mut(name).unwrap()[position] ^= 1 << bit;
    }

    /// How many writes there were.
    pub(crate) fn writes(&self) -> u64 {
        self.0.lock().writes
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        self.0.lock().files.get(name).cloned().unwrap_or_default()
    }

    fn alive<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock();
        if state.is_dead {
            return Err(io::Error::other("the machine is dead"));
        }
        work(&mut state)
    }
}

impl State {
    fn file(&mut self, name: &str) -> io::Result<&mut Vec<u8>> {
        self.files.get_mut(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Counts the write that begins now; how it comes short, if it does.
    fn begin_write(&mut self) -> Option<ShortWrite> {
        self.writes += 1;
        let short = self.short.filter(|short| short.at == self.writes - 1)?;
        self.is_dead = short.is_last;
        Some(short)
    }
}

impl Disk for ScratchDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        self.alive(|state| {
            if create {
                state.files.entry(name.to_owned()).or_default();
            }
            state.file(name).map(|_| ())
        })?;
        Ok(Arc::new(ScratchFile { disk: self.clone(), name: name.to_owned() }))
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.alive(|state| Ok(state.files.keys().cloned().collect()))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.alive(|state| state.files.remove(name).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into()))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.alive(|state| {
            let bytes = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
            state.files.insert(to.to_owned(), bytes);
            Ok(())
        })
    }
    fn sync_folder(&self) -> io::Result<()> {
        self.alive(|_| Ok(()))
    }
    fn lock(&self) -> io::Result<Box<dyn DiskLock>> {
        Ok(Box::new(Unlocked))
    }
}

struct Unlocked;

impl DiskLock for Unlocked {}

struct ScratchFile {
    disk: ScratchDisk,
    name: String,
}

impl DiskFile for ScratchFile {
    fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.alive(|state| {
            let at = position as usize;
            let found = state.file(&self.name)?.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(found);
            Ok(())
        })
    }
    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.alive(|state| {
            let short = state.begin_write();
            let (file, at) = (state.file(&self.name)?, position as usize);
            let written = &bytes[..short.map_or(bytes.len(), |short| short.bytes.min(bytes.len()))];
            file.resize(file.len().max(at + written.len()), 0);
            file[at..at + written.len()].copy_from_slice(written);
            if short.is_some() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }
    fn sync(&self) -> io::Result<()> {
        self.disk.alive(|_| Ok(()))
    }
    fn len(&self) -> io::Result<u64> {
        self.disk.alive(|state| Ok(state.file(&self.name)?.len() as u64))
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.alive(|state| {
            state.file(&self.name)?.resize(length as usize, 0);
            Ok(())
        })
    }
}
