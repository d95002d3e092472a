//! The example a user would copy: three services that move money between two databases.
//!
//! ```text
//! payment --(TCC: attempt, confirm, cancel)--> account 1, account 2        each with its own SQLite ledger
//!                                                  | outbox
//!                                              topic "transfers" --> notify (inbox)
//! ```
//! Read [`api`] first: what the services say to each other. Then [`account`], [`payment`] and [`notify`], each a page.

#![forbid(unsafe_code)]

pub mod account;
pub mod api;
mod book;
mod ceiling;
mod ledger;
pub mod money;
pub mod notify;
pub mod payment;
mod reason;
mod turns;
