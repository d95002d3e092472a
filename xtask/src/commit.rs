//! Which commit the tree is at.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Digits of a commit that are written down.
const DIGITS: &str = "--short=12";

/// A commit, and whether the tree still says what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// `None` where git does not answer.
    short: Option<String>,
    is_changed: bool,
}

impl Commit {
    /// That of the repository at `root`.
    pub(crate) fn of(root: &Path) -> Self {
        let short = git(root, &["rev-parse", DIGITS, "HEAD"]);
        let changes = git(root, &["status", "--porcelain", "--untracked-files=no"]);
        Self { short, is_changed: changes.is_none_or(|changes| !changes.is_empty()) }
    }

    /// Whether it says exactly which tree this is.
    pub(crate) fn is_exact(&self) -> bool {
        self.short.is_some() && !self.is_changed
    }

    /// As a number, another one for each commit.
    pub(crate) fn number(&self) -> Option<u64> {
        u64::from_str_radix(self.short.as_deref()?, 16).ok()
    }

    #[cfg(test)]
    pub(crate) fn exact(short: &str) -> Self {
        Self { short: Some(short.to_owned()), is_changed: false }
    }

    #[cfg(test)]
    pub(crate) fn changed(short: &str) -> Self {
        Self { short: Some(short.to_owned()), is_changed: true }
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.is_changed { "+changes" } else { "" };
        write!(out, "{}{mark}", self.short.as_deref().unwrap_or("unknown"))
    }
}

/// What git says, in a repository whoever owns it; `None` where it says nothing.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*"]).args(arguments).current_dir(root).stderr(Stdio::null());
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_was_changed_is_never_taken_for_its_commit() {
        let (exact, changed) = (Commit::exact("00000000000a"), Commit::changed("00000000000a"));
        assert!(exact.is_exact() && !changed.is_exact());
        assert_eq!((exact.to_string(), changed.to_string()), ("00000000000a".to_owned(), "00000000000a+changes".to_owned()));
        assert_eq!(exact.number(), Some(10));
    }

    #[test]
    fn a_folder_that_git_does_not_know_is_no_commit() {
        let folder = tempfile::tempdir().unwrap();
        let commit = Commit::of(folder.path());
        assert!(!commit.is_exact() && commit.number().is_none(), "{commit}");
    }
}
