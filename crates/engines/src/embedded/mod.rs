//! The embedded engines: one data folder of one process, nothing to install.
//!
//! ```text
//! FORMAT                        what the folder is, and its format version
//! lock                          held while a process has the folder open
//! log-<first sequence>.seg      the log: segments of groups of records
//! log-next.tmp                  the next segment, being written with zeroes ahead of need
//! ```
//!
//! All of them go through a [`Disk`](settee_core::port::Disk): [`FileDisk`] in production, a simulated one in tests.

mod file_disk;
pub mod folder;
mod kv;
mod log;
#[cfg(test)]
mod scratch;

pub use file_disk::FileDisk;
pub use folder::Folder;
pub use kv::*;
pub use log::{BATCH_MAX_BYTES, BATCH_MAX_RECORDS, EmbeddedLog, LogOptions, RECORD_MAX_BYTES, TornTail};
