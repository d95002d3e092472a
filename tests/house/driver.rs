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
    #[arg(long, value_name = "FOLDER", value_parser = new_folder)]
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

/// A folder that is not there yet, or that nothing is in: what an earlier run left there would be taken for what this one lost.
#[expect(clippy::disallowed_methods, reason = "the folder of real processes; nothing of it is simulated")]
fn new_folder(path: &str) -> Result<PathBuf, String> {
    match std::fs::read_dir(path).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err("the folder is not empty; name a new one, or remove what is in it".to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("{error}; name a new folder")),
        Ok(false) | Err(_) => Ok(path.into()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test makes the folders that are refused")]
    fn what_an_earlier_run_left_is_never_taken_for_what_this_one_did() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name).display().to_string();
        assert_eq!(new_folder(&at("new")), Ok(at("new").into()));
        std::fs::create_dir(at("empty")).unwrap();
        assert_eq!(new_folder(&at("empty")), Ok(at("empty").into()));
        std::fs::write(at("letter.txt"), "of somebody").unwrap();
        let not_empty = "the folder is not empty; name a new one, or remove what is in it";
        assert_eq!(new_folder(&place.path().display().to_string()), Err(not_empty.to_owned()));
        assert!(new_folder(&at("letter.txt")).unwrap_err().ends_with("; name a new folder"));
    }
}
