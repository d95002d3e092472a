//! Who remembers: shards and their owner, and on top of them the registry, flow rules, traces, topics, transactions and jobs; and
//! the console, on which people see them.
//!
//! A library: the binary is `settee-cli`, and a service that wants everything in one process adds this crate.

#![forbid(unsafe_code)]

pub mod console;
pub mod flow;
mod folder;
mod gauge;
pub mod job;
pub mod mq;
mod page;
pub mod record;
pub mod registry;
mod server;
pub mod shard;
pub mod trace;
pub mod txn;

pub use gauge::Gauge;
pub use server::{Engines, Part, Server, ServerOptions};
