//! The contract of [`Disk`]: what the files of an operating system and the simulated ones both do, as one suite.
//!
//! Left out: what a crash keeps, full disks and failing syncs, which only the simulated disk can show at will.

use std::io::ErrorKind;
use std::sync::Arc;

use crate::port::{Disk, DiskFile};

/// Runs every promise of [`Disk`] against fresh, empty folders that `make` gives.
///
/// # Panics
/// When the disk breaks a promise; the message names it.
pub fn contract(make: impl Fn() -> Arc<dyn Disk>) {
    a_file_is_made_only_where_that_is_asked_for(&*make());
    names_are_listed_in_order_as_they_are_now(&*make());
    a_rename_replaces_and_open_files_stay_what_they_are(&*make());
    what_is_written_is_read_and_holes_are_zeroes(&*make());
    a_read_beyond_the_end_is_an_error(&*make());
    a_length_cuts_and_grows(&*make());
    the_folder_has_one_holder_until_it_lets_go(&*make());
}

fn open(disk: &dyn Disk, name: &str) -> Arc<dyn DiskFile> {
    disk.open(name, true).expect("a file can be made")
}

fn kind<T>(result: std::io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn content(file: &dyn DiskFile) -> Vec<u8> {
    let length = file.len().expect("a file has a length");
    let mut bytes = vec![b'?'; usize::try_from(length).expect("a small file")];
    file.read_at(0, &mut bytes).expect("all of a file can be read");
    bytes
}

fn a_file_is_made_only_where_that_is_asked_for(disk: &dyn Disk) {
    assert_eq!(kind(disk.open("a", false)), Some(ErrorKind::NotFound), "opening without `create` makes nothing");
    assert!(open(disk, "a").is_empty().expect("a length"), "a new file has no bytes");
    disk.open("a", false).expect("it is there now").write_at(0, b"x").expect("it can be written");
    assert_eq!(content(&*open(disk, "a")), b"x", "`create` leaves a file that is there as it is");
}

fn names_are_listed_in_order_as_they_are_now(disk: &dyn Disk) {
    let _held = disk.lock().expect("nobody holds it");
    for name in ["c", "a", "b"] {
        open(disk, name);
    }
    disk.remove("a").expect("it is there");
    disk.rename("b", "d").expect("it is there");
    disk.sync_folder().expect("a folder can be synced");
    assert_eq!(disk.list().expect("a list"), ["c", "d"], "the lock is not listed");
    assert_eq!(kind(disk.remove("a")), Some(ErrorKind::NotFound), "what is gone cannot be removed");
    assert_eq!(kind(disk.rename("a", "e")), Some(ErrorKind::NotFound), "what is gone cannot be renamed");
}

fn a_rename_replaces_and_open_files_stay_what_they_are(disk: &dyn Disk) {
    let (new, old) = (open(disk, "new"), open(disk, "current"));
    new.write_at(0, b"new").expect("a write");
    old.write_at(0, b"old").expect("a write");
    disk.rename("new", "current").expect("a rename replaces");
    assert_eq!(disk.list().expect("a list"), ["current"]);
    assert_eq!(content(&*open(disk, "current")), b"new");
    new.write_at(3, b"er").expect("a write");
    assert_eq!(content(&*open(disk, "current")), b"newer", "an open file keeps its content under its new name");
    assert_eq!(content(&*old), b"old", "a file that was replaced is read as long as it is open");
}

fn what_is_written_is_read_and_holes_are_zeroes(disk: &dyn Disk) {
    let file = open(disk, "a");
    file.write_at(3, b"def").expect("a write");
    file.write_at(4, b"E").expect("a write");
    file.sync().expect("a sync");
    assert_eq!(content(&*file), b"\0\0\0dEf");
}

fn a_read_beyond_the_end_is_an_error(disk: &dyn Disk) {
    let file = open(disk, "a");
    file.write_at(0, b"abc").expect("a write");
    assert_eq!(kind(file.read_at(1, &mut [0; 3])), Some(ErrorKind::UnexpectedEof), "a part is not enough");
    assert_eq!(kind(file.read_at(9, &mut [0; 1])), Some(ErrorKind::UnexpectedEof));
}

fn a_length_cuts_and_grows(disk: &dyn Disk) {
    let file = open(disk, "a");
    file.write_at(0, b"abc").expect("a write");
    file.set_len(1).expect("it can be cut");
    file.set_len(3).expect("it can grow");
    assert_eq!(content(&*file), b"a\0\0", "what was cut off does not come back");
}

fn the_folder_has_one_holder_until_it_lets_go(disk: &dyn Disk) {
    let held = disk.lock().expect("nobody holds it");
    assert_eq!(kind(disk.lock()), Some(ErrorKind::WouldBlock), "two would write over each other");
    drop(held);
    disk.lock().expect("it was let go");
}
