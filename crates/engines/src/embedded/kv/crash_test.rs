//! Power cuts: whatever the disk was doing, what was acknowledged is there, and nothing is there by half.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::join_all;
use settee_core::id::Revision;
use settee_core::port::{Commit, Compare, Disk, Kv, Outcome, Range, StoreError, Write};

use super::EmbeddedKv;
use crate::memory::{DiskFault, DiskOperation, MemoryDisk};

/// Rounds of [`WRITERS`] concurrent commits: enough that pages are freed and used again.
const ROUNDS: u64 = 4;
const WRITERS: u64 = 4;
/// Larger than a sector, so that a value can be torn.
const VALUE: usize = 700;

/// How a crash treats what was waiting.
#[derive(Clone, Copy, Debug)]
enum Keep {
    Nothing,
    Everything,
    Some(u64),
}

impl Keep {
    const ALL: [Self; 4] = [Self::Nothing, Self::Everything, Self::Some(1), Self::Some(2)];

    fn crash(self, disk: &MemoryDisk, salt: u64) {
        let mut state = salt;
        disk.crash(|| match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Some(seed) => {
                state = state.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
                state.is_multiple_of(2)
            }
        });
    }
}

async fn open(disk: &MemoryDisk) -> Result<EmbeddedKv, StoreError> {
    EmbeddedKv::open(Arc::new(disk.clone())).await
}

fn names(round: u64, writer: u64) -> [Bytes; 3] {
    [format!("a/{round}/{writer}").into(), format!("b/{round}/{writer}").into(), format!("last/{writer}").into()]
}

fn value(round: u64, writer: u64) -> Bytes {
    vec![u8::try_from(1 + round * WRITERS + writer).unwrap(); VALUE].into()
}

/// Three keys at once: two that stay and one that the next round overwrites.
fn commit(round: u64, writer: u64) -> Commit {
    let names = names(round, writer);
    let compares = vec![Compare::Absent(names[0].clone())];
    Commit { compares, writes: names.into_iter().map(|name| Write::Put(name, value(round, writer))).collect() }
}

struct Acknowledged {
    round: u64,
    writer: u64,
    revision: Revision,
}

/// Runs until the end or the first failure; returns what was acknowledged.
async fn workload(disk: &MemoryDisk) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    let Ok(kv) = open(disk).await else { return acknowledged };
    for round in 0..ROUNDS {
        let answers = join_all((0..WRITERS).map(|writer| kv.commit(commit(round, writer)))).await;
        for (writer, answer) in (0..).zip(answers) {
            if let Ok(Outcome::Committed(revision)) = answer {
                acknowledged.push(Acknowledged { round, writer, revision });
            }
        }
    }
    kv.close().await;
    acknowledged
}

async fn check(kv: &EmbeddedKv, acknowledged: &[Acknowledged], case: &str) {
    for (round, writer) in (0..ROUNDS).flat_map(|round| (0..WRITERS).map(move |writer| (round, writer))) {
        let [a, b, _] = names(round, writer);
        let (a, b) = (kv.get(&a).await.unwrap(), kv.get(&b).await.unwrap());
        assert_eq!(a, b, "{case}: commit {round}/{writer} is there by half");
        let known = acknowledged.iter().find(|one| (one.round, one.writer) == (round, writer));
        if let Some(known) = known {
            let stored = a.unwrap_or_else(|| panic!("{case}: acknowledged commit {round}/{writer} is lost"));
            assert_eq!((stored.revision, stored.value), (known.revision, value(round, writer)), "{case}");
        }
    }
    for last in
        acknowledged.iter().filter(|one| acknowledged.iter().all(|two| two.writer != one.writer || two.round <= one.round))
    {
        let stored = kv.get(&names(0, last.writer)[2]).await.unwrap().unwrap();
        assert!(stored.revision >= last.revision, "{case}: an acknowledged value was replaced by an older one");
    }
    let highest = acknowledged.iter().map(|one| one.revision).max().unwrap_or_default();
    let page = kv.range(Range::prefix(b"a/", 1)).await.unwrap();
    assert!(page.revision >= highest, "{case}: revisions went back");
    let next = kv.commit(Commit { compares: vec![], writes: vec![Write::Put("next".into(), "".into())] }).await;
    assert!(matches!(next, Ok(Outcome::Committed(revision)) if revision > highest), "{case}: {next:?}");
}

