//! What keeps a child from outliving its parent, without a parent that behaves: also after `kill -9`.
//!
//! The child's stdin is a pipe whose other end only the parent holds. When the parent is gone the pipe ends, and so does the
//! child. Beside that the child holds a shared lock on a file, so that who comes next can wait until nobody is left.
#![expect(clippy::disallowed_methods, reason = "a process looks after its own end: a thread, a file and no simulation")]

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Failure;

/// How long children of a parent that was killed may take to end. They stop at once; this is for a machine that is busy.
const ORPHANS: Duration = Duration::from_secs(10);

/// Between two looks at whether they did.
const LOOK: Duration = Duration::from_millis(20);

/// Held by a child for as long as it lives.
#[derive(Debug)]
pub(crate) struct Lifeline {
    _lock: File,
}

impl Lifeline {
    /// Ends this process when its stdin ends, and holds `file` until then.
    pub(crate) fn hold(file: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| Failure::failed(format!("hold the lifeline {}: {error}", file.display()));
        let lock = open(file).map_err(cannot)?;
        lock.lock_shared().map_err(cannot)?;
        std::thread::Builder::new().name("lifeline".into()).spawn(end_with_stdin).map_err(cannot)?;
        Ok(Self { _lock: lock })
    }
}

/// Waits until no process holds the lifeline `file`: children of an earlier parent then left their folders.
pub(crate) async fn nobody_left(file: &Path) -> Result<(), Failure> {
    let give_up = Instant::now() + ORPHANS;
    while !is_nobody_left(file)? {
        if Instant::now() >= give_up {
            let file = file.display();
            let failure = Failure::failed(format!("processes of an earlier run still hold {file} after {ORPHANS:?}"));
            return Err(failure.with_next(format!("fuser -v {file}")));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Whether no process holds the lifeline `file` now.
pub(crate) fn is_nobody_left(file: &Path) -> Result<bool, Failure> {
    let cannot = |error: io::Error| Failure::failed(format!("look at the lifeline {}: {error}", file.display()));
    match open(file).map_err(cannot)?.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

fn open(file: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(file)
}

/// Exits without any clean-up: what matters is durable already, and the parent that could ask for more is gone.
fn end_with_stdin() {
    let mut byte = [0];
    while !matches!(io::stdin().read(&mut byte), Ok(0) | Err(_)) {}
    std::process::exit(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_in_vain_is_told_how_to_find_the_processes_that_are_left() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("processes.lock");
        let held = open(&file).unwrap();
        held.lock_shared().unwrap();
        let failure = nobody_left(&file).await.unwrap_err().to_string();
        let file = file.display();
        assert_eq!(failure, format!("processes of an earlier run still hold {file} after 10s; try `fuser -v {file}`"));
    }
}
