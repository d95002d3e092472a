//! How a step went: a line of the table, and a file from which a later run knows it.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// Those of cargo.
    pub(super) arguments: String,
    /// On which it ran.
    pub(super) commit: String,
    /// How often it ended with 0.
    pub(super) passed: u32,
    /// How often it was run.
    pub(super) times: u32,
    pub(super) seconds: u64,
    /// The end of what it printed.
    pub(super) said: String,
}

impl Row {
    pub(super) fn has_passed(&self) -> bool {
        self.passed == self.times
    }

    /// The row that was kept for a step; `None` also if the file cannot be read: then the step is run again.
    pub(super) fn kept(folder: &Path, name: &str) -> Option<Self> {
        toml::from_str(&fs::read_to_string(folder.join(format!("{name}.toml"))).ok()?).ok()
    }

    pub(super) fn keep(&self, folder: &Path) -> Result<()> {
        let file = folder.join(format!("{}.toml", self.name));
        fs::write(&file, toml::to_string(self)?).with_context(|| format!("write {}", file.display()))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, commit, passed, times, seconds, said, .. } = self;
        let verdict = if self.has_passed() { "ok" } else { "FAILED" };
        write!(out, "{name:<18} {verdict:<6} {passed:>2} of {times:<2} {seconds:>6} s  {commit}  {said}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chaos() -> Row {
        Row {
            name: "demo-chaos".to_owned(),
            arguments: "run -- demo --chaos".to_owned(),
            commit: "0123456789ab".to_owned(),
            passed: 19,
            times: 20,
            seconds: 61,
            said: "{\"late\":\"\u{1b}[1m\"}".to_owned(),
        }
    }

    #[test]
    fn a_row_tells_how_often_it_held_and_what_was_said_last() {
        let row = Row { said: "{\"late\":2}".to_owned(), ..chaos() };
        assert_eq!(row.to_string(), "demo-chaos         FAILED 19 of 20     61 s  0123456789ab  {\"late\":2}");
    }

    #[test]
    fn a_later_run_reads_what_this_one_kept() {
        let folder = tempfile::tempdir().unwrap();
        chaos().keep(folder.path()).unwrap();
        assert_eq!(Row::kept(folder.path(), "demo-chaos"), Some(chaos()));
        assert_eq!(Row::kept(folder.path(), "demo"), None);
    }
}
