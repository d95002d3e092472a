//! Starting cargo in the workspace root, with the cargo that started us and without a terminal to ask questions on.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result};

/// The folder of the root manifest. Cargo tells where this package is; the root is the folder above.
pub(crate) fn workspace_root() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR").context("start this as `cargo xtask`, not by its path")?;
    let root = Path::new(&package).parent().context("the xtask package lies inside the workspace")?;
    Ok(root.to_owned())
}

/// `cargo ARGUMENTS`, to be run in `root`.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root).stdin(Stdio::null());
    command
}

/// Runs `command` to its end; output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("start {}", command.get_program().display()))
}

/// The exit code to end with when a child ended with `status`: its own, or 1 if a signal ended it.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
