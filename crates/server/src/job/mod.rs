//! The coordinator of jobs: it plans runs a moment ahead, fires them when they are due, and remembers how they ended.
//!
//! ```text
//! timer ─> Memory (one lock): plan ─> fire ─> offer ──submit──> store
//!              ^                         └─> outbox ─> dispatch task, once the plan is durable ─> worker "job.<name>"
//!              └────────────────────────────── what became of the offer <────────────────────────────┘
//! ```
//! A plan names due time, slice and worker before anything is sent, under a key that is written once: clocks that jump change how
//! late a run is, never how often it happens. Left out: clocks of several servers are not compared yet (`PROTOCOLS.md` P8), there
//! is one server.
//!
//! Reading order: `record` (what is stored), `entry` (a job in memory), `memory` (what happens under the lock), `plan`, `offer`,
//! `workers` (who is asked, and when one counts as dead), `scheduler` (the handle and its tasks), `service` (the calls), `follower` (the
//! stream of a run).

mod agenda;
mod entry;
mod follower;
mod load;
mod memory;
mod offer;
mod plan;
mod record;
mod scheduler;
mod service;
mod view;
mod workers;

pub use scheduler::{Config, Jobs};

#[cfg(test)]
mod job_test;
