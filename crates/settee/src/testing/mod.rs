//! Tests of services: a whole system inside one test, without sockets and without waiting.
//!
//! ```text
//!   test ── System::run ─┬─ start(App::new("ledger", ..)) ───> as in production ──┐
//!    │                   ├─ start(App::new("payment", ..)) ──> as in production   ├── frames over pipes in memory
//!    ├─ clients of an App of its own ─────────────────────────────────────────────┘
//!    └─ advance, settled          registry, coordinator, broker: the rules of `core`, in memory
//! ```
//! Behind the feature `testing`, for `[dev-dependencies]`. Left out on purpose: jobs, flow rules and traces, which nobody serves
//! here; what operators do; and random faults, torn disks and power cuts, which the simulator draws from a seed.

mod system;

mod host;
mod network;

mod broker;
mod coordinator;
mod group;
mod log;
mod registry;

pub use system::{PATIENCE, System};

use settee_core::Error;
use settee_core::error::{ErrorKind, codes};

/// What is told to operators, who have nothing to do in a test.
fn not_in_a_test(what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        codes::BAD_REQUEST,
        format!("{what}: a system inside a test does not; run `settee server`"),
    )
}

#[cfg(test)]
mod message_test;
#[cfg(test)]
mod system_test;
