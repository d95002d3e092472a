//! Engines behind the ports of `settee-core`, one folder and one cargo feature each.
//!
//! - [`memory`]: `Kv`, `Log` and `Disk` without a machine: for tests and simulation, with faults that the caller decides.
//! - [`embedded`]: `Kv` and `Log` in one data folder of one process, durable when they answer.
//!
//! Engines know only `settee-core`: what they store means nothing to them.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(any(feature = "embedded", feature = "memory"))]
pub mod kv;
#[cfg(feature = "memory")]
pub mod memory;
