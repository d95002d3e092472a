//! What the drivers of `cargo xtask kill` and `cargo xtask overload` share: the binary beside them, and how they say how far they are.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The binary `settee` of the same build.
#[must_use]
pub fn beside() -> PathBuf {
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
