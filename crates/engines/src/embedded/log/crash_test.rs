//! The embedded log through power cuts and kills, on the simulated disk: at every single change.

use std::collections::BTreeMap;

use futures::FutureExt;

use super::log_test::{one, open, payloads, stream};
use super::*;
use crate::memory::MemoryDisk;

/// A small generator, so that a failing round can be named and repeated.
struct Coins(u64);

impl Coins {
    fn toss(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 63 == 1
    }
}

/// What a client of the log knows after it died.
#[derive(Default)]
struct Known {
    called: BTreeMap<&'static str, Vec<String>>,
    acknowledged: BTreeMap<&'static str, usize>,
}

const NAMES: [&str; 2] = ["a", "b"];

/// Appends in rounds of several at once, over several segments, with a trim between; stops at the first failure.
async fn work(log: &EmbeddedLog, known: &mut Known) -> Result<(), StoreError> {
    for round in 0..10 {
        let mut calls = Vec::new();
        for number in 0..4 {
            let name = NAMES[number % 2];
            let payload = format!("{name}-{round}-{number}-{}", "x".repeat(number * 330));
            known.called.entry(name).or_default().push(payload.clone());
            calls.push((name, log.append(one(name, payload))));
        }
        for (name, call) in calls {
            call.await?;
            *known.acknowledged.entry(name).or_default() += 1;
        }
        if round == 6 {
            log.trim(&stream("b"), Offset(3)).await?;
        }
    }
    Ok(())
}

async fn content(log: &EmbeddedLog, name: &str) -> (u64, Vec<String>) {
    let records = log.read(&stream(name), Offset(0), super::log_test::ALL).await.unwrap();
    let first = records.first().map_or(0, |record| record.offset.0);
    (first, records.into_iter().map(|record| String::from_utf8(record.payload.to_vec()).unwrap()).collect())
}

/// Everything acknowledged is there, in order, and nothing that was never called.
async fn check(log: &EmbeddedLog, known: &Known, when: &str) {
    for name in NAMES {
        let (first, found) = content(log, name).await;
        let called = known.called.get(name).cloned().unwrap_or_default();
        let acknowledged = known.acknowledged.get(name).copied().unwrap_or_default();
        let end = first as usize + found.len();
        assert!(first == 0 || (name == "b" && first == 3), "{when}: stream {name} begins at {first}");
        assert!(
            end >= acknowledged || found.is_empty() && acknowledged == 0,
            "{when}: {name} ends at {end} of {acknowledged} acknowledged"
        );
        assert_eq!(found, called[first as usize..end], "{when}: stream {name}");
    }
}

/// Dies after `changes` changes; `true` if the work got to its end before.
async fn die_and_reopen(changes: u64, end: impl FnOnce(&MemoryDisk), when: &str) -> bool {
    let disk = MemoryDisk::new();
    let mut known = Known::default();
    disk.die_after(changes);
    let mut is_done = false;
    if let Ok(log) = open(&disk).await {
        is_done = work(&log, &mut known).await.is_ok();
        log.close().await;
    }
    end(&disk);
    for life in ["second", "third"] {
        let log = open(&disk).await.unwrap_or_else(|error| panic!("{when}, {life} life: {error}"));
        check(&log, &known, when).await;
        let tail = log.tail(&stream("a")).await.unwrap();
        assert_eq!(log.append(one("a", "late")).await.unwrap(), Appended::At(tail), "{when}");
        known.called.insert("a", content(&log, "a").await.1);
        known.acknowledged.insert("a", tail.0 as usize + 1);
        log.close().await;
    }
    is_done
}

#[tokio::test]
async fn a_power_cut_at_any_change_never_loses_an_acknowledged_record() {
    let mut changes = 0;
    let mut is_done = false;
    while !is_done {
        is_done = true;
        for seed in 0..6u64 {
            let mut coins = Coins(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + changes);
            let keep = |disk: &MemoryDisk| match seed {
                0 => disk.crash(|| false),
                1 => disk.crash(|| true),
                _ => disk.crash(|| coins.toss()),
            };
            is_done &= die_and_reopen(changes, keep, &format!("cut after {changes} changes, seed {seed}")).await;
        }
        changes += 1;
    }
    assert!(changes > 60, "only {changes} changes were cut at");
}

