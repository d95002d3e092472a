//! What the commands write: results on stdout as tables or JSON. What goes wrong is said by [`Failure`], on stderr.
//!
//! No colours and no boxes: the same bytes on a terminal, in a pipe and in a test. A reader that goes away (`| head`) ends the
//! output, not the command.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use comfy_table::{Table, presets};
use serde::Serialize;
use settee::error::codes;
use settee::{Certainty, Error, ErrorKind};

use crate::failure::Failure;

/// What stands in a table where there is nothing.
pub(crate) const NOTHING: &str = "-";

/// Prints what a command came to, and turns it into the exit code of the process. With `json`, errors are one JSON object on stderr.
pub(crate) fn finish(outcome: Result<String, Failure>, json: bool) -> ExitCode {
    let printed = outcome.and_then(|text| Ok(print(&text)?));
    printed.map_or_else(|failure| failure.report(json), |_| ExitCode::SUCCESS)
}

/// Writes a line to stderr. Nobody is left to tell when that is closed.
pub(crate) fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
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
pub(crate) fn pretty(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Error::internal(error).into())
}

/// A value as JSON on one line, for programs.
///
/// # Errors
/// As [`pretty`].
pub(crate) fn compact(value: &impl Serialize) -> Result<String, Failure> {
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
    fn columns_line_up_and_lines_end_where_their_text_does() {
        let rows = [["a".to_owned(), "1".to_owned()], ["longer".to_owned(), cell(None::<u32>)]];
        assert_eq!(table(["NAME", "COUNT"], rows), "NAME    COUNT\na       1\nlonger  -");
    }
}
