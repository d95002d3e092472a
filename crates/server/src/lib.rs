//! Who remembers: shards and their owner, and on top of them the registry, flow rules, traces, topics, transactions and jobs.
//!
//! A library: the binary is `settee-cli`, and a service that wants everything in one process adds this crate.

#![forbid(unsafe_code)]

pub mod job;
pub mod mq;
pub mod flow;
pub mod record;
pub mod registry;
pub mod shard;
pub mod trace;
pub mod txn;
