//! The `settee` binary: everything is in the library of this crate.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Several processes of many small allocations each: the system's allocator is slower and keeps more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    settee_cli::main()
}
