//! A disk that is full, fails, or rots; and the contract on a disk that does not.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use settee_core::error::Certainty;
use settee_core::id::Revision;
use settee_core::port::{Commit, Compare, Disk, Kv, Outcome, Page, Range, StoreError, StoreErrorKind, Write};
use settee_core::testing::kv::contract;

use super::super::folders::Folders;
use super::backend::Backend;
use super::{EmbeddedKv, FILE};
use crate::memory::{DiskFault, DiskOperation, MemoryDisk};

async fn open(disk: &MemoryDisk) -> Result<EmbeddedKv, StoreError> {
    EmbeddedKv::open(Arc::new(disk.clone())).await
}

fn put(key: &str, size: usize) -> Commit {
    let value = vec![b'v'; size];
    Commit { compares: Vec::new(), writes: vec![Write::Put(key.to_owned().into(), value.into())] }
}

fn failed<T>(result: Result<T, StoreError>) -> Option<(StoreErrorKind, Certainty)> {
    result.err().map(|error| (error.kind(), error.certainty()))
}

async fn everything(kv: &EmbeddedKv) -> Result<Page, StoreError> {
    kv.range(Range { from: "a".into(), to: "z".into(), limit: 10_000 }).await
}

#[tokio::test]
async fn the_embedded_engine_keeps_the_contract_in_memory_and_in_files() {
    contract(async || Arc::new(open(&MemoryDisk::new()).await.unwrap()) as Arc<dyn Kv>).await;
    let folders = Folders::new();
    contract(async || Arc::new(EmbeddedKv::open(Arc::new(folders.disk())).await.unwrap()) as Arc<dyn Kv>).await;
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening_and_the_history_before_is_not() {
    let disk = MemoryDisk::new();
    let kv = open(&disk).await.unwrap();
    let Outcome::Committed(revision) = kv.commit(put("k", 10)).await.unwrap() else { panic!("no compare") };
    kv.close().await;
    assert_eq!(failed(kv.get(b"k").await), Some((StoreErrorKind::Unavailable, Certainty::NotDone)));
    assert_eq!(failed(kv.commit(put("k", 1)).await), Some((StoreErrorKind::Unavailable, Certainty::NotDone)));
    let kv = open(&disk).await.unwrap();
    assert_eq!(kv.get(b"k").await.unwrap().unwrap().revision, revision);
    assert!(kv.watch("k".into(), revision).await.is_ok());
    assert_eq!(failed(kv.watch("k".into(), Revision(0)).await.map(drop)).unwrap().0, StoreErrorKind::Compacted);
}

#[tokio::test]
async fn a_full_disk_refuses_loses_nothing_and_takes_writes_again_by_itself() {
    let disk = MemoryDisk::new();
    let kv = open(&disk).await.unwrap();
    let mut watch = kv.watch("k".into(), Revision(0)).await.unwrap();
    disk.set_limit(disk.used() + 256 * 1024);
    let (mut written, mut refused) = (Vec::new(), 0);
    for n in 0..40 {
        match kv.commit(put(&format!("k{n:02}"), 100_000)).await {
            Ok(_) => written.push(n),
            error => {
                assert_eq!(failed(error), Some((StoreErrorKind::Full, Certainty::NotDone)));
                refused += 1;
            }
        }
    }
    assert!(!written.is_empty() && refused > 0 && disk.counters().full > 0, "{written:?} {refused}");
    assert_eq!(everything(&kv).await.unwrap().entries.len(), written.len(), "reads go on while the disk is full");
    disk.set_limit(u64::MAX);
    assert!(kv.commit(put("k99", 100_000)).await.is_ok());
    written.push(99);
    for n in written {
        assert_eq!(watch.next().await.unwrap().write.key(), &format!("k{n:02}"), "a watch goes on without a gap");
    }
    disk.crash(|| false);
    assert!(open(&disk).await.unwrap().get(b"k99").await.unwrap().is_some());
}

#[tokio::test]
async fn no_room_at_any_single_write_is_settled_and_never_loses_a_change() {
    let mut refused = 0;
    for at in 0..1_000 {
        let disk = MemoryDisk::new();
        let kv = open(&disk).await.unwrap();
        let left = AtomicI64::new(at);
        disk.set_faults(Arc::new(move |operation| match operation {
            DiskOperation::Write | DiskOperation::SetLength if left.fetch_sub(1, Ordering::Relaxed) == 0 => {
                DiskFault::Fail(ErrorKind::StorageFull)
            }
            _ => DiskFault::None,
        }));
        let mut watch = kv.watch("k".into(), Revision(0)).await.unwrap();
        let mut written = Vec::new();
        for n in 0..6 {
            match kv.commit(put(&format!("k{n:02}"), 20_000)).await {
                Ok(_) => written.push(n),
                error => assert_eq!(failed(error), Some((StoreErrorKind::Full, Certainty::NotDone)), "write {at}"),
            }
        }
        assert!(written.len() >= 5, "write {at}: one refusal, then it goes on");
        for n in &written {
            assert_eq!(watch.next().await.unwrap().write.key(), &format!("k{n:02}"), "write {at}");
        }
        disk.set_faults(Arc::new(|_| DiskFault::None));
        disk.crash(|| false);
        assert_eq!(everything(&open(&disk).await.unwrap()).await.unwrap().entries.len(), written.len());
        if disk.counters().failed == 0 {
            break;
        }
        refused += 1;
    }
    assert!(refused > 20, "{refused} writes were refused");
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_answered_any_more() {
    let disk = MemoryDisk::new();
    let kv = open(&disk).await.unwrap();
    kv.commit(put("k", 1)).await.unwrap();
    let mut watch = kv.watch("k".into(), Revision(1)).await.unwrap();
    disk.fail_next_sync();
    assert_eq!(failed(kv.commit(put("k", 2)).await), Some((StoreErrorKind::Poisoned, Certainty::Unknown)));
    let later = kv.commit(put("k", 3)).await;
    assert!(later.as_ref().unwrap_err().to_string().ends_with("check the disk, then restart"), "{later:?}");
    assert_eq!(failed(later), Some((StoreErrorKind::Poisoned, Certainty::NotDone)));
    assert_eq!(failed(kv.get(b"k").await), Some((StoreErrorKind::Poisoned, Certainty::NotDone)));
    assert_eq!(failed(watch.next().await), Some((StoreErrorKind::Poisoned, Certainty::NotDone)));
    disk.crash(|| false);
    assert_eq!(open(&disk).await.unwrap().get(b"k").await.unwrap().unwrap().value.len(), 1);
}

#[tokio::test]
async fn a_sync_that_fails_while_a_full_disk_is_settled_stops_the_store_too() {
    let disk = MemoryDisk::new();
    let kv = open(&disk).await.unwrap();
    let full = AtomicBool::new(false);
    disk.set_faults(Arc::new(move |operation| match operation {
        DiskOperation::Write if !full.swap(true, Ordering::Relaxed) => DiskFault::Fail(ErrorKind::StorageFull),
        DiskOperation::Sync => DiskFault::Fail(ErrorKind::Other),
        _ => DiskFault::None,
    }));
    assert_eq!(failed(kv.commit(put("k", 1)).await).unwrap().1, Certainty::Unknown);
    disk.set_faults(Arc::new(|_| DiskFault::None));
    assert_eq!(failed(kv.commit(put("k", 1)).await), Some((StoreErrorKind::Poisoned, Certainty::NotDone)));
}

#[tokio::test]
async fn of_a_group_whose_sync_failed_a_conflict_certainly_did_nothing() {
    let disk = MemoryDisk::new();
    let kv = open(&disk).await.unwrap();
    disk.fail_next_sync();
    let conflicting = Commit { compares: vec![Compare::Absent("k".into())], ..put("k", 2) };
    let (first, second) = futures::join!(kv.commit(put("k", 1)), kv.commit(conflicting));
    assert_eq!(failed(first), Some((StoreErrorKind::Poisoned, Certainty::Unknown)));
    assert_eq!(failed(second), Some((StoreErrorKind::Poisoned, Certainty::NotDone)));
}

#[tokio::test]
async fn a_read_that_fails_once_is_unavailable_once() {
    let disk = MemoryDisk::new();
    let kv = open(&disk).await.unwrap();
    for n in 0..200 {
        kv.commit(put(&format!("k{n:03}"), 100_000)).await.unwrap();
    }
    let fails = Arc::new(AtomicBool::new(true));
    let switch = fails.clone();
    disk.set_faults(Arc::new(move |operation| match operation {
        DiskOperation::Read if switch.swap(false, Ordering::Relaxed) => DiskFault::Fail(ErrorKind::Other),
        _ => DiskFault::None,
    }));
    // More than the cache holds, so that the file is read.
    let mut refused = 0;
    for n in 0..200 {
        match kv.get(format!("k{n:03}").as_bytes()).await {
            Ok(found) => assert!(found.is_some()),
            error => {
                assert_eq!(failed(error), Some((StoreErrorKind::Unavailable, Certainty::NotDone)));
                refused += 1;
            }
        }
    }
    assert_eq!((refused, fails.load(Ordering::Relaxed)), (1, false));
    assert!(kv.commit(put("k", 1)).await.is_ok());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_and_a_file_of_another_kind_are_told_apart() {
    let disk = MemoryDisk::new();
    disk.set_faults(Arc::new(|operation| match operation {
        DiskOperation::Read | DiskOperation::Sync => DiskFault::None,
        _ => DiskFault::Fail(ErrorKind::ReadOnlyFilesystem),
    }));
    assert_eq!(failed(open(&disk).await.map(drop)).unwrap().0, StoreErrorKind::ReadOnly);
    for content in [&b""[..], b"not a database", &[0; 8_192]] {
        let disk = MemoryDisk::new();
        disk.open(FILE, true).unwrap().write_at(0, content).unwrap();
        let error = open(&disk).await.err().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Damaged, "{error}");
        assert!(error.to_string().starts_with(FILE));
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_alone() {
    let disk = MemoryDisk::new();
    open(&disk).await.unwrap().close().await;
    let database = redb::Builder::new().create_with_backend(Backend::new(disk.open(FILE, false).unwrap()).0).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(failed(open(&disk).await.map(drop)), Some((StoreErrorKind::Newer, Certainty::NotDone)));
}
