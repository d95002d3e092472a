//! The embedded log without crashes: the contract, limits, segments, and every way in which it must refuse.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use settee_core::Certainty;
use settee_core::testing::log::{contract, survives_reopening};

use super::*;
use crate::embedded::FileDisk;
use crate::embedded::folders::Folders;
use crate::memory::{DiskFault, DiskOperation, MemoryDisk};

pub(super) const ALL: ReadLimit = ReadLimit { records: 100_000, bytes: 64 << 20 };

pub(super) fn small() -> LogOptions {
    LogOptions { segment_bytes: 4 << 10 }
}

pub(super) fn stream(text: &str) -> StreamName {
    StreamName::new(text).unwrap()
}

pub(super) fn one(name: &str, payload: impl Into<Bytes>) -> Append {
    Append { stream: stream(name), batch: vec![payload.into()], expected_tail: None }
}

pub(super) async fn open(disk: &MemoryDisk) -> Result<EmbeddedLog, StoreError> {
    EmbeddedLog::open(Arc::new(disk.clone()), small()).await
}

pub(super) async fn payloads(log: &EmbeddedLog, name: &str) -> Vec<String> {
    let mut payloads = Vec::new();
    loop {
        let records = log.read(&stream(name), Offset(payloads.len() as u64), ALL).await.unwrap();
        if records.is_empty() {
            return payloads;
        }
        payloads.extend(records.into_iter().map(|record| String::from_utf8(record.payload.to_vec()).unwrap()));
    }
}

fn segments(disk: &MemoryDisk) -> usize {
    segment::firsts(&disk.list().unwrap()).len()
}

#[tokio::test]
async fn it_keeps_the_contract_of_a_log_in_memory_and_in_files() {
    contract(async || Arc::new(open(&MemoryDisk::new()).await.unwrap()) as Arc<dyn Log>).await;
    let folders = Folders::new();
    contract(async || Arc::new(EmbeddedLog::open(Arc::new(folders.disk()), small()).await.unwrap()) as Arc<dyn Log>).await;
}

#[tokio::test]
async fn it_is_the_same_log_after_reopening() {
    let place = tempfile::tempdir().unwrap();
    let open_log = parking_lot::Mutex::new(None::<Arc<EmbeddedLog>>);
    survives_reopening(async || {
        let before = open_log.lock().take();
        if let Some(before) = before {
            before.close().await;
        }
        let disk = FileDisk::open(place.path()).unwrap();
        let log = Arc::new(EmbeddedLog::open(Arc::new(disk), small()).await.unwrap());
        *open_log.lock() = Some(log.clone());
        log as Arc<dyn Log>
    })
    .await;
}

#[tokio::test]
async fn records_of_many_sizes_and_streams_come_back_over_many_segments() {
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    let text = |number: usize| format!("{number}:{}", "x".repeat(number * 7_919 % 3_000));
    let calls = (0..400).map(|number| log.append(one(["a", "b", "c"][number % 3], text(number))));
    futures::future::try_join_all(calls.collect::<Vec<_>>()).await.unwrap();
    for number in 400..430 {
        log.append(one(["a", "b", "c"][number % 3], text(number))).await.unwrap();
    }
    log.close().await;
    let log = open(&disk).await.unwrap();
    for (residue, name) in ["a", "b", "c"].into_iter().enumerate() {
        let expected: Vec<String> = (0..430).filter(|number| number % 3 == residue).map(text).collect();
        assert!(payloads(&log, name).await == expected, "stream {name}");
    }
    assert!(segments(&disk) > 5);
}

#[tokio::test]
async fn appends_that_wait_for_a_sync_share_the_next_one() {
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    let before = disk.counters().syncs;
    let calls: Vec<_> = (0..5).map(|number| log.append(one(&format!("s{number}"), "x"))).collect();
    futures::future::try_join_all(calls).await.unwrap();
    assert_eq!(disk.counters().syncs - before, 1, "one sync for five streams");
}

