//! What the drivers of `cargo xtask kill` and `cargo xtask overload` share: flags, the binary beside them, and how they say how far they are.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The flags of every driver.
#[derive(Args)]
pub struct Common {
    /// The binary; by default the one beside this.
    #[arg(long, value_name = "FILE")]
    settee: Option<PathBuf>,
    /// Keep data and logs in this folder, which must be new; by default they go at the end.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

impl Common {
    /// The binary to drive.
    #[must_use]
    pub fn settee(&self) -> PathBuf {
        self.settee.clone().unwrap_or_else(beside)
    }

    /// Where data and logs go: the folder that was asked for, or else `temporary`.
    #[must_use]
    pub fn folder(&self, temporary: &Path) -> PathBuf {
        self.data.clone().unwrap_or_else(|| temporary.to_owned())
    }
}

/// What the process of a driver ends with; an error is said first.
pub fn exit_code(ended: settee::Result<bool>) -> ExitCode {
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The binary `settee` of the same build.
fn beside() -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    this.parent().unwrap_or(Path::new(".")).join("settee")
}

/// A bar of so many steps on a terminal; hidden where nobody looks.
#[must_use]
pub fn progress(steps: u64, template: &str, is_quiet: bool) -> ProgressBar {
    if is_quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
