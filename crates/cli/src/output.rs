//! What the commands write: results on stdout as tables or JSON, errors on stderr with what to do next, and the exit code.
//!
//! No colours and no boxes: the same bytes on a terminal, in a pipe and in a test. A reader that goes away (`| head`) ends the
//! output, not the command.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::{Value, json};
use settee::error::{Code, codes};
use settee::{Certainty, Error, ErrorKind};

/// What stands in a table where there is nothing.
pub(crate) const NOTHING: &str = "-";

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The command line is wrong; nobody was asked anything. Exit code 2.
    Usage(String),
    /// It failed, with one of the error codes. Exit code 1.
    Failed {
        /// What, and whether it happened.
        error: Error,
        /// What else is known, and what to do: a line each.
        notes: Vec<String>,
    },
    /// The service said no, and that is final. Exit code 3.
    Refused {
        /// `service.method`.
        method: String,
        /// The service's own code.
        code: String,
        /// What else the service said.
        refusal: Value,
    },
}

impl CommandError {
    /// The same failure, with one more line of advice.
    #[must_use]
    pub(crate) fn note(mut self, line: impl Into<String>) -> Self {
        if let Self::Failed { notes, .. } = &mut self {
            notes.push(line.into());
        }
        self
    }

    /// The same failure, with the command to type next.
    #[must_use]
    pub(crate) fn next(self, command: impl fmt::Display) -> Self {
        self.note(format!("try: {command}"))
    }

    /// The same error, of a call that somebody made: its first line of advice says whether it happened. A command that only looks,
    /// or that starts a process, leaves this out: it would read as if it spoke of what was looked at.
    #[must_use]
    pub(crate) fn of_a_call(mut self) -> Self {
        if let Self::Failed { error, notes } = &mut self {
            notes.insert(0, format!("did it happen: {}", happened(error.certainty())));
        }
        self
    }

    /// The exit code of a process that ends with this.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Failed { .. } => 1,
            Self::Usage(_) => 2,
            Self::Refused { .. } => 3,
        }
    }

    /// The same objects as over HTTP.
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Usage(message) => json!({ "usage": { "message": message } }),
            Self::Refused { code, refusal, .. } => json!({ "refused": { "code": code, "refusal": refusal } }),
            Self::Failed { error, .. } => json!({ "failed": {
                "kind": error.kind(),
                "certainty": error.certainty(),
                "code": error.code(),
                "message": error.message(),
                "retry_after_ms": error.retry_after().map(|wait| wait.as_millis()),
            }}),
        }
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self::Failed { error, notes: Vec::new() }
    }
}

/// Prints what a command came to, and turns it into the exit code of the process. With `json`, errors are one JSON object on stderr.
pub(crate) fn finish(outcome: Result<String, CommandError>, json: bool) -> ExitCode {
    match outcome {
        Ok(text) => match print(&text) {
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => failed(&error.into(), json),
        },
        Err(failure) => failed(&failure, json),
    }
}

fn failed(failure: &CommandError, json: bool) -> ExitCode {
    complain(if json { failure.json().to_string() } else { error_line(failure) });
    ExitCode::from(failure.exit_code())
}

