//! Bytes and values: what settee and SOFA peers put on a connection, and nothing that touches one.
//!
//! - [`bolt`]: frames of the Bolt protocol, v1 and v2: cut out of a byte stream, and written into one.
//! - [`body`]: what settee peers put in a frame's content: MessagePack with named fields, or JSON.
//!
//! Everything here reads bytes from strangers: each limit is checked before memory is taken, and no input panics (the lints
//! below keep it so). Left out on purpose: sockets, clocks, tasks, and the meaning of a call (`settee::rpc`).

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod body;
pub mod bolt;