#[tokio::test]
async fn a_kill_at_any_change_never_loses_an_acknowledged_record() {
    let mut changes = 0;
    while !die_and_reopen(changes, MemoryDisk::kill, &format!("killed after {changes} changes")).await {
        changes += 1;
    }
}

#[tokio::test]
async fn any_torn_part_of_an_unacknowledged_group_is_cut_and_not_refused() {
    for kept in 0..64u32 {
        let disk = MemoryDisk::new();
        let log = open(&disk).await.unwrap();
        log.append(one("s", "first")).await.unwrap();
        let position = end_of_groups(&disk);
        log.close().await;
        // The seal is cut off too, as if the process had died before it.
        let file = segment_file(&disk);
        file.write_at(position, &[0; 512]).unwrap();
        let torn = group_of(&disk, position, 6 * 512);
        for sector in (0..6u64).filter(|sector| kept & (1 << sector) != 0) {
            let begin = sector as usize * 512;
            file.write_at(position + sector * 512, &torn[begin..begin + 512]).unwrap();
        }
        file.sync().unwrap();
        let log = open(&disk).await.unwrap_or_else(|error| panic!("sectors {kept:06b}: {error}"));
        let is_whole = kept == 63;
        let reported = log.torn_tail().map(|torn| (torn.position, torn.bytes));
        let last = (0..6u64).rfind(|sector| kept & (1 << sector) != 0).map_or(0, |sector| (sector + 1) * 512);
        assert_eq!(reported, (!is_whole && kept != 0).then_some((position, last)), "sectors {kept:06b}");
        let found = log.read(&stream("s"), Offset(0), super::log_test::ALL).await.unwrap();
        let mut left = [1; 6 * 512];
        segment_file(&disk).read_at(position, &mut left).unwrap();
        assert_eq!(left == [0; 6 * 512], !is_whole, "sectors {kept:06b}: nothing of a torn group stays");
        assert_eq!(found.len(), if is_whole { 2 } else { 1 }, "sectors {kept:06b}");
        log.append(one("s", "next")).await.unwrap();
    }
}

fn segment_file(disk: &MemoryDisk) -> Arc<dyn settee_core::port::DiskFile> {
    disk.open(&segment::name_of(1), false).unwrap()
}

/// Where the next group goes, in the first segment.
fn end_of_groups(disk: &MemoryDisk) -> u64 {
    let file = segment_file(disk);
    let mut sector = [0; 512];
    (1..)
        .map(|number| number * 512)
        .find(|position| file.read_at(*position, &mut sector).map(|()| segment::is_zero(&sector)).unwrap())
        .unwrap()
}

/// A good second group of so many bytes: its payload holds a copy of the first group, as a backup of the log would.
fn group_of(disk: &MemoryDisk, position: u64, length: usize) -> Vec<u8> {
    let file = segment_file(disk);
    let mut window = segment::Window::new(&*file).unwrap();
    let header = layout::SegmentHeader::decode(&window.get(0, 512).unwrap().unwrap()).unwrap();
    let first = window.get(512, 512).unwrap().unwrap();
    let before = layout::GroupHeader::decode(&first).unwrap();
    let mut payload = vec![1; 512 - 56 - 32 - 4];
    payload.extend(first);
    payload.resize(length - 56 - 32 - 4, 1);
    let place = layout::Place { log: header.log, segment: 1, position, sequence: 2, previous: before.crc };
    let entries = [entry::Entry::Records { stream: 0, first: 1, payloads: vec![payload.into()] }];
    let (group, _) = layout::encode_group(&entries, &place);
    assert_eq!(group.len(), length);
    group.to_vec()
}

#[tokio::test]
async fn an_append_whose_caller_went_away_still_keeps_its_place() {
    let log = open(&MemoryDisk::new()).await.unwrap();
    let mut dropped = log.append(one("s", "a"));
    assert!((&mut dropped).now_or_never().is_none());
    drop(dropped);
    assert_eq!(log.append(one("s", "b")).await.unwrap(), Appended::At(Offset(1)));
    assert_eq!(payloads(&log, "s").await, ["a", "b"]);
}
