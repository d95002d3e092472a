//! The folder of one seed, on real files: SQLite knows no other.
//!
//! Its name is the same in every run of the seed, because paths reach error messages, those reach the wire, and the wire is part
//! of the history. So a run holds the folder's lock, and another run of the same seed waits for it.
#![expect(clippy::disallowed_methods, reason = "SQLite works on real files, so somebody makes and removes their folder")]

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// Memory that looks like files; without it, the machine's own temporary folder.
const IN_MEMORY: &str = "/dev/shm";

/// The folder of one seed, empty at first.
pub(super) struct Folder {
    path: PathBuf,
    lock: Mutex<Option<File>>,
}

impl Folder {
    /// Waits until no other run has the folder of `seed`, and takes it.
    pub(super) fn take(seed: u64) -> io::Result<Self> {
        let memory = Path::new(IN_MEMORY);
        let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }.join("settee-sim");
        fs::create_dir_all(&root)?;
        let lock = File::create(root.join(format!("{seed}.lock")))?;
        lock.lock()?;
        let path = root.join(seed.to_string());
        remove(&path)?;
        fs::create_dir(&path)?;
        Ok(Self { path, lock: Mutex::new(Some(lock)) })
    }

    /// Where the database `name` is.
    pub(super) fn database(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.db"))
    }

    /// Where an application keeps the last good instance lists.
    pub(super) fn lists(&self) -> PathBuf {
        self.path.join("lists")
    }

    /// Removes the folder and lets go of it. What still has files of it open keeps those to itself.
    pub(super) fn give_back(&self) {
        if let Some(lock) = self.lock.lock().take() {
            // What stays is removed by the next run of the seed.
            let _ = remove(&self.path);
            drop(lock);
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
