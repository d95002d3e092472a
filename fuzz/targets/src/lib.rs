//! What every decoder must hold to, whatever bytes it is given.
//!
//! A target is a module with one function, `one`, that panics when something does not hold: nothing panics, what was read and
//! written again reads the same, memory is bounded by the length of the input and not by what the input claims, an error says
//! where. libFuzzer calls it (`fuzz/fuzz_targets`, a line each), and so does a plain test that replays `fuzz/corpus` and
//! `fuzz/crashes`. Left out: everything that needs a socket or a clock; that is the simulator's.

#![forbid(unsafe_code)]

mod budget;
mod transfers;
mod values;

pub mod bolt_frame;
pub mod bolt_header;
pub mod config;
pub mod csv;
pub mod json_body;
pub mod message_pack;
pub mod pain001;
pub mod trace_headers;

/// A target, as tests find it by name.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its module, of its binary, and of its folders below `fuzz/`.
    pub name: &'static str,
    /// Its function.
    pub one: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "bolt_frame", one: bolt_frame::one },
    Target { name: "bolt_header", one: bolt_header::one },
    Target { name: "config", one: config::one },
    Target { name: "csv", one: csv::one },
    Target { name: "json_body", one: json_body::one },
    Target { name: "message_pack", one: message_pack::one },
    Target { name: "pain001", one: pain001::one },
    Target { name: "trace_headers", one: trace_headers::one },
];
