//! [`FileDisk`]: the production [`Disk`], one folder of the operating system.
//!
//! Reads and writes are positioned, a sync is `fdatasync`, and the lock is an advisory lock on the file `lock`, which the
//! kernel lets go of when the process dies. No memory maps: a failing device then gives errors, not signals.
#![expect(clippy::disallowed_methods, reason = "the production disk is one of the two doors to the file system")]

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use settee_core::port::{Disk, DiskFile, DiskLock};

/// The name of the file that carries the lock; [`Disk::list`] does not show it.
const LOCK: &str = "lock";

/// What a data folder holds is for its owner alone.
const FOLDER_MODE: u32 = 0o700;

/// See [`FOLDER_MODE`].
const FILE_MODE: u32 = 0o600;

/// A folder of the operating system.
///
/// ```
/// use settee_core::port::Disk;
/// use settee_engines::embedded::FileDisk;
///
/// let parent = tempfile::tempdir()?;
/// let disk = FileDisk::open(&parent.path().join("data"))?;
/// disk.open("hello", true)?.write_at(0, b"world")?;
/// assert_eq!(disk.list()?, ["hello"]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileDisk {
    folder: PathBuf,
}

impl FileDisk {
    /// The folder at `path`, made with mode 0700 if it is missing, its parents too.
    ///
    /// # Errors
    /// `NotADirectory` when something else is there; else what the operating system reports.
    pub fn open(path: &Path) -> io::Result<Self> {
        let missing = count_missing(path);
        if missing == 0 && !path.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "something else is in its place"));
        }
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
        let folder = path.canonicalize()?;
        // Else a power cut could take one of them away with all that was synced inside it.
        for parent in folder.ancestors().skip(1).take(missing) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self { folder })
    }

    /// Where the folder is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    fn file(&self, name: &str) -> io::Result<PathBuf> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_name = (1..=255).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed);
        match is_name && name != LOCK {
            true => Ok(self.folder.join(name)),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is not a file name of a data folder"))),
        }
    }
}

/// How many folders at the end of `path` are not there yet.
fn count_missing(path: &Path) -> usize {
    path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).count()
}

impl Disk for FileDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.file(name)?;
        let file = OpenOptions::new().read(true).write(true).create(create).mode(FILE_MODE).open(path)?;
        Ok(Arc::new(PlainFile(file)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.retain(|name| self.file(name).is_ok());
        names.sort();
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.file(name)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.file(from)?, self.file(to)?)
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn lock(&self) -> io::Result<Box<dyn DiskLock>> {
        let path = self.folder.join(LOCK);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(HeldLock { _file: file })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Closing the file lets go of the lock.
struct HeldLock {
    _file: File,
}

impl DiskLock for HeldLock {}

struct PlainFile(File);

impl DiskFile for PlainFile {
    fn read_at(&self, position: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(bytes, position)
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, position)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::folders::Folders;
    use super::*;

    #[test]
    fn a_missing_folder_is_made_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        FileDisk::open(&path).unwrap().open("x", true).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(path.join("x").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn every_folder_that_is_made_counts_as_missing_before_and_none_after() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b/c");
        assert_eq!(count_missing(&path), 3);
        FileDisk::open(&path).unwrap();
        assert_eq!((count_missing(&path), count_missing(&path.join("d"))), (0, 1));
    }

    #[test]
    fn a_file_where_the_folder_should_be_is_no_folder() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        File::create(&path).unwrap();
        let error = FileDisk::open(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{error}");
    }

    #[test]
    fn a_name_cannot_leave_the_folder_or_touch_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let disk = FileDisk::open(folder.path()).unwrap();
        for name in ["", ".", "..", "../x", "a/b", ".hidden", "lock", "nul\0", "sp ace"] {
            let error = disk.open(name, true).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
    }

    #[test]
    fn files_of_the_operating_system_keep_the_contract_of_a_disk() {
        let folders = Folders::new();
        settee_core::testing::disk::contract(|| Arc::new(folders.disk()));
    }

    #[test]
    fn the_folder_belongs_to_one_holder_however_often_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let _held = FileDisk::open(folder.path()).unwrap().lock().unwrap();
        let second = FileDisk::open(folder.path()).unwrap();
        assert_eq!(second.lock().err().unwrap().kind(), io::ErrorKind::WouldBlock);
    }
}
