//! How a command fails: one line for people, the next command to try, and the exit code.

use std::fmt;
use std::process::ExitCode;

use crate::output;

/// Why a command ends without having done what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: u8,
    /// Printed above the error, such as the lines of a file that are wrong.
    details: Option<String>,
    message: String,
    /// The next command to try.
    next: Option<String>,
}

impl Failure {
    /// It was begun and did not work: exit code 1.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self { exit: 1, details: None, message: message.to_string(), next: None }
    }

    /// The input or the flags are wrong, and nothing was begun: exit code 2.
    pub(crate) fn wrong(message: impl fmt::Display) -> Self {
        Self { exit: 2, ..Self::failed(message) }
    }

    /// The same, with a command that may help.
    pub(crate) fn with_next(self, command: impl Into<String>) -> Self {
        Self { next: Some(command.into()), ..self }
    }

    /// The same, with lines to be shown above it.
    pub(crate) fn with_details(self, details: impl fmt::Display) -> Self {
        Self { details: Some(details.to_string()), ..self }
    }

    /// Shows it on stderr, and gives what the process exits with.
    pub(crate) fn report(&self) -> ExitCode {
        if let Some(details) = &self.details {
            output::complain(details);
        }
        output::complain(format_args!("error: {self}"));
        ExitCode::from(self.exit)
    }

    /// What the process exits with.
    #[cfg(test)]
    pub(crate) fn exit(&self) -> u8 {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.next {
            Some(next) => write!(out, "{}; try `{next}`", self.message),
            None => out.write_str(&self.message),
        }
    }
}

impl From<settee_core::Error> for Failure {
    fn from(error: settee_core::Error) -> Self {
        Self::failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_the_next_command() {
        let failure = Failure::wrong("--chaos needs 100 transfers").with_next("settee demo --generate 1000 --chaos");
        assert_eq!(failure.to_string(), "--chaos needs 100 transfers; try `settee demo --generate 1000 --chaos`");
        assert_eq!((failure.exit(), Failure::failed("x").exit()), (2, 1));
    }
}
