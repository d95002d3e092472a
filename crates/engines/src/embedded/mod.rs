//! The embedded engines: one data folder of one process, nothing to install.
//!
//! ```text
//! FORMAT                        what the folder is, and its format version
//! lock                          held while a process has the folder open
//! state.redb                    the keys and their values, in one file
//! log-<first sequence>.seg      the log: segments of groups of records
//! log-next.tmp                  the next segment, being written with zeroes ahead of need
//! FORMAT.tmp, state.redb.new    what a process that died made by half; the next one makes it anew
//! ```
//!
//! All but the lock go through a [`Disk`](settee_core::port::Disk): [`FileDisk`] in production, a simulated one in tests.

mod file_disk;
mod folder;
#[cfg(test)]
mod folders;
mod kv;
mod log;
#[cfg(test)]
mod scratch;

pub use file_disk::FileDisk;
pub use folder::Folder;
pub use kv::EmbeddedKv;
pub use log::{BATCH_MAX_BYTES, BATCH_MAX_RECORDS, EmbeddedLog, LogOptions, RECORD_MAX_BYTES, TornTail};
