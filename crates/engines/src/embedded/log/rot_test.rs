//! The embedded log on a disk that rots: at every single byte it is refused with its place, cut as a torn tail, or harmless; and
//! never served.

use super::log_test::{ALL, one, open, payloads, small, stream};
use super::*;
use crate::embedded::scratch::ScratchDisk;
use crate::memory::MemoryDisk;

const NAMES: [&str; 2] = ["a", "b"];

/// How the process that wrote a log ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// An empty group seals the last one.
    Closed,
    /// The last group is the last record.
    Killed,
}

/// A log of several segments.
async fn small_log(end: End) -> ScratchDisk {
    let disk = ScratchDisk::default();
    let log = EmbeddedLog::open(Arc::new(disk.clone()), small()).await.unwrap();
    for number in 0..9 {
        log.append(one(NAMES[number % 2], format!("{number}{}", "x".repeat(600)))).await.unwrap();
    }
    log.trim(&stream("b"), Offset(1)).await.unwrap();
    log.append(one("a", "the last")).await.unwrap();
    if end == End::Killed {
        disk.die();
    }
    log.close().await;
    disk.revived()
}

/// What a process sees of a log.
#[derive(Debug, PartialEq)]
struct Seen {
    records: Vec<String>,
    torn: Option<TornTail>,
}

async fn seen(disk: &ScratchDisk) -> Result<Seen, StoreError> {
    let log = EmbeddedLog::open(Arc::new(disk.clone()), small()).await?;
    let mut records = Vec::new();
    for name in NAMES {
        let read = log.read(&stream(name), Offset(0), ALL).await?;
        records.extend(read.into_iter().map(|record| String::from_utf8(record.payload.to_vec()).unwrap()));
    }
    disk.die();
    Ok(Seen { records, torn: log.torn_tail().cloned() })
}

/// What must come of one byte that turns.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// The log does not open, and names this position.
    Refused(u64),
    /// The last group is cut off, and this position reported.
    Cut(u64),
    /// Nobody reads it.
    Unread,
}

/// The fate of each byte of a segment file.
fn fates(file: &[u8], is_last: bool) -> Vec<Fate> {
    let mut fates = vec![Fate::Refused(0); layout::SEGMENT_HEADER];
    fates.resize(512, Fate::Unread);
    while let Some(header) = layout::GroupHeader::decode(&file[fates.len()..]) {
        let begin = fates.len();
        fates.resize(begin + layout::GROUP_HEADER + header.body, Fate::Refused(begin as u64));
    }
    let end = fates.len() as u64;
    if is_last {
        let last = fates[fates.len() - 1];
        let Fate::Refused(begin) = last else { panic!("the last segment holds a group") };
        fates.iter_mut().filter(|fate| **fate == last).for_each(|fate| *fate = Fate::Cut(begin));
    }
    fates.resize(file.len(), if is_last { Fate::Cut(end) } else { Fate::Unread });
    fates
}

/// Turns one bit of every byte of every segment, alone.
async fn turn_every_byte(end: End) {
    let disk = small_log(end).await;
    let whole = seen(&disk.revived()).await.unwrap();
    assert_eq!((whole.records.len(), &whole.torn), (9, &None));
    let firsts = segment::firsts(&disk.list().unwrap());
    assert!(firsts.len() > 2, "the log has several segments");
    for first in &firsts {
        let name = segment::name_of(*first);
        let is_last = Some(first) == firsts.last();
        for (position, fate) in (0..).zip(fates(&disk.bytes(&name), is_last)) {
            let turned = disk.revived();
            turned.turn(&name, position, position as u32 % 8);
            let when = format!("{end:?}, {name}, position {position}, {fate:?}");
            check(fate, &name, seen(&turned).await, &whole, &when);
        }
    }
    // The last group of a killed log is a record, and the whole file behind it is zeroes: both were turned.
    let last = fates(&disk.bytes(&segment::name_of(*firsts.last().unwrap())), true);
    assert!(last.iter().filter(|fate| matches!(fate, Fate::Cut(_))).count() > 512);
}

fn check(fate: Fate, name: &str, found: Result<Seen, StoreError>, whole: &Seen, when: &str) {
    match (fate, found) {
        (Fate::Refused(place), Err(error)) => {
            assert_eq!(error.kind(), StoreErrorKind::Damaged, "{when}: {error}");
            let place = format!("file {name}, position {place}:");
            assert!(error.to_string().contains(&place), "{when}: {error}");
        }
        (Fate::Cut(position), Ok(found)) => {
            let torn = found.torn.unwrap_or_else(|| panic!("{when}: it was cut in silence"));
            assert_eq!((torn.file.as_str(), torn.position), (name, position), "{when}");
            // An append to "a" is the last record of all.
            let kept = whole.records.iter().filter(|record| found.records.contains(record)).count();
            assert!(found.records.len() == kept && kept + 1 >= whole.records.len(), "{when}: {:?}", found.records);
        }
        (Fate::Unread, Ok(found)) => assert_eq!(&found, whole, "{when}"),
        (_, found) => panic!("{when}: {found:?}"),
    }
}

#[tokio::test]
async fn every_turned_byte_of_a_closed_log_is_refused_with_its_place_or_harmless() {
    turn_every_byte(End::Closed).await;
}

#[tokio::test]
async fn every_turned_byte_of_a_killed_log_is_refused_with_its_place_or_cut_with_its_last_group() {
    turn_every_byte(End::Killed).await;
}

#[tokio::test]
async fn rot_under_a_running_log_is_reported_with_its_place_and_not_served() {
    let disk = MemoryDisk::new();
    let log = open(&disk).await.unwrap();
    log.append(one("s", "x".repeat(100))).await.unwrap();
    let file = segment::name_of(1);
    for position in 512..512 + 56 + 32 + 40 + 32 + 104 {
        disk.flip(&file, position, 3);
        if let Err(error) = log.read(&stream("s"), Offset(0), ALL).await {
            assert_eq!(error.kind(), StoreErrorKind::Damaged);
            assert!(error.to_string().contains(&file), "{error}");
        } else {
            let found = payloads(&log, "s").await;
            assert_eq!(found, ["x".repeat(100)], "position {position}");
        }
        disk.flip(&file, position, 3);
    }
}

#[tokio::test]
async fn a_missing_segment_is_refused_unless_it_is_the_last() {
    let disk = small_log(End::Closed).await;
    let firsts = segment::firsts(&disk.list().unwrap());
    for first in &firsts[..firsts.len() - 1] {
        let disk = disk.revived();
        disk.remove(&segment::name_of(*first)).unwrap();
        assert_eq!(seen(&disk).await.unwrap_err().kind(), StoreErrorKind::Damaged, "segment {first}");
    }
}

#[tokio::test]
async fn a_shortened_segment_is_refused() {
    let disk = small_log(End::Closed).await;
    for first in segment::firsts(&disk.list().unwrap()) {
        let file = disk.open(&segment::name_of(first), false).unwrap();
        let length = file.len().unwrap();
        for shorter in [0, 100, 512, length - 512, length - 1] {
            let disk = small_log(End::Closed).await;
            let file = disk.open(&segment::name_of(first), false).unwrap();
            file.set_len(shorter).unwrap();
            assert_eq!(seen(&disk).await.unwrap_err().kind(), StoreErrorKind::Damaged, "segment {first} cut to {shorter}");
        }
    }
}
