//! Parts that can be left out, by the names that users write.

use clap::ValueEnum;
use settee_server::Part;

/// A part of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Without {
    /// Who serves what: nobody finds anybody.
    Registry,
    /// Transactions: nothing is moved.
    Transactions,
    /// Going on with what a crash left open: it stays open.
    Recovery,
    /// Topics: what is settled stays in the outbox.
    Messages,
    /// Jobs: nothing is reconciled.
    Jobs,
    /// Flow rules: nothing is limited.
    Flow,
    /// Traces: the same outcomes, and nobody can see how.
    Traces,
}

impl Without {
    /// What the server calls it.
    pub(crate) fn part(self) -> Part {
        match self {
            Self::Registry => Part::Registry,
            Self::Transactions => Part::Transactions,
            Self::Recovery => Part::Recovery,
            Self::Messages => Part::Messages,
            Self::Jobs => Part::Jobs,
            Self::Flow => Part::Flow,
            Self::Traces => Part::Traces,
        }
    }

    /// What users write.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
