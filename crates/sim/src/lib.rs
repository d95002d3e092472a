//! The simulator: a whole system of processes on one thread, in one order of events that a seed decides.
//!
//! ```text
//!  simulate ── campaign ── one process a seed ── run::seed (a fresh thread, paused clock, guard armed)
//!                                                   │
//!                       Workload::build ── World ── Node ── Process (an `env::Host`: gate, tasks, sockets, clock, randomness)
//!                                            ├── Network    latency, order, windows, cuts, resets
//!                                            ├── Faults     what this seed may do to the system, and what took effect
//!                                            └── History    every event folded into one hash
//! ```
//!
//! A seed has two phases: [`SAFETY`] (faults strike) and [`LIVENESS`] (everything healed, the system must converge); then the
//! workload's invariants are checked. The product itself is the workload in [`bank`]; [`toy`] tests the harness. Left out on
//! purpose: engines in memory, which live beside the others and take their faults from here.

#![deny(unsafe_code)]

pub mod bank;
mod campaign;
mod cores;
mod engines;
mod faults;
mod guard;
mod history;
mod hold_ups;
mod logs;
mod net;
mod node;
mod planted;
mod process;
mod run;
pub mod toy;
mod world;

pub use campaign::{Campaign, Failure, Summary};
pub use engines::NodeDisk;
pub use faults::{Fault, LIVENESS, Rate, SAFETY, Swarm};
pub use history::Violation;
pub use node::{Boot, Node, NodeId};
pub use planted::{Finds, Found, Search, rotated};
pub use run::{Checks, Options, SeedReport, Workload, seed};
pub use world::{Phase, World};
