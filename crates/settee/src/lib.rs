//! What a service links: one builder ([`app`]), typed calls ([`rpc`]), discovery ([`registry`]), limits and breakers ([`flow`]),
//! traces ([`trace`]), messages ([`mq`]), transactions ([`txn`]) and jobs ([`mod@job`]). The feature `testing` adds `testing`: a whole
//! system inside one test.
//!
//! Left out on purpose: engines and coordinators. They are in `settee-server`, reached over the network or in process.

#![forbid(unsafe_code)]

extern crate self as settee;

pub mod app;
pub mod config;
pub mod flow;
pub mod job;
pub mod mq;
pub mod registry;
pub mod rpc;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod trace;
pub mod txn;

pub use rpc::{Fault, Never, Refusal, Reply, Updates, refuse};
pub use settee_core::error::{self, Certainty, Error, ErrorKind, Result};
pub use settee_core::{Context, Instant, Timestamp};
pub use settee_macros::{job, main, refusal, service, tcc};

/// What the macros expand to; not an interface.
#[doc(hidden)]
pub mod expand {
    pub use crate::rpc::expand::*;
    pub use serde;
}

use std::future::Future;

use settee_core::env;

/// Starts a task that carries the current [`Context`] with it.
pub fn spawn<F>(task: F) -> env::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    env::spawn(Context::current().scope(task))
}
