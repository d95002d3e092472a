//! Drivers of real processes: builds the binary and a program that starts it in release mode, then runs that program, with its own
//! output and exit code.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::cargo;

/// The driver starts the binary that lies beside it.
const BINARY: &[&str] = &["build", "--quiet", "--release", "--locked", "-p", "settee-cli", "--bin", "settee"];

/// Runs the driver `name` of the crate `settee-tests`.
pub(crate) fn run(root: &Path, name: &str, arguments: &[String]) -> Result<ExitCode> {
    ensure!(cargo::run(&mut cargo::cargo(root, BINARY))?.success(), "the binary `settee` was not built");
    let mut command = cargo::cargo(root, &["run", "--quiet", "--release", "--locked", "-p", "settee-tests", "--bin", name, "--"]);
    Ok(cargo::exit_code(cargo::run(command.args(arguments))?))
}
