//! The `settee` binary as a library: one command, one file.
//!
//! A command is a `clap::Args` struct and a `run` that answers with what the process exits with. Exit codes: 0 it worked, 1 it
//! did not, 2 the input or the flags are wrong and nothing was begun. Errors are one line on stderr; stdout is for results.

#![forbid(unsafe_code)]

mod demo;
