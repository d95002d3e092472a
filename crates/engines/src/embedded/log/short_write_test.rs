//! Writes that stop somewhere in their middle: the disk was full there, or the process died.

use settee_core::Certainty;

use super::log_test::{ALL, one, small, stream};
use super::*;
use crate::embedded::scratch::{ScratchDisk, ShortWrite};

const APPENDS: usize = 9;

/// Appends over two segments; the numbers that were acknowledged.
async fn work(disk: &ScratchDisk, short: ShortWrite) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let Ok(log) = EmbeddedLog::open(Arc::new(disk.clone()), small()).await else { return acknowledged };
    for number in 0..APPENDS {
        let payload = format!("{number}{}", "x".repeat(number * 150));
        match log.append(one("s", payload.clone())).await {
            Ok(_) => acknowledged.push(payload),
            Err(_) if short.is_last => break,
            Err(error) => {
                assert_eq!((error.kind(), error.certainty()), (StoreErrorKind::Full, Certainty::NotDone), "{short:?}: {error}");
            }
        }
    }
    log.close().await;
    acknowledged
}

/// What the next process finds.
async fn found(disk: &ScratchDisk, short: ShortWrite) -> Vec<String> {
    let log = EmbeddedLog::open(Arc::new(disk.revived()), small()).await.unwrap_or_else(|error| panic!("{short:?}: {error}"));
    let records = log.read(&stream("s"), Offset(0), ALL).await.unwrap();
    records.into_iter().map(|record| String::from_utf8(record.payload.to_vec()).unwrap()).collect()
}

/// Writes of a whole life, those that make the file included.
async fn writes() -> u64 {
    let disk = ScratchDisk::default();
    let never = ShortWrite { at: u64::MAX, bytes: 0, is_last: false };
    assert_eq!(work(&disk, never).await.len(), APPENDS);
    assert!(segment::firsts(&disk.list().unwrap()).len() > 1, "a segment is begun on the way");
    disk.writes()
}

/// Every length at which a group of these sizes can be cut would take long: these are none, each odd step, and just before the end.
fn lengths() -> impl Iterator<Item = usize> {
    (0..1_600).step_by(37).chain([511, 512, 513, 1_023, 1_024])
}

#[tokio::test]
async fn a_process_that_dies_within_a_write_loses_nothing_that_it_acknowledged() {
    for at in 0..writes().await {
        for bytes in lengths() {
            let short = ShortWrite { at, bytes, is_last: true };
            let disk = ScratchDisk::default();
            disk.shorten(short);
            let acknowledged = work(&disk, short).await;
            let found = found(&disk, short).await;
            assert!(found.starts_with(&acknowledged), "{short:?}: of {acknowledged:?} there is {found:?}");
            assert!(found.len() <= acknowledged.len() + 1, "{short:?}: {found:?}");
        }
    }
}

#[tokio::test]
async fn a_write_that_comes_short_for_want_of_room_is_refused_and_the_next_one_taken() {
    for at in 0..writes().await {
        for bytes in lengths() {
            let short = ShortWrite { at, bytes, is_last: false };
            let disk = ScratchDisk::default();
            disk.shorten(short);
            let acknowledged = work(&disk, short).await;
            let found = found(&disk, short).await;
            assert_eq!(found, acknowledged, "{short:?}");
        }
    }
}
