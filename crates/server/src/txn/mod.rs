//! The coordinator of global transactions: it remembers, decides by the rule of `settee_core::txn`, and drives phase two.
//!
//! ```text
//! begin, decide, inquire ─> Memory (one lock): rule, submit ─┬─> answer, once the write is durable
//!            timer ────────────^                             └─> settler (one a lane), once durable ─> outbox ─> driver
//!                              └────────────── answers of participants <────────────────────────────────────────┘
//! ```
//!
//! Open transactions are in memory; those that ended leave it and stay in the store until the sweeper forgets them. Recovery
//! loads what is open and goes on; it does not wait for history. In which order the newest began is kept in memory too (`recent`).
//!
//! Reading order: `record` (what is stored), `memory` (what happens under the lock), `coordinator` (the handle), `drive` (tasks).

mod control;
mod coordinator;
mod drive;
mod ends;
mod list;
mod memory;
mod outbox;
mod participants;
mod recent;
mod record;
mod store;
mod sweep;
mod timers;
mod view;

pub use coordinator::{Config, Coordinator};
pub use participants::{ChannelParticipants, Participants};

#[cfg(test)]
mod coordinator_test;
#[cfg(test)]
mod crash_test;
#[cfg(test)]
mod list_test;
