//! `settee demo`, run to its end on a folder that something else has used before.

use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

/// What a demo printed, and how it ended.
#[derive(Debug)]
pub struct Demo {
    /// Its exit code.
    pub exit: Option<i32>,
    /// Its report; null when there is none.
    pub report: Value,
    /// What it wrote to stderr.
    pub complaints: String,
}

impl Demo {
    /// Runs it on a data folder that nobody uses.
    ///
    /// # Panics
    /// When there is no such program.
    pub async fn run(settee: &Path, data: &Path, flags: &[&str]) -> Self {
        let mut command = Command::new(settee);
        command.args(["demo", "--json", "--data"]).arg(data).args(flags).kill_on_drop(true);
        let output = command.output().await.expect("the program starts");
        Self {
            exit: output.status.code(),
            report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            complaints: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
