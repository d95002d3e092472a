//! How a command fails: what is said about it, to people or to programs, and the exit code.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Value, json};
use settee::error::{Code, codes};
use settee::{Certainty, Error};

use crate::output;

/// Why a command ends without having done what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: Cause,
    /// Printed above it, such as the lines of a file that are wrong.
    details: Option<String>,
    /// What else is known, and what to do: a line each.
    notes: Vec<String>,
    /// The next command to try.
    next: Option<String>,
}

#[derive(Debug)]
enum Cause {
    /// The input or the flags are wrong, and nothing was begun.
    Wrong(String),
    /// It was begun and did not work.
    Failed(String),
    /// The same, with one of the error codes.
    Error(Error),
    /// The service said no, and that is final.
    Refused(Box<Refused>),
}

#[derive(Debug)]
struct Refused {
    method: String,
    code: String,
    /// What else the service said.
    refusal: Value,
}

impl Failure {
    /// The input or the flags are wrong, and nothing was begun: exit code 2.
    pub(crate) fn wrong(message: impl fmt::Display) -> Self {
        Self::of(Cause::Wrong(message.to_string()))
    }

    /// It was begun and did not work: exit code 1.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::of(Cause::Failed(message.to_string()))
    }

    /// The service of `method` said no, with a code of its own and what else it said: exit code 3.
    pub(crate) fn refused(method: String, code: String, refusal: Value) -> Self {
        Self::of(Cause::Refused(Box::new(Refused { method, code, refusal })))
    }

    fn of(cause: Cause) -> Self {
        Self { cause, details: None, notes: Vec::new(), next: None }
    }

    /// The same, with lines to be shown above it.
    pub(crate) fn with_details(self, details: impl fmt::Display) -> Self {
        Self { details: Some(details.to_string()), ..self }
    }

    /// The same, with one more line of advice.
    pub(crate) fn with_note(mut self, line: impl Into<String>) -> Self {
        self.notes.push(line.into());
        self
    }

    /// The same, with a command that may help.
    pub(crate) fn with_next(self, command: impl Into<String>) -> Self {
        Self { next: Some(command.into()), ..self }
    }

    /// The same error, of a call that somebody made: its first line of advice says whether it happened. A command that only looks,
    /// or that starts a process, leaves this out: it would read as if it spoke of what was looked at.
    pub(crate) fn of_a_call(mut self) -> Self {
        if let Cause::Error(error) = &self.cause {
            self.notes.insert(0, format!("did it happen: {}", happened(error.certainty())));
        }
        self
    }

    /// What the process exits with.
    pub(crate) fn exit(&self) -> u8 {
        match self.cause {
            Cause::Failed(_) | Cause::Error(_) => 1,
            Cause::Wrong(_) => 2,
            Cause::Refused(_) => 3,
        }
    }

    /// Shows it on stderr, for programs as one JSON object, and gives what the process exits with.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if json {
            output::complain(self.json());
        } else {
            self.details.iter().for_each(output::complain);
            output::complain(self.text());
        }
        ExitCode::from(self.exit())
    }

    /// For people: one line that says what, and lines of advice. They begin by saying whether it is an error or a refusal.
    pub(crate) fn text(&self) -> String {
        let kind = if matches!(self.cause, Cause::Refused(_)) { "refused" } else { "error" };
        format!("{kind}: {self}")
    }

    /// For programs: the same objects as over HTTP.
    pub(crate) fn json(&self) -> Value {
        match &self.cause {
            Cause::Wrong(message) => json!({ "usage": { "message": message } }),
            Cause::Failed(message) => json!({ "failed": { "message": message } }),
            Cause::Refused(refused) => json!({ "refused": { "code": refused.code, "refusal": refused.refusal } }),
            Cause::Error(error) => json!({ "failed": {
                "kind": error.kind(),
                "certainty": error.certainty(),
                "code": error.code(),
                "message": error.message(),
                "retry_after_ms": error.retry_after().map(|wait| wait.as_millis()),
            }}),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(Cause::Error(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.cause)?;
        let is_one_line = self.notes.is_empty() && matches!(self.cause, Cause::Wrong(_) | Cause::Failed(_));
        self.notes.iter().try_for_each(|note| write!(out, "\n  {note}"))?;
        match &self.next {
            None => Ok(()),
            Some(next) if is_one_line => write!(out, "; try `{next}`"),
            Some(next) => write!(out, "\n  try: {next}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(message) | Self::Failed(message) => out.write_str(message),
            Self::Refused(refused) => refused.fmt(out),
            Self::Error(error) => {
                write!(out, "{}\n  code: {}", error.message(), code_and_page(error.code()))?;
                let wait = error.retry_after();
                wait.map_or(Ok(()), |wait| write!(out, "\n  try again after: {} ms", wait.as_millis()))
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, code, refusal } = self;
        match refusal {
            // A variant without fields says no more than its name.
            Value::String(variant) => write!(out, "{code} {variant}, by {method}; that is final"),
            _ => write!(out, "{code}, by {method}; that is final\n  {refusal}"),
        }
    }
}

fn happened(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::NotDone => "no, and it will not later",
        Certainty::Done => "yes; only what came after it failed, so do not repeat it",
        Certainty::Unknown => "unknown; ask, or repeat it under the same identity, and never treat it as failed",
    }
}

/// A code that this version does not know comes from a newer peer: its page is there, not here.
fn code_and_page(code: &Code) -> String {
    if codes::ALL.contains(code) { format!("{code}, see docs/operations/errors/{code}.md") } else { code.to_string() }
}

#[cfg(test)]
mod tests {
    use settee::ErrorKind;

    use super::*;

    #[test]
    fn a_wrong_command_line_is_one_line_with_the_next_command() {
        let failure = Failure::wrong("--chaos needs 100 transfers").with_next("settee demo --generate 1000 --chaos");
        assert_eq!(failure.to_string(), "--chaos needs 100 transfers; try `settee demo --generate 1000 --chaos`");
        let more = failure.with_note("each kill needs one");
        assert_eq!(
            more.text().lines().collect::<Vec<_>>()[1..],
            ["  each kill needs one", "  try: settee demo --generate 1000 --chaos"]
        );
    }

    #[test]
    fn an_unknown_outcome_is_never_shown_as_a_failure_that_may_be_repeated_blindly() {
        let error =
            Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, "call pay.Account.book: the connection closed").unknown();
        let expected = "error: call pay.Account.book: the connection closed\n  \
                        code: RPC0004, see docs/operations/errors/RPC0004.md\n  \
                        did it happen: unknown; ask, or repeat it under the same identity, and never treat it as failed\n  \
                        look at the log";
        assert_eq!(Failure::from(error).with_note("look at the log").of_a_call().text(), expected);
    }

    #[test]
    fn a_code_of_a_newer_peer_names_no_page_that_is_not_there() {
        let code = Code::received("XYZ9999".to_owned());
        let error = Error::new(ErrorKind::Limited, code, "call x.Y.z").with_retry_after(std::time::Duration::from_millis(20));
        let expected = "error: call x.Y.z\n  code: XYZ9999\n  try again after: 20 ms";
        assert_eq!(Failure::from(error).text(), expected);
    }

    #[test]
    fn a_refusal_is_told_apart_from_a_failure_by_its_exit_code() {
        let refused = Failure::refused("pay.Till.take".into(), "AM04".into(), json!({ "funds": { "short_by": 3 } }));
        let expected = "refused: AM04, by pay.Till.take; that is final\n  {\"funds\":{\"short_by\":3}}";
        assert_eq!(refused.text(), expected);
        assert_eq!(refused.json().to_string(), r#"{"refused":{"code":"AM04","refusal":{"funds":{"short_by":3}}}}"#);
        let failed = Failure::from(Error::new(ErrorKind::NotFound, codes::NO_TRANSACTION, "show 07"));
        let codes = [failed, Failure::failed("x"), Failure::wrong("x"), refused].map(|failure| failure.exit());
        assert_eq!(codes, [1, 1, 2, 3]);
    }
}
