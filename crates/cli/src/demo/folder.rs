//! The folder that a demo keeps its data in: given and kept, or temporary. Its layout is documented in
//! `docs/operations/demo-data.md`.
#![expect(clippy::disallowed_methods, reason = "process code: the folder exists before anything could be simulated")]

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::topology::Role;
use crate::failure::Failure;
use crate::lifeline;

/// How the names of temporary folders begin.
const TEMPORARY: &str = "settee-demo-";

/// Held while a demo uses the folder.
const LOCK: &str = "demo.lock";

/// Held by each process while it lives.
const LIFELINE: &str = "processes.lock";

/// How old a temporary folder must be before it can be abandoned: its demo takes the lock within moments of making the file.
const YOUNG: Duration = Duration::from_secs(2);

/// A folder that this demo alone uses.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    /// Held so that another demo is refused.
    _lock: File,
    /// Removed with everything in it at the end, unless the folder is kept.
    _temporary: Option<TempDir>,
}

impl Folder {
    /// Opens `data`, made if it is missing, or a temporary folder; waits until nobody of an earlier demo is left in it.
    pub(crate) async fn open(data: Option<&Path>) -> Result<Self, Failure> {
        let (root, temporary) = match data {
            Some(kept) => (kept.to_owned(), None),
            None => {
                remove_abandoned(&std::env::temp_dir());
                temporary().map(|folder| (folder.path().to_owned(), Some(folder)))?
            }
        };
        let cannot = |error: io::Error| cannot_use(&root, &error);
        fs::create_dir_all(root.join("logs")).map_err(cannot)?;
        let lock = File::options().create(true).truncate(false).write(true).open(root.join(LOCK)).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(&root)),
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let folder = Self { root, _lock: lock, _temporary: temporary };
        lifeline::nobody_left(&folder.lifeline()).await?;
        folder.forget_lists().map_err(|error| cannot_use(&folder.root, &error))?;
        Ok(folder)
    }

    /// What a process of this role keeps: a database file, or the server's folder.
    pub(crate) fn data(&self, role: Role) -> PathBuf {
        match role {
            Role::Server => self.root.join("server"),
            database => self.root.join(format!("{database}.db")),
        }
    }

    /// Where the logs of a role go.
    pub(crate) fn log(&self, role: Role) -> PathBuf {
        self.root.join("logs").join(format!("{role}.log"))
    }

    /// Where the services keep the last good list of each other's instances.
    pub(crate) fn lists(&self) -> PathBuf {
        self.root.join("lists")
    }

    /// Every run has ports of its own: behind those of an earlier one there is nobody, or somebody else by now.
    fn forget_lists(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.lists()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The file that every process of the demo holds while it lives.
    pub(crate) fn lifeline(&self) -> PathBuf {
        self.root.join(LIFELINE)
    }
}

fn temporary() -> Result<TempDir, Failure> {
    let made = tempfile::Builder::new().prefix(TEMPORARY).tempdir();
    made.map_err(|error| Failure::failed(format!("make a temporary folder: {error}")).with_next("settee demo --data FOLDER"))
}

/// Removes the temporary folders of demos that were killed: those whose locks nobody holds. What cannot be looked at, such as
/// another user's, is left alone.
fn remove_abandoned(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes());
        // Of the entry itself: a link is never followed.
        if is_ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _left_for_another_demo = remove_if_abandoned(&entry.path());
        }
    }
}

fn remove_if_abandoned(root: &Path) -> io::Result<()> {
    let lock = File::options().write(true).open(root.join(LOCK))?;
    let age = lock.metadata()?.modified()?.elapsed().unwrap_or_default();
    let is_held = age < YOUNG || lock.try_lock().is_err() || !lifeline::is_nobody_left(&root.join(LIFELINE)).unwrap_or(false);
    if is_held { Ok(()) } else { fs::remove_dir_all(root) }
}

fn cannot_use(root: &Path, error: &io::Error) -> Failure {
    Failure::wrong(format!("use {}: {error}", root.display())).with_next("settee demo --data OTHER_FOLDER")
}

fn in_use(root: &Path) -> Failure {
    let message = format!("{} is used by another demo that is still running", root.display());
    Failure::wrong(message).with_next("settee demo --data OTHER_FOLDER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_demos_never_share_a_folder_and_the_second_run_may_have_it() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("kept");
        let first = Folder::open(Some(&data)).await.unwrap();
        let refused = Folder::open(Some(&data)).await.unwrap_err();
        assert_eq!(refused.exit(), 2);
        assert!(refused.to_string().contains("another demo"), "{refused}");
        drop(first);
        let again = Folder::open(Some(&data)).await.unwrap();
        assert_eq!(again.data(Role::Ledger(0)), data.join("account-1.db"));
        assert_eq!(again.data(Role::Server), data.join("server"));
        assert!(again.log(Role::Payment).ends_with("logs/payment.log"));
    }

    #[tokio::test]
    async fn addresses_of_an_earlier_run_are_never_called() {
        let data = tempfile::tempdir().unwrap();
        let lists = Folder::open(Some(data.path())).await.unwrap().lists();
        fs::create_dir(&lists).unwrap();
        fs::write(lists.join("pay.Account.json"), "somebody else's port").unwrap();
        let _again = Folder::open(Some(data.path())).await.unwrap();
        assert!(!lists.exists());
    }

    #[test]
    fn what_a_killed_demo_left_is_removed_and_what_lives_is_not() {
        let place = tempfile::tempdir().unwrap();
        let old = std::time::SystemTime::now() - YOUNG;
        let made = |name: &str, since: std::time::SystemTime| {
            let root = place.path().join(name);
            fs::create_dir_all(root.join("logs")).unwrap();
            let lock = File::create(root.join(LOCK)).unwrap();
            lock.set_modified(since).unwrap();
            (root, lock)
        };
        let (killed, _) = made("settee-demo-killed", old);
        let (running, held) = made("settee-demo-running", old);
        held.lock().unwrap();
        let (orphaned, _) = made("settee-demo-orphaned", old);
        let orphan = File::create(orphaned.join(LIFELINE)).unwrap();
        orphan.lock_shared().unwrap();
        let (starting, _) = made("settee-demo-starting", std::time::SystemTime::now());
        let (kept, _) = made("accounts-2026", old);
        remove_abandoned(place.path());
        assert_eq!([&killed, &running, &orphaned, &starting, &kept].map(|root| root.exists()), [false, true, true, true, true]);
    }

    #[tokio::test]
    async fn a_temporary_folder_leaves_nothing_behind() {
        let folder = Folder::open(None).await.unwrap();
        let root = folder.root.clone();
        assert!(root.join("logs").is_dir());
        drop(folder);
        assert!(!root.exists());
    }
}
