//! What makes a folder settee's: the file `FORMAT`, and a lock that one process holds.
//!
//! ```text
//! settee = "data folder"
//! format = 1
//! ```
//!
//! `Kv` and `Log` share one [`Folder`], so that one process has both or neither.

use std::io;
use std::sync::Arc;

use settee_core::port::{Disk, DiskFile, DiskLock, StoreError, StoreErrorKind};

const FORMAT: &str = "FORMAT";
const FORMAT_NEW: &str = "FORMAT.tmp";
const FIRST_LINE: &str = "settee = \"data folder\"\n";
const VERSION: u32 = 1;

/// A format file is two short lines; anything longer is not ours.
const FORMAT_MAX_BYTES: u64 = 256;

/// An open data folder, held by this process alone until the last clone is dropped.
///
/// ```
/// use std::sync::Arc;
/// use settee_engines::embedded::{FileDisk, Folder};
///
/// let place = tempfile::tempdir()?;
/// let disk = Arc::new(FileDisk::open(place.path())?);
/// let held = Folder::open(disk.clone())?;
/// assert!(Folder::open(disk).is_err(), "the folder is held already");
/// # drop(held);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Folder {
    disk: Arc<dyn Disk>,
    _lock: Arc<dyn DiskLock>,
}

impl Folder {
    /// Takes the folder, and makes an empty one a data folder. Blocks: call it inside `env::blocking`.
    ///
    /// # Errors
    /// `Locked` when another process holds it; `ReadOnly` when it cannot be written; `Newer` when a newer version wrote it;
    /// `Damaged` when it is not a data folder; `Full` and `Unavailable` when the disk fails. Nothing of it was changed.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let lock = disk.lock().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => StoreError::not_done(
                StoreErrorKind::Locked,
                "the data folder is held by another process: stop that one, or give this one a folder of its own",
            ),
            _ => failed("lock the data folder", &error),
        })?;
        let folder = Self { disk, _lock: lock.into() };
        match folder.version()? {
            None => folder.initialise()?,
            Some(VERSION) => {}
            Some(newer) => {
                let message = format!(
                    "the data folder has format {newer}, this version knows {VERSION} (file {FORMAT}): run the version that wrote it, or a later one"
                );
                return Err(StoreError::not_done(StoreErrorKind::Newer, message));
            }
        }
        Ok(folder)
    }

    /// The disk under the folder.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    fn version(&self) -> Result<Option<u32>, StoreError> {
        let text = match self.disk.open(FORMAT, false) {
            Ok(file) => text(&*file).map_err(|error| failed("read the file FORMAT", &error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.must_be_empty().map(|()| None),
            Err(error) => return Err(failed("open the file FORMAT", &error)),
        };
        let number = text.strip_prefix(FIRST_LINE).and_then(|rest| rest.strip_prefix("format = ")?.strip_suffix('\n'));
        match number.and_then(|number| number.parse().ok()) {
            Some(version) if version >= VERSION => Ok(Some(version)),
            _ => Err(StoreError::not_done(
                StoreErrorKind::Damaged,
                "the file FORMAT of the data folder cannot be read: restore it from a backup of this folder",
            )),
        }
    }

    /// A folder that lost its FORMAT must not be taken for a new one, nor someone's documents for ours.
    fn must_be_empty(&self) -> Result<(), StoreError> {
        let names = self.disk.list().map_err(|error| failed("list the data folder", &error))?;
        match names.iter().find(|name| *name != FORMAT_NEW) {
            None => Ok(()),
            Some(name) => {
                let message = format!(
                    "the folder holds {name} but no file FORMAT: give settee an empty folder, or restore FORMAT from a backup"
                );
                Err(StoreError::not_done(StoreErrorKind::Damaged, message))
            }
        }
    }

    /// The file appears complete or not at all: written aside, synced, renamed.
    fn initialise(&self) -> Result<(), StoreError> {
        let write = || {
            let file = self.disk.open(FORMAT_NEW, true)?;
            file.set_len(0)?;
            file.write_at(0, format!("{FIRST_LINE}format = {VERSION}\n").as_bytes())?;
            file.sync()?;
            self.disk.rename(FORMAT_NEW, FORMAT)?;
            self.disk.sync_folder()
        };
        write().map_err(|error| failed("write the file FORMAT", &error))
    }
}

