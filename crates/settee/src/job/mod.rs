//! Jobs: work that is due at a time, not when somebody calls.
//!
//! ```text
//! Job (name, schedule, handler) -> JobControl.register -> coordinator: plans, fires, remembers
//!                               \-> Worker = service "job.<name>"  <-- RunOrder --'
//! ```
//! Read [`control`] for what operators and callers ask of the coordinator, [`Job`] and [`JobHandler`] for what a service writes,
//! [`protocol`] for what travels between coordinator and worker.

pub mod control;
mod definition;
mod handler;
pub mod protocol;
mod worker;

pub use control::{JobControl, JobControlClient, JobControlServer};
pub use definition::Job;
pub use handler::{JobHandler, Run};
pub use settee_core::job::{FoldPolicy, GapPolicy, Misfire, Overlap, Retry, RunId, Schedule};
pub use worker::Worker;
