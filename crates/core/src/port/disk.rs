//! The disk port: what the embedded engine writes through. Synchronous: it is called inside `env::blocking`.
//!
//! Two implementations: files of the operating system, and a simulated disk with a page cache that a crash empties, torn
//! sectors, a size limit and failing syncs.

use std::io;
use std::sync::Arc;

/// A flat folder of files.
pub trait Disk: Send + Sync + 'static {
    /// Opens the file `name`, making an empty one if `create` and it is missing.
    ///
    /// # Errors
    /// `NotFound` without `create`; `PermissionDenied` and `ReadOnlyFilesystem` where the folder cannot be written.
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// The names of all files, in order.
    ///
    /// # Errors
    /// What the operating system reports.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Removes the file `name`; durable after [`Disk::sync_folder`].
    ///
    /// # Errors
    /// `NotFound`, or what the operating system reports.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Renames `from` to `to`, replacing it; durable after [`Disk::sync_folder`].
    ///
    /// # Errors
    /// `NotFound`, or what the operating system reports.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes creations, renames and removals durable.
    ///
    /// # Errors
    /// What the operating system reports; afterwards it is not known what is durable.
    fn sync_folder(&self) -> io::Result<()>;

    /// Takes the folder for this process alone, until the lock is dropped or the process dies.
    ///
    /// # Errors
    /// `WouldBlock` when another process holds it.
    fn lock(&self) -> io::Result<Box<dyn DiskLock>>;
}

/// A held lock on a folder; dropping it lets go.
pub trait DiskLock: Send + Sync {}

/// One file, read and written at positions.
pub trait DiskFile: Send + Sync {
    /// Fills `bytes` from `position`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file is shorter.
    fn read_at(&self, position: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `position`, growing the file as needed.
    ///
    /// # Errors
    /// `StorageFull` when there is no room: a part may have been written.
    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written to this file durable.
    ///
    /// # Errors
    /// Afterwards it is not known what is durable, and a later success proves nothing: stop using the file.
    fn sync(&self) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the operating system reports.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// What the operating system reports.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|length| length == 0)
    }

    /// Cuts or grows the file to `length` bytes; new bytes are zero.
    ///
    /// # Errors
    /// `StorageFull`, or what the operating system reports.
    fn set_len(&self, length: u64) -> io::Result<()>;
}