/// Writes a line to stderr. Nobody is left to tell when that is closed.
pub(crate) fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// An error for people: one line that says what, then the code with its page, whether it happened, and what to do.
#[must_use]
pub(crate) fn error_line(failure: &CommandError) -> String {
    match failure {
        CommandError::Usage(message) => format!("error: {message}"),
        CommandError::Refused { method, code, refusal } => match refusal {
            // A variant without fields says no more than its name.
            Value::String(variant) => format!("refused: {code} {variant}, by {method}; that is final"),
            _ => format!("refused: {code}, by {method}; that is final\n  {refusal}"),
        },
        CommandError::Failed { error, notes } => {
            let mut lines = vec![format!("error: {}", error.message())];
            lines.push(format!("  code: {}", code_and_page(error.code())));
            lines.extend(error.retry_after().map(|wait| format!("  try again after: {} ms", wait.as_millis())));
            lines.extend(notes.iter().map(|note| format!("  {note}")));
            lines.join("\n")
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

/// Lines that line up: a header, and a row for each thing. A cell may not contain a line break.
#[must_use]
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A value as JSON, for people: two spaces a level.
///
/// # Errors
/// `Internal` when a map in it has keys that JSON cannot have.
pub(crate) fn pretty(value: &impl Serialize) -> Result<String, CommandError> {
    serde_json::to_string_pretty(value).map_err(|error| Error::internal(error).into())
}

/// A value as JSON on one line, for programs.
///
/// # Errors
/// As [`pretty`].
pub(crate) fn compact(value: &impl Serialize) -> Result<String, CommandError> {
    serde_json::to_string(value).map_err(|error| Error::internal(error).into())
}

/// A value that may be missing, as a cell.
#[must_use]
pub(crate) fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| value.to_string())
}

/// Whether people read what is printed.
#[must_use]
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Writes text and a line break to stdout. `false`: nobody reads any more.
///
/// # Errors
/// `Internal`, done, when stdout does not take it, such as a file on a full disk: what was asked for happened all the same.
pub(crate) fn print(text: &str) -> Result<bool, Error> {
    print_to(&mut io::stdout().lock(), text)
}

fn print_to(out: &mut impl Write, text: &str) -> Result<bool, Error> {
    read_on(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// Whether somebody still reads what was written to stdout.
///
/// # Errors
/// As [`print`].
pub(crate) fn read_on(written: io::Result<()>) -> Result<bool, Error> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            let message = format!("write to stdout: {error}");
            Err(Error::new(ErrorKind::Internal, codes::INTERNAL, message).with_certainty(Certainty::Done).caused_by(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stdout that takes nothing.
    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure_and_a_full_disk_is_never_silent() {
        assert!(print_to(&mut Vec::new(), "text").unwrap());
        assert!(!print_to(&mut Refusing(io::ErrorKind::BrokenPipe), "text").unwrap());
        let failed = print_to(&mut Refusing(io::ErrorKind::StorageFull), "text").unwrap_err();
        assert_eq!((failed.message(), failed.certainty()), ("write to stdout: no storage space", Certainty::Done));
    }

    #[test]
    fn an_unknown_outcome_is_never_shown_as_a_failure_that_may_be_repeated_blindly() {
        let error =
            Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, "call pay.Account.book: the connection closed").unknown();
        let expected = "error: call pay.Account.book: the connection closed\n  \
                        code: RPC0004, see docs/operations/errors/RPC0004.md\n  \
                        did it happen: unknown; ask, or repeat it under the same identity, and never treat it as failed\n  \
                        look at the log";
        assert_eq!(error_line(&CommandError::from(error).note("look at the log").of_a_call()), expected);
    }

    #[test]
    fn a_code_of_a_newer_peer_names_no_page_that_is_not_there() {
        let code = Code::received("XYZ9999".to_owned());
        let error = Error::new(ErrorKind::Limited, code, "call x.Y.z").with_retry_after(std::time::Duration::from_millis(20));
        let expected = "error: call x.Y.z\n  code: XYZ9999\n  try again after: 20 ms";
        assert_eq!(error_line(&error.into()), expected);
    }

    #[test]
    fn a_refusal_is_told_apart_from_a_failure_by_its_exit_code() {
        let refused = CommandError::Refused {
            method: "pay.Till.take".into(),
            code: "AM04".into(),
            refusal: json!({ "funds": { "short_by": 3 } }),
        };
        let expected = "refused: AM04, by pay.Till.take; that is final\n  {\"funds\":{\"short_by\":3}}";
        assert_eq!(error_line(&refused), expected);
        assert_eq!(refused.json().to_string(), r#"{"refused":{"code":"AM04","refusal":{"funds":{"short_by":3}}}}"#);
        let failed = CommandError::from(Error::new(ErrorKind::NotFound, codes::NO_TRANSACTION, "show 07"));
        let codes = [failed, CommandError::Usage(String::new()), refused].map(|failure| failure.exit_code());
        assert_eq!(codes, [1, 2, 3]);
    }

    #[test]
    fn columns_line_up_and_lines_end_where_their_text_does() {
        let rows = [["a".to_owned(), "1".to_owned()], ["longer".to_owned(), cell(None::<u32>)]];
        assert_eq!(table(["NAME", "COUNT"], rows), "NAME    COUNT\na       1\nlonger  -");
    }
}