/// How many changes the workload makes to a disk that does not crash.
async fn changes() -> u64 {
    let disk = MemoryDisk::new();
    assert_eq!(workload(&disk).await.len(), usize::try_from(ROUNDS * WRITERS).unwrap());
    disk.counters().changes
}

#[tokio::test]
async fn a_crash_at_any_disk_operation_never_loses_or_halves_a_commit() {
    let (changes, mut lost) = (changes().await, 0);
    for at in 0..=changes {
        for keep in Keep::ALL {
            let disk = MemoryDisk::new();
            disk.die_after(at);
            let acknowledged = workload(&disk).await;
            keep.crash(&disk, at);
            let case = format!("after {at} of {changes} changes, keeping {keep:?}");
            let kv = open(&disk).await.unwrap_or_else(|error| panic!("{case}: {error}"));
            check(&kv, &acknowledged, &case).await;
            kv.close().await;
            lost += disk.counters().writes_lost;
        }
    }
    assert!(lost > 1_000, "the crashes had something to lose");
}

#[tokio::test]
async fn a_crash_while_recovering_from_a_crash_loses_nothing_either() {
    let changes = changes().await;
    for at in (1..=changes).step_by(7) {
        for again in 0..12 {
            let disk = MemoryDisk::new();
            disk.die_after(at);
            let acknowledged = workload(&disk).await;
            Keep::Some(1).crash(&disk, at);
            disk.die_after(again);
            drop(open(&disk).await);
            Keep::Some(2).crash(&disk, again);
            let case = format!("after {at} changes and {again} of the recovery");
            let kv = open(&disk).await.unwrap_or_else(|error| panic!("{case}: {error}"));
            check(&kv, &acknowledged, &case).await;
            kv.close().await;
        }
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_and_a_stale_unfinished_file_is_no_obstacle() {
    let disk = MemoryDisk::new();
    disk.open("state.redb.new", true).unwrap().write_at(0, b"half made").unwrap();
    let acknowledged = workload(&disk).await;
    disk.kill();
    let kv = open(&disk).await.unwrap();
    check(&kv, &acknowledged, "killed").await;
    assert_eq!(disk.list().unwrap(), ["state.redb"]);
}

/// The page cache still shows what the failed sync did not write: the next process must not build on that.
#[tokio::test]
async fn a_failed_sync_a_restart_and_a_power_cut_lose_nothing() {
    let whole = MemoryDisk::new();
    workload(&whole).await;
    let syncs = whole.counters().syncs;
    for failing in 0..syncs {
        for at in 0..40 {
            let disk = MemoryDisk::new();
            fail_sync(&disk, failing);
            let acknowledged = workload(&disk).await;
            disk.kill();
            disk.set_faults(Arc::new(|_| DiskFault::None));
            disk.die_after(at);
            drop(open(&disk).await);
            let case = format!("sync {failing} of {syncs} failed, power cut {at} changes after the restart");
            Keep::Some(1).crash(&disk, at);
            let kv = open(&disk).await.unwrap_or_else(|error| panic!("{case}: {error}"));
            check(&kv, &acknowledged, &case).await;
            kv.close().await;
        }
    }
}

fn fail_sync(disk: &MemoryDisk, number: u64) {
    let left = AtomicU64::new(number);
    disk.set_faults(Arc::new(move |operation| match operation {
        DiskOperation::Sync if left.fetch_sub(1, Ordering::Relaxed) == 0 => DiskFault::Fail(io::ErrorKind::Other),
        _ => DiskFault::None,
    }));
}

#[tokio::test]
async fn a_process_killed_while_making_the_file_does_not_cost_a_later_one_its_commits() {
    for at in 0..30 {
        let disk = MemoryDisk::new();
        disk.die_after(at);
        drop(open(&disk).await);
        disk.kill();
        let acknowledged = workload(&disk).await;
        disk.crash(|| false);
        let case = format!("killed after {at} changes");
        check(&open(&disk).await.unwrap_or_else(|error| panic!("{case}: {error}")), &acknowledged, &case).await;
    }
}
