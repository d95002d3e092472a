//! The embedded log on a disk that fills up, fails to write, and fails to sync: what is said, what goes on, and what comes back.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use settee_core::Certainty;
use settee_core::port::{DiskFile, DiskLock};

use super::log_test::{ALL, one, open, payloads, small, stream};
use super::*;
use crate::memory::{DiskFault, DiskOperation, MemoryDisk};

#[tokio::test]
async fn a_full_disk_refuses_as_not_done_and_goes_on_by_itself_when_there_is_room() {
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    disk.set_limit(disk.used() + 1_000);
    let mut accepted = 0;
    let refused = loop {
        match log.append(one("s", format!("{accepted}{}", "x".repeat(600)))).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((refused.kind(), refused.certainty()), (StoreErrorKind::Full, Certainty::NotDone));
    assert_eq!(log.append(one("s", "y".repeat(600))).await.unwrap_err().certainty(), Certainty::NotDone);
    assert_eq!(log.read(&stream("s"), Offset(0), ALL).await.unwrap().len(), accepted, "reading goes on");
    disk.set_limit(u64::MAX);
    assert_eq!(log.append(one("s", "z")).await.unwrap(), Appended::At(Offset(accepted as u64)));
    drop(log);
    disk.crash(|| true);
    assert_eq!(payloads(&open(&disk).await.unwrap(), "s").await.len(), accepted + 1);
}

/// A disk on which the next write reaches the page cache and is nevertheless reported as failed.
#[derive(Clone)]
struct LateFailure {
    disk: MemoryDisk,
    is_armed: Arc<AtomicBool>,
}

struct LateFailureFile(Arc<dyn DiskFile>, Arc<AtomicBool>);

impl Disk for LateFailure {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(LateFailureFile(self.disk.open(name, create)?, self.is_armed.clone())))
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn sync_folder(&self) -> io::Result<()> {
        self.disk.sync_folder()
    }
    fn lock(&self) -> io::Result<Box<dyn DiskLock>> {
        self.disk.lock()
    }
}

impl DiskFile for LateFailureFile {
    fn read_at(&self, position: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_at(position, bytes)
    }
    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(position, bytes)?;
        match self.1.swap(false, Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}

async fn with_refused_write(goes_on: bool) -> Vec<String> {
    let disk = MemoryDisk::new();
    let failing = LateFailure { disk: disk.clone(), is_armed: Arc::default() };
    let log = EmbeddedLog::open(Arc::new(failing.clone()), small()).await.unwrap();
    log.append(one("s", "a")).await.unwrap();
    failing.is_armed.store(true, Ordering::Relaxed);
    let refused = log.append(one("s", "b")).await.unwrap_err();
    assert_eq!((refused.kind(), refused.certainty()), (StoreErrorKind::Full, Certainty::NotDone));
    if goes_on {
        assert_eq!(log.append(one("s", "c")).await.unwrap(), Appended::At(Offset(1)));
    }
    disk.crash(|| true);
    payloads(&open(&disk).await.unwrap(), "s").await
}

#[tokio::test]
async fn what_was_refused_as_not_done_never_comes_back_though_its_write_reached_the_disk() {
    assert_eq!(with_refused_write(false).await, ["a"]);
    assert_eq!(with_refused_write(true).await, ["a", "c"]);
}

#[tokio::test]
async fn a_failed_sync_is_unknown_for_its_group_and_ends_the_log() {
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    log.append(one("s", "a")).await.unwrap();
    disk.fail_next_sync();
    let (first, second) = futures::join!(log.append(one("s", "b")), log.append(one("t", "c")));
    for failed in [first.unwrap_err(), second.unwrap_err()] {
        assert_eq!((failed.kind(), failed.certainty()), (StoreErrorKind::Poisoned, Certainty::Unknown));
    }
    let later = log.append(one("s", "d")).await.unwrap_err();
    assert_eq!((later.kind(), later.certainty()), (StoreErrorKind::Poisoned, Certainty::NotDone));
    assert_eq!(log.read(&stream("s"), Offset(0), ALL).await.unwrap_err().kind(), StoreErrorKind::Poisoned);
    assert_eq!(log.tail(&stream("s")).await.unwrap_err().kind(), StoreErrorKind::Poisoned);
}

#[tokio::test]
async fn what_a_failed_sync_left_in_the_page_cache_alone_is_not_served_and_then_lost() {
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    disk.fail_next_sync();
    log.append(one("s", "a")).await.unwrap_err();
    log.close().await;
    disk.kill();
    let log = open(&disk).await.unwrap();
    let served = payloads(&log, "s").await;
    drop(log);
    disk.crash(|| false);
    assert_eq!(payloads(&open(&disk).await.unwrap(), "s").await, served);
}

#[tokio::test]
async fn a_folder_that_once_failed_to_sync_does_not_keep_trimmed_segments_for_ever() {
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    for number in 0..40 {
        log.append(one("s", format!("{number}{}", "x".repeat(500)))).await.unwrap();
    }
    assert!(segment::firsts(&disk.list().unwrap()).len() > 4);
    let (has_removed, has_failed) = (AtomicBool::new(false), AtomicBool::new(false));
    disk.set_faults(Arc::new(move |operation| match operation {
        DiskOperation::Remove => {
            has_removed.store(true, Ordering::Relaxed);
            DiskFault::None
        }
        DiskOperation::SyncFolder if has_removed.load(Ordering::Relaxed) && !has_failed.swap(true, Ordering::Relaxed) => {
            DiskFault::Fail(io::ErrorKind::Other)
        }
        _ => DiskFault::None,
    }));
    log.trim(&stream("s"), Offset(40)).await.unwrap();
    log.append(one("s", "y")).await.unwrap();
    log.close().await;
    assert_eq!(disk.counters().failed, 1);
    assert!(segment::firsts(&disk.list().unwrap()).len() <= 2, "{:?}", disk.list());
    assert_eq!(payloads_from(&open(&disk).await.unwrap(), 40).await, ["y"]);
}

async fn payloads_from(log: &EmbeddedLog, from: u64) -> Vec<String> {
    let records = log.read(&stream("s"), Offset(from), ALL).await.unwrap();
    records.into_iter().map(|record| String::from_utf8(record.payload.to_vec()).unwrap()).collect()
}

/// Counts the lines that this thread would write to a log.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn an_idle_log_on_a_full_disk_does_not_bury_the_log_of_its_server_and_says_when_there_is_room() {
    let lines = Lines::default();
    let written = || lines.0.swap(0, Ordering::Relaxed);
    let _counted = tracing::subscriber::set_default(lines.clone());
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    log.append(one("s", "a")).await.unwrap();
    // Where there is no room, a group is refused, and the zeroes that take it back go through.
    let (is_full, writes) = (Arc::new(AtomicBool::new(true)), AtomicUsize::new(0));
    let has_no_room = is_full.clone();
    disk.set_faults(Arc::new(move |operation| match operation {
        DiskOperation::Write
            if has_no_room.load(Ordering::Relaxed) && writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) =>
        {
            DiskFault::Fail(io::ErrorKind::StorageFull)
        }
        _ => DiskFault::None,
    }));
    written();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let said = written();
    assert!((9..=11).contains(&said), "{said} lines in ten minutes");
    is_full.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(written(), 1, "that there is room again");
}
