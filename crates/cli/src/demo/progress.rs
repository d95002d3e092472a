//! The progress bar: on a terminal, for people, and nowhere else.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar is drawn at most, per second.
const DRAWS_PER_SECOND: u8 = 10;

/// How far the file is. Shows nothing unless it should.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar over `transfers`; hidden when `quiet`, or when stderr is no terminal.
    pub(crate) fn new(transfers: usize, quiet: bool) -> Self {
        if quiet || !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(Some(transfers as u64), ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
        let template = "{wide_bar} {human_pos}/{human_len} transfers, {per_sec}, {eta} left";
        Self(match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }

    /// One more transfer has ended.
    pub(crate) fn advance(&self) {
        self.0.inc(1);
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
