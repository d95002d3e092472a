//! A file that rots: whatever bit turns, it is noticed or harmless, and never served.

use std::sync::Arc;

use settee_core::port::{Commit, Disk, Kv, Page, Range, StoreError, StoreErrorKind, Write};

use super::database::Opened;
use super::seal::{HEADER, SECTOR};
use super::{EmbeddedKv, FILE};
use crate::embedded::scratch::ScratchDisk;
use crate::memory::MemoryDisk;

async fn open(disk: &MemoryDisk) -> Result<EmbeddedKv, StoreError> {
    EmbeddedKv::open(Arc::new(disk.clone())).await
}

fn put(key: &str, size: usize) -> Commit {
    let value = vec![b'v'; size];
    Commit { compares: Vec::new(), writes: vec![Write::Put(key.to_owned().into(), value.into())] }
}

fn all() -> Range {
    Range { from: "a".into(), to: "z".into(), limit: 10_000 }
}

/// How the process that wrote a file ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Closed,
    Killed,
}

/// The bytes of a file after so many commits to so many keys, and what it holds.
async fn stored(commits: usize, keys: usize, size: usize, end: End) -> (Vec<u8>, Page) {
    let disk = ScratchDisk::default();
    let kv = EmbeddedKv::open(Arc::new(disk.clone())).await.unwrap();
    for n in 0..commits {
        kv.commit(put(&format!("k{:02}", n % keys), size + n)).await.unwrap();
    }
    let page = kv.range(all()).await.unwrap();
    if end == End::Killed {
        disk.die();
    }
    kv.close().await;
    (disk.bytes(FILE), page)
}

/// What a process sees of a file, and then dies.
fn seen(bytes: Vec<u8>) -> Result<Page, StoreError> {
    let disk = ScratchDisk::with(FILE, bytes);
    let (opened, _) = Opened::open(&disk).map_err(|failure| failure.not_done())?;
    let page = opened.guarded(|| opened.range(&all()));
    disk.die();
    opened.close();
    page.map_err(|failure| failure.not_done())
}

/// Turns one bit of each of these, alone. How many were noticed; the others must have been harmless.
fn turn_each(bytes: &[u8], page: &Page, places: impl Iterator<Item = (usize, usize)>) -> usize {
    let mut noticed = 0;
    for (at, bit) in places {
        let mut turned = bytes.to_vec();
        turned[at] ^= 1 << bit;
        match seen(turned) {
            Ok(served) => assert_eq!(&served, page, "bit {bit} of byte {at}: damage was served"),
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Damaged, "bit {bit} of byte {at}: {error}");
                noticed += 1;
            }
        }
    }
    noticed
}

#[tokio::test]
async fn every_turned_bit_of_the_header_is_noticed_also_the_one_that_says_which_commit_is_the_last() {
    for end in [End::Closed, End::Killed] {
        let (bytes, page) = stored(12, 9, 30, end).await;
        let places = (0..SECTOR).flat_map(|at| (0..8).map(move |bit| (at, bit)));
        assert_eq!(turn_each(&bytes, &page, places), SECTOR * 8, "{end:?}");
    }
}

/// A small store, every byte of it.
async fn turn_every_byte(end: End) {
    let (bytes, page) = stored(12, 9, 30, end).await;
    let noticed = turn_each(&bytes, &page, (0..bytes.len()).map(|at| (at, at % 8)));
    assert!(noticed > 2_000, "{noticed} of {} turned bytes were noticed", bytes.len());
}

#[tokio::test]
async fn every_turned_byte_of_a_closed_store_is_noticed_or_harmless_and_never_served() {
    turn_every_byte(End::Closed).await;
}

#[tokio::test]
async fn every_turned_byte_of_a_killed_store_is_noticed_or_harmless_and_never_served() {
    turn_every_byte(End::Killed).await;
}

#[tokio::test]
async fn a_turned_bit_of_a_store_with_inner_pages_is_noticed_or_harmless_and_never_served() {
    for end in [End::Closed, End::Killed] {
        let (bytes, page) = stored(90, 70, 300, end).await;
        // Everything but padding and the insides of values, which are all alike.
        let is_structure = |at: &usize| !matches!(bytes[*at], 0 | b'v');
        let spread = (0..bytes.len()).filter(is_structure).step_by(31);
        // A turned key in an inner page would hide what is behind it.
        let keys = (0..bytes.len()).filter(|at| bytes[*at] == b'k').step_by(5);
        let noticed = turn_each(&bytes, &page, spread.chain(keys).map(|at| (at, at % 8)));
        assert!(noticed > 50, "{noticed} were noticed");
    }
}

#[tokio::test]
async fn a_turned_bit_under_an_open_store_is_noticed_or_harmless() {
    let (bytes, page) = stored(90, 70, 300, End::Closed).await;
    for at in (0..bytes.len()).step_by(bytes.len() / 97) {
        let disk = MemoryDisk::new();
        disk.open(FILE, true).unwrap().write_at(0, &bytes).unwrap();
        let kv = open(&disk).await.unwrap();
        disk.flip(FILE, u64::try_from(at).unwrap(), 5);
        match kv.range(all()).await {
            Ok(read) => assert_eq!(read.entries, page.entries, "byte {at}"),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Damaged, "byte {at}: {error}"),
        }
        kv.close().await;
    }
}

#[tokio::test]
async fn a_file_of_before_there_were_seals_opens_and_is_sealed_by_its_next_commit() {
    let (mut bytes, page) = stored(12, 9, 30, End::Closed).await;
    bytes[HEADER..SECTOR].fill(0);
    assert_eq!(seen(bytes.clone()).unwrap(), page);
    let disk = ScratchDisk::with(FILE, bytes);
    let kv = EmbeddedKv::open(Arc::new(disk.clone())).await.unwrap();
    kv.commit(put("k", 1)).await.unwrap();
    disk.die();
    assert_ne!(disk.bytes(FILE)[HEADER..SECTOR], [0; SECTOR - HEADER]);
}
