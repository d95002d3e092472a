//! The simulated disk must be at least as cruel as a real one, and never more generous.

use std::io::ErrorKind;
use std::sync::Arc;

use settee_core::port::{Disk, DiskFile};

use super::{DiskFault, DiskOperation, MemoryDisk};

fn file(disk: &MemoryDisk) -> Arc<dyn DiskFile> {
    let file = disk.open("a", true).unwrap();
    disk.sync_folder().unwrap();
    file
}

fn content(disk: &MemoryDisk) -> Vec<u8> {
    let file = disk.open("a", false).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn it_keeps_the_contract_of_a_disk() {
    settee_core::testing::disk::contract(|| Arc::new(MemoryDisk::new()));
}

#[test]
fn a_crash_keeps_any_part_of_what_was_not_synced_sector_by_sector() {
    let disk = MemoryDisk::new();
    let file = file(&disk);
    file.write_at(0, &[1; 1_536]).unwrap();
    file.sync().unwrap();
    file.write_at(0, &[2; 1_536]).unwrap();
    let mut keep = [false, true, false].into_iter();
    disk.crash(|| keep.next().unwrap());
    assert_eq!(content(&disk), [[1; 512], [2; 512], [1; 512]].concat());
    assert_eq!((disk.counters().writes_kept, disk.counters().writes_lost), (1, 2));
}

#[test]
fn what_a_failed_sync_left_is_read_but_no_later_sync_makes_it_durable() {
    let disk = MemoryDisk::new();
    let file = file(&disk);
    file.write_at(0, b"lost").unwrap();
    disk.fail_next_sync();
    assert!(file.sync().is_err());
    file.sync().unwrap();
    assert_eq!(content(&disk), b"lost");
    disk.crash(|| true);
    assert!(content(&disk).is_empty());
}

#[test]
fn names_survive_a_crash_only_after_the_folder_was_synced() {
    let disk = MemoryDisk::new();
    file(&disk);
    disk.rename("a", "b").unwrap();
    disk.open("c", true).unwrap();
    disk.crash(|| false);
    assert_eq!(disk.list().unwrap(), ["a"]);
    disk.rename("a", "b").unwrap();
    disk.sync_folder().unwrap();
    disk.remove("b").unwrap();
    disk.crash(|| false);
    assert_eq!(disk.list().unwrap(), ["b"]);
}

#[test]
fn a_full_disk_cuts_the_write_short_and_takes_writes_again_when_there_is_room() {
    let disk = MemoryDisk::new();
    let file = file(&disk);
    disk.set_limit(6);
    assert_eq!(file.write_at(0, b"12345678").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(content(&disk), b"123456");
    assert_eq!(file.set_len(7).unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_at(0, b"abc").unwrap();
    disk.set_limit(8);
    file.write_at(6, b"78").unwrap();
    assert_eq!(content(&disk), b"abc45678");
}

#[test]
fn a_dead_process_lets_go_of_its_lock_and_can_no_longer_write() {
    let disk = MemoryDisk::new();
    let file = file(&disk);
    let old = disk.lock().unwrap();
    assert_eq!(disk.lock().err().unwrap().kind(), ErrorKind::WouldBlock);
    disk.kill();
    let new = disk.lock().unwrap();
    drop(old);
    assert!(disk.lock().is_err(), "the dead process's lock is not the new one's");
    assert!(file.write_at(0, b"from the grave").is_err());
    drop(new);
    assert!(disk.lock().is_ok());
}

#[test]
fn a_dying_machine_does_exactly_so_many_more_changes() {
    let disk = MemoryDisk::new();
    let file = file(&disk);
    disk.die_after(1);
    file.write_at(0, b"x").unwrap();
    assert!(file.sync().is_err());
    assert!(file.len().is_err());
    disk.crash(|| true);
    assert_eq!(content(&disk), b"x");
}

#[test]
fn faults_replace_the_operation_they_name() {
    let disk = MemoryDisk::new();
    let file = file(&disk);
    disk.set_faults(Arc::new(|operation| match operation {
        DiskOperation::Write => DiskFault::Fail(ErrorKind::StorageFull),
        _ => DiskFault::None,
    }));
    assert_eq!(file.write_at(0, b"x").unwrap_err().kind(), ErrorKind::StorageFull);
    assert!(file.is_empty().unwrap());
    assert_eq!(disk.counters().failed, 1);
}

#[test]
fn a_flipped_bit_is_seen_now_and_after_a_crash() {
    let disk = MemoryDisk::new();
    let file = file(&disk);
    file.write_at(0, &[0]).unwrap();
    file.sync().unwrap();
    assert!(disk.flip("a", 0, 3));
    assert!(!disk.flip("a", 1, 3));
    assert_eq!(content(&disk), [8]);
    disk.crash(|| false);
    assert_eq!(content(&disk), [8]);
}
