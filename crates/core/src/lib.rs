//! The words and the rules of settee, and its only door to the world.
//!
//! - Words: [`Error`], [`Context`], [`Timestamp`] and the identities in [`id`].
//! - Rules: pure state machines, one folder a component ([`txn`], [`mq`], [`job`], [`flow`], [`registry`], [`rpc`], [`shard`]).
//!   A rule takes the time as an argument and returns what to do; it never does it.
//! - Ports: [`port`] holds what an engine implements: `Kv`, `Log` and `Disk`.
//! - [`mod@env`]: tasks, sockets, randomness, wall clock and blocking work, replaceable in simulation.
//!
//! Left out on purpose: engines (`settee-engines`), everything a service links (`settee`), and persisted records of a
//! coordinator (`settee-server`).

#![forbid(unsafe_code)]

pub mod backoff;
pub mod context;
pub mod env;
pub mod error;
pub mod flow;
pub mod id;
pub mod job;
pub mod mask;
pub mod mq;
pub mod name;
pub mod planted;
pub mod port;
pub mod registry;
pub mod rpc;
pub mod shard;
pub mod shutdown;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod trace;
pub mod trouble;
pub mod txn;

pub use context::Context;
pub use error::{Certainty, Error, ErrorKind};
pub use time::{Instant, Timestamp};
