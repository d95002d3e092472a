//! Engines without a machine, for tests and simulation: all three ports, with faults that the caller decides.

mod disk;
mod kv;
mod log;

pub use disk::{DiskCounters, DiskFault, DiskFaults, DiskOperation, MemoryDisk};
pub use kv::{KvFault, KvFaults, MemoryKv};
pub use log::{AppendFault, LogFaults, MemoryLog};
