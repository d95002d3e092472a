//! The builder that turns services into a process: configuration, ordered start, readiness, drain and shutdown.
//!
//! ```text
//! start:  listen -> traces, flow rules, sweepers, relays, consumers -> conditions hold -> ready -> publish to the registry
//! stop:   withdraw (acknowledged) -> drain calls -> stop consumers and relays -> flush spans -> close what they used
//! ```
//! An instance is published only when it is ready and withdrawn before anything stops, so a rolling restart fails no call.

#[cfg(test)]
mod balancer_test;
mod builder;
mod pages;
mod process;
mod ready;
mod register;
mod running;

pub use builder::App;
pub use pages::{CountCalls, Metrics, ProcessPages};
pub use process::{announce, command_line, run};
pub use running::Running;
