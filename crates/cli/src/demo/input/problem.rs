//! Why an input file was refused: where, and in words its author can act on.
//!
//! A file is taken whole or not at all, so a reader goes on after the first mistake and reports up to
//! [`MAX_LISTED`] of them; the rest are only counted, which bounds memory for a file that is wrong on every line.

use std::fmt;
use std::path::{Path, PathBuf};

use super::original::Original;

/// Problems kept and shown for one file: a screenful. A file with more has one cause, and it is among these.
pub const MAX_LISTED: usize = 20;

/// Characters of a value quoted back in a reason; the line number finds the rest.
const MAX_QUOTED_CHARS: usize = 60;

/// One reason to refuse the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// 1-based line; `None` when the file as a whole is meant, such as one that does not exist.
    pub line: Option<u64>,
    /// Lowercase, one line, free of control characters whatever the file held.
    pub reason: String,
}

impl Problem {
    pub(crate) fn at(line: u64, reason: impl Into<String>) -> Self {
        Self { line: Some(line), reason: reason.into() }
    }

    pub(crate) fn whole(reason: impl Into<String>) -> Self {
        Self { line: None, reason: reason.into() }
    }
}

/// The refusal of a whole file. Nothing of it was used.
///
/// Displays as one `FILE:LINE: reason` a line, then `… and N more`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// As the user named it.
    pub file: PathBuf,
    /// What the file is, if it said so before it went wrong: a refusal can then still be answered. A document has given its
    /// `MsgId`.
    pub original: Option<Box<Original>>,
    /// At least one, by line, at most [`MAX_LISTED`].
    pub listed: Vec<Problem>,
    /// How many more were found but not kept.
    pub unlisted: u64,
}

impl Problems {
    /// A refusal for one reason.
    pub(crate) fn one(file: &Path, problem: Problem) -> Self {
        Self { file: file.to_owned(), original: None, listed: vec![problem], unlisted: 0 }
    }

    /// One line for each, without the name of the file: it may be known to whoever reads them under another.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let listed = self.listed.iter().map(|problem| match problem.line {
            Some(line) => format!("line {line}: {}", problem.reason),
            None => problem.reason.clone(),
        });
        listed.chain((self.unlisted > 0).then(|| format!("… and {} more", self.unlisted)))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        for (index, problem) in self.listed.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            match problem.line {
                Some(line) => write!(out, "{separator}{file}:{line}: {}", problem.reason)?,
                None => write!(out, "{separator}{file}: {}", problem.reason)?,
            }
        }
        match self.unlisted {
            0 => Ok(()),
            more => write!(out, "\n… and {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

/// Collects problems while a reader goes through a file.
#[derive(Debug, Default)]
pub(super) struct Findings {
    listed: Vec<Problem>,
    unlisted: u64,
}

impl Findings {
    pub(super) fn add(&mut self, problem: Problem) {
        if self.listed.len() < MAX_LISTED {
            self.listed.push(problem);
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Refuses the file if anything was found.
    pub(super) fn settle(&self, file: &Path, original: Option<Original>) -> Result<(), Problems> {
        if self.is_empty() { Ok(()) } else { Err(self.refusal(file, original)) }
    }

    /// What was found, by line.
    pub(super) fn refusal(&self, file: &Path, original: Option<Original>) -> Problems {
        let mut listed = self.listed.clone();
        listed.sort_by_key(|problem| problem.line);
        Problems { file: file.to_owned(), original: original.map(Box::new), listed, unlisted: self.unlisted }
    }
}

/// `value` in quotes, escaped and cut: what the file holds must not steer the terminal it is shown on.
pub(super) fn quoted(value: &str) -> String {
    let mut start: String = value.chars().take(MAX_QUOTED_CHARS).collect();
    if start.len() < value.len() {
        start.push('…');
    }
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_wrong_on_every_line_lists_twenty_and_counts_the_rest() {
        let mut findings = Findings::default();
        (1..=23).rev().for_each(|line| findings.add(Problem::at(line, "bad")));
        let refusal = findings.settle(Path::new("a.csv"), None).unwrap_err().to_string();
        assert_eq!(refusal.lines().count(), MAX_LISTED + 1);
        assert!(refusal.starts_with("a.csv:4: bad\na.csv:5: bad\n"));
        assert!(refusal.ends_with("a.csv:23: bad\n… and 3 more"));
    }

    #[test]
    fn a_quoted_value_cannot_move_the_cursor() {
        assert_eq!(quoted("a\u{1b}[2J\n"), r#""a\u{1b}[2J\n""#);
        assert_eq!(quoted(&"x".repeat(70)), format!("\"{}…\"", "x".repeat(60)));
    }
}
