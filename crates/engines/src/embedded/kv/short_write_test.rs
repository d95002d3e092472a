//! Writes that stop somewhere in their middle: the disk was full there, or the process died.

use std::sync::Arc;

use settee_core::error::Certainty;
use settee_core::port::{Commit, Kv, StoreErrorKind, Write};

use super::EmbeddedKv;
use super::seal::SECTOR;
use crate::embedded::scratch::{ScratchDisk, ShortWrite};

const COMMITS: u64 = 4;

fn put(number: u64) -> Commit {
    let value = vec![b'v'; 900];
    Commit { compares: Vec::new(), writes: vec![Write::Put(format!("k{number}").into(), value.into())] }
}

/// What was acknowledged, and whether every refusal said that nothing happened.
async fn work(disk: &ScratchDisk, short: ShortWrite) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    let Ok(kv) = EmbeddedKv::open(Arc::new(disk.clone())).await else { return acknowledged };
    for number in 0..COMMITS {
        match kv.commit(put(number)).await {
            Ok(_) => acknowledged.push(number),
            Err(error) if short.is_last => assert_ne!(error.kind(), StoreErrorKind::Damaged, "{short:?}: {error}"),
            Err(error) => {
                assert_eq!((error.kind(), error.certainty()), (StoreErrorKind::Full, Certainty::NotDone), "{short:?}: {error}");
            }
        }
    }
    if !short.is_last {
        kv.close().await;
    }
    acknowledged
}

/// What the next process finds.
async fn found(disk: &ScratchDisk, short: ShortWrite) -> Vec<u64> {
    let kv = EmbeddedKv::open(Arc::new(disk.revived())).await.unwrap_or_else(|error| panic!("{short:?}: {error}"));
    let mut found = Vec::new();
    for number in 0..COMMITS {
        let value = kv.get(format!("k{number}").as_bytes()).await.unwrap();
        found.extend(value.map(|_| number));
    }
    kv.close().await;
    found
}

/// Writes of a whole life, those that make the file included.
async fn writes() -> u64 {
    let disk = ScratchDisk::default();
    let never = ShortWrite { at: u64::MAX, bytes: 0, is_last: false };
    assert_eq!(work(&disk, never).await.len() as u64, COMMITS);
    disk.writes()
}

/// Lengths at which a write is cut: before it, at a sector's end, within a sector, before its last byte. Never within the first: the
/// header is one sector, which a device writes as a whole, see `seal`.
const LENGTHS: [usize; 5] = [0, SECTOR, SECTOR + 1, 3_000, 4_095];

#[tokio::test]
async fn a_process_that_dies_within_a_write_loses_nothing_that_it_acknowledged() {
    for at in 0..writes().await {
        for bytes in LENGTHS {
            let short = ShortWrite { at, bytes, is_last: true };
            let disk = ScratchDisk::default();
            disk.shorten(short);
            let acknowledged = work(&disk, short).await;
            let found = found(&disk, short).await;
            assert!(found.starts_with(&acknowledged), "{short:?}: of {acknowledged:?} there is {found:?}");
        }
    }
}

#[tokio::test]
async fn a_write_that_comes_short_for_want_of_room_is_refused_and_the_next_one_taken() {
    for at in 0..writes().await {
        for bytes in LENGTHS {
            let short = ShortWrite { at, bytes, is_last: false };
            let disk = ScratchDisk::default();
            disk.shorten(short);
            let acknowledged = work(&disk, short).await;
            let found = found(&disk, short).await;
            assert_eq!(found, acknowledged, "{short:?}");
        }
    }
}
