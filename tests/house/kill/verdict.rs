//! What a run of kills came to.

use std::fmt;

use serde::Serialize;

/// What is printed at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Kills after which everything was looked for.
    pub cycles: u64,
    /// Operations that were answered as done.
    pub acknowledged: u64,
    /// Of these, those that were not found afterwards, or whose effect never came.
    pub lost: u64,
    /// What was there twice: an offset that two messages got, a run or a branch whose effect came twice.
    pub duplicated: u64,
    /// Starts on the folder that a kill left which did not get ready.
    pub failed_opens: u64,
}

impl Tally {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        (self.lost, self.duplicated, self.failed_opens) == (0, 0, 0)
    }
}

/// Things that are wrong and are told one by one; of more than these only the number is of interest.
const TOLD: usize = 20;

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    pub(super) failed_opens: u64,
    told: Vec<String>,
}

impl Findings {
    /// Takes note of what is wrong, if something is.
    pub(super) fn add(&mut self, wrong: impl IntoIterator<Item = Wrong>) {
        for wrong in wrong {
            match wrong {
                Wrong::Lost(_) => self.lost += 1,
                Wrong::Duplicated(_) => self.duplicated += 1,
                Wrong::FailedOpen(_) => self.failed_opens += 1,
            }
            if self.told.len() < TOLD {
                self.told.push(wrong.to_string());
            }
        }
    }

    /// The first things that are wrong, in words.
    #[must_use]
    pub fn told(&self) -> &[String] {
        &self.told
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// An acknowledged operation is not there, or its effect never came.
    Lost(String),
    /// Something is there twice.
    Duplicated(String),
    /// A process did not get ready on the folder that a kill left.
    FailedOpen(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(what) => write!(out, "lost: {what}"),
            Self::Duplicated(what) => write!(out, "duplicated: {what}"),
            Self::FailedOpen(what) => write!(out, "failed open: {what}"),
        }
    }
}