#[tokio::test]
async fn trimmed_segments_go_and_what_is_left_stays_whole() {
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    log.append(one("keep", "me")).await.unwrap();
    log.append(one("forgotten", "x")).await.unwrap();
    for number in 0..60 {
        log.append(one("orders", format!("{number}{}", "x".repeat(500)))).await.unwrap();
    }
    let full = segments(&disk);
    log.trim(&stream("orders"), Offset(55)).await.unwrap();
    assert_eq!(segments(&disk), full, "the first segment still holds a record, and no gap may come");
    log.trim(&stream("keep"), Offset(1)).await.unwrap();
    log.trim(&stream("forgotten"), Offset(1)).await.unwrap();
    log.close().await;
    assert!(segments(&disk) < full / 3);
    let log = open(&disk).await.unwrap();
    assert_eq!(log.tail(&stream("forgotten")).await.unwrap(), Offset(1));
    let left = log.read(&stream("orders"), Offset(0), ALL).await.unwrap();
    assert_eq!((left[0].offset, left.len()), (Offset(55), 5));
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused_before_anything_is_written() {
    let log = open(&MemoryDisk::new()).await.unwrap();
    let record = Bytes::from(vec![0; RECORD_MAX_BYTES + 1]);
    let piece = Bytes::from(vec![0; RECORD_MAX_BYTES]);
    for batch in [vec![record], vec![piece.clone(); 5], vec![Bytes::new(); BATCH_MAX_RECORDS + 1]] {
        let refused = log.append(Append { stream: stream("s"), batch, expected_tail: None }).await.unwrap_err();
        assert_eq!((refused.kind(), refused.certainty()), (StoreErrorKind::Limit, Certainty::NotDone));
    }
    let largest = Append { stream: stream("s"), batch: vec![piece; 4], expected_tail: None };
    assert_eq!(log.append(largest).await.unwrap(), Appended::At(Offset(0)));
    assert_eq!(log.read(&stream("s"), Offset(3), ALL).await.unwrap().len(), 1);
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_as_not_done_and_the_rest_is_kept() {
    let log = open(&MemoryDisk::new()).await.unwrap();
    let piece = Bytes::from(vec![0; RECORD_MAX_BYTES]);
    let calls: Vec<_> = (0..70).map(|_| log.append(one("s", piece.clone()))).collect();
    let answers = futures::future::join_all(calls).await;
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(refused.iter().all(|answer| answer.as_ref().unwrap_err().certainty() == Certainty::NotDone));
    assert_eq!((done.len(), log.tail(&stream("s")).await.unwrap()), (63, Offset(63)));
}

#[tokio::test]
async fn a_second_opener_is_told_that_the_folder_is_held() {
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    assert_eq!(open(&disk).await.err().unwrap().kind(), StoreErrorKind::Locked);
    log.close().await;
    open(&disk).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_refused_as_such() {
    let disk = MemoryDisk::new();
    let fault = |operation| match operation {
        DiskOperation::Read => DiskFault::None,
        _ => DiskFault::Fail(io::ErrorKind::ReadOnlyFilesystem),
    };
    disk.set_faults(Arc::new(fault));
    assert_eq!(open(&disk).await.err().unwrap().kind(), StoreErrorKind::ReadOnly);
}

#[tokio::test]
async fn a_closed_log_refuses_and_what_was_called_before_is_answered() {
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    let before = log.append(one("s", "a"));
    log.close().await;
    log.close().await;
    assert_eq!(before.await.unwrap(), Appended::At(Offset(0)));
    let after = log.append(one("s", "b")).await.unwrap_err();
    assert_eq!((after.kind(), after.certainty()), (StoreErrorKind::Unavailable, Certainty::NotDone));
    assert_eq!(payloads(&open(&disk).await.unwrap(), "s").await, ["a"]);
}

#[tokio::test]
async fn the_log_of_a_newer_version_is_named_and_left_alone() {
    let disk = MemoryDisk::new();
    open(&disk).await.unwrap().close().await;
    let rest = [7u8; 32];
    let crc = crc32c::crc32c_append(crc32c::crc32c(&9u32.to_le_bytes()), &rest);
    let file = disk.open(&segment::name_of(1), false).unwrap();
    file.write_at(0, &[&b"STLOGSEG"[..], &9u32.to_le_bytes(), &crc.to_le_bytes(), &rest].concat()).unwrap();
    let error = open(&disk).await.err().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::Newer, "{error}");
    assert!(error.to_string().contains("format 9"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_log_seals_its_last_group_once() {
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    log.append(one("s", "a")).await.unwrap();
    let before = disk.counters().syncs;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(disk.counters().syncs - before, 1);
}

#[tokio::test]
async fn a_group_of_very_many_new_streams_is_still_believed_after_reopening() {
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    let names: Vec<String> = (0..20_000).map(|number| format!("{number:0>255}")).collect();
    let calls: Vec<_> = names.iter().map(|name| log.append(one(name, "x"))).collect();
    futures::future::try_join_all(calls).await.unwrap();
    log.append(one("last", "x".repeat(1 << 20))).await.unwrap();
    log.close().await;
    let log = open(&disk).await.unwrap();
    assert_eq!(log.streams().await.unwrap().len(), 20_001);
    assert_eq!(payloads(&log, &names[19_999]).await, ["x"]);
}

/// A simulated machine on which blocking work runs inline, and randomness is none.
struct Machine;

impl env::Host for Machine {
    fn poll_gate(&self, _: &std::task::Waker) -> bool {
        true
    }
    fn connect(&self, _: std::net::SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn env::Io>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
    fn listen(&self, _: std::net::SocketAddr) -> io::Result<Box<dyn env::Accept>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn spawned(&self, _: tokio::task::AbortHandle) {}
    fn charge(&self) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_micros(100)))
    }
    fn wall_clock(&self) -> settee_core::Timestamp {
        settee_core::Timestamp::from_micros(0)
    }
    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(4);
    }
}

async fn simulated_life() -> (crate::memory::DiskCounters, Vec<u8>) {
    let disk = MemoryDisk::new();
    let host: Arc<dyn env::Host> = Arc::new(Machine);
    let life = {
        let disk = disk.clone();
        async move {
            let log = open(&disk).await.unwrap();
            let calls = (0..40).map(|number| log.append(one(&format!("s{}", number % 3), "x".repeat(number * 20))));
            futures::future::try_join_all(calls.collect::<Vec<_>>()).await.unwrap();
            for number in 0..40 {
                log.append(one("s", "y".repeat(number * 20))).await.unwrap();
            }
            log.trim(&stream("s"), Offset(40)).await.unwrap();
            log.close().await;
        }
    };
    env::on_host(&host, || env::spawn(life)).await.unwrap();
    let mut content = Vec::new();
    for name in disk.list().unwrap() {
        let file = disk.open(&name, false).unwrap();
        let begin = content.len();
        content.resize(begin + file.len().unwrap() as usize, 0);
        file.read_at(0, &mut content[begin..]).unwrap();
    }
    (disk.counters(), content)
}

#[tokio::test(start_paused = true)]
async fn a_simulated_life_repeats_to_the_byte() {
    assert!(simulated_life().await == simulated_life().await);
}
