//! What can go wrong on a simulated disk, and the count of what did.

use std::io;

/// One call on a simulated disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// Reading bytes, a length or names.
    Read,
    /// Opening a file that may have to be made.
    Create,
    /// Writing bytes.
    Write,
    /// Cutting or growing a file.
    SetLength,
    /// Making a file durable.
    Sync,
    /// Removing a file.
    Remove,
    /// Renaming a file.
    Rename,
    /// Making names durable.
    SyncFolder,
}

impl DiskOperation {
    /// Whether it changes what a disk holds, now or after a power cut.
    pub(super) fn changes(self) -> bool {
        self != Self::Read
    }
}

/// What happens instead of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// Nothing: the operation takes place.
    None,
    /// The operation fails with this kind and has no effect; a failed sync loses what was waiting.
    Fail(io::ErrorKind),
    /// The machine dies here: nothing has an effect until [`MemoryDisk::crash`](super::MemoryDisk::crash).
    Die,
}

/// Decides, usually by a seeded source, what goes wrong. Asked once before every operation, in order.
pub trait DiskFaults: Send + Sync {
    /// What happens instead of `operation`.
    fn next(&self, operation: DiskOperation) -> DiskFault;
}

impl<F: Fn(DiskOperation) -> DiskFault + Send + Sync> DiskFaults for F {
    fn next(&self, operation: DiskOperation) -> DiskFault {
        self(operation)
    }
}

/// What took effect on a simulated disk since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// Reads of bytes, lengths and names.
    pub reads: u64,
    /// Changes: writes, lengths, syncs and names. What [`MemoryDisk::die_after`](super::MemoryDisk::die_after) counts.
    pub changes: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Writes and growths refused for want of room.
    pub full: u64,
    /// Operations that an injected fault replaced.
    pub failed: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// Power cuts.
    pub crashes: u64,
    /// Waiting changes that a power cut kept.
    pub writes_kept: u64,
    /// Waiting changes that a power cut lost.
    pub writes_lost: u64,
    /// Bits that were turned.
    pub flips: u64,
}

impl DiskCounters {
    pub(super) fn count(&mut self, operation: DiskOperation) {
        self.reads += u64::from(operation == DiskOperation::Read);
        self.changes += u64::from(operation.changes());
        self.syncs += u64::from(operation == DiskOperation::Sync);
    }
}