fn text(file: &dyn DiskFile) -> io::Result<String> {
    let length = usize::try_from(file.len()?.min(FORMAT_MAX_BYTES)).unwrap_or(0);
    let mut bytes = vec![0; length];
    file.read_at(0, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Removes the file `name`, if there is one; durable after [`Disk::sync_folder`].
pub(crate) fn remove_if_there(disk: &dyn Disk, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The store's error for a disk operation that failed and changed nothing that counts. `attempt` completes "could not".
pub(crate) fn failed(attempt: &str, error: &io::Error) -> StoreError {
    let kind = kind_of(error);
    StoreError::not_done(kind, format!("could not {attempt}: {error}; {}", advice(kind)))
}

/// What class of failure an error of the disk is.
pub(crate) fn kind_of(error: &io::Error) -> StoreErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => StoreErrorKind::Full,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreErrorKind::ReadOnly,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => StoreErrorKind::Damaged,
        _ => StoreErrorKind::Unavailable,
    }
}

/// What helps when the disk, or what is on it, is the trouble.
pub(crate) fn advice(kind: StoreErrorKind) -> &'static str {
    match kind {
        StoreErrorKind::Full => "make room on the disk; writing goes on by itself",
        StoreErrorKind::ReadOnly => "give this process the right to write there",
        StoreErrorKind::Damaged => "restore the data folder from a backup",
        StoreErrorKind::Newer => "run the version that wrote it, or a later one",
        StoreErrorKind::Poisoned => "what is on the disk is not known: check the disk, then restart",
        _ => "see the disk's own log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::FileDisk;

    fn opened(disk: &FileDisk) -> Result<Folder, StoreErrorKind> {
        Folder::open(Arc::new(disk.clone())).map_err(|error| error.kind())
    }

    fn folder_with(name: &str, content: &str) -> (tempfile::TempDir, FileDisk) {
        let place = tempfile::tempdir().unwrap();
        let disk = FileDisk::open(place.path()).unwrap();
        disk.open(name, true).unwrap().write_at(0, content.as_bytes()).unwrap();
        (place, disk)
    }

    #[test]
    fn what_is_not_certainly_our_folder_is_refused() {
        let cases = [
            ("FORMAT", "settee = \"data folder\"\nformat = 2\n", StoreErrorKind::Newer),
            ("FORMAT", "settee = \"data folder\"\nformat = 0\n", StoreErrorKind::Damaged),
            ("FORMAT", "settee = \"data folder\"\nformat = 1", StoreErrorKind::Damaged),
            ("FORMAT", "", StoreErrorKind::Damaged),
            ("thesis.doc", "chapter 1", StoreErrorKind::Damaged),
            ("log-00000000000000000001.seg", "", StoreErrorKind::Damaged),
        ];
        for (name, content, expected) in cases {
            let (_place, disk) = folder_with(name, content);
            assert_eq!(opened(&disk).err(), Some(expected), "{name}: {content:?}");
        }
    }

    #[test]
    fn a_half_made_folder_is_made_whole_and_opens_again() {
        let (_place, disk) = folder_with(FORMAT_NEW, "settee");
        drop(opened(&disk).unwrap());
        drop(opened(&disk).unwrap());
        assert_eq!(disk.list().unwrap(), [FORMAT]);
    }

    #[test]
    fn a_second_holder_is_told_so() {
        let place = tempfile::tempdir().unwrap();
        let disk = FileDisk::open(place.path()).unwrap();
        let held = opened(&disk).unwrap();
        assert_eq!(opened(&disk).err(), Some(StoreErrorKind::Locked));
        drop(held);
        opened(&disk).unwrap();
    }
}
