//! What a database error is called: SQLite's result codes as coded errors that say what was tried, where, and what to do.
//!
//! Every error here is `NotDone`: whatever fails before a commit has no lasting effect. Only a commit knows better. And every one
//! is [of a step](Error::of_step): what a handler did before it came here, somewhere else, is not undone with it.

use std::fmt;
use std::path::Path;

use settee_core::Error;
use settee_core::error::{Code, ErrorKind, codes};

/// SQLite's primary result codes that mean something of their own here (`sqlite3.h`).
pub(crate) const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READ_ONLY: i32 = 8;
pub(crate) const IO_ERROR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const CONSTRAINT: i32 = 19;
const NOT_A_DATABASE: i32 = 26;

/// The low byte of a result code is the primary one, the rest its detail.
const PRIMARY: i32 = 0xff;

/// SQLite's primary result code, if the error is one of SQLite.
pub(crate) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & PRIMARY)
}

/// The error of `doing` something at `place`: a step of whoever asked for it.
pub(crate) fn of_statement(doing: impl fmt::Display, place: &Path, error: sqlx::Error) -> Error {
    coded(&format!("{doing} in {}", place.display()), error)
}

fn coded(attempt: &str, error: sqlx::Error) -> Error {
    let (kind, code, advice) = class(&error);
    Error::new(kind, code, format!("{attempt}: {error}{advice}")).caused_by(error).of_step()
}

/// The error of opening `place`: what stands there instead of a database is looked at only now.
pub(crate) fn of_opening(place: &Path, error: sqlx::Error) -> Error {
    if primary_code(&error) != Some(CANNOT_OPEN) {
        return coded(&format!("open database {}", place.display()), error);
    }
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cause = if place.is_dir() {
        "it is a folder; name a file in it".to_owned()
    } else if !folder.is_dir() {
        format!("the folder {0} does not exist; create it with `mkdir -p {0}`", folder.display())
    } else {
        "the file or its folder may not be read or written; give the service's user the right to".to_owned()
    };
    let message = format!("open database {}: {cause}", place.display());
    Error::new(ErrorKind::NotFound, codes::STORE_UNAVAILABLE, message).caused_by(error).of_step()
}

fn class(error: &sqlx::Error) -> (ErrorKind, Code, &'static str) {
    match primary_code(error) {
        Some(BUSY | LOCKED) => {
            (ErrorKind::Unavailable, codes::STORE_LOCKED, "; another process writes to it: find it, or try again")
        }
        Some(READ_ONLY) => (ErrorKind::Denied, codes::STORE_READ_ONLY, "; make the file and its folder writable"),
        Some(FULL) => (ErrorKind::Full, codes::STORE_FULL, "; make room on its disk"),
        Some(CORRUPT) => (ErrorKind::Damaged, codes::STORE_DAMAGED, "; restore a backup"),
        Some(NOT_A_DATABASE) => {
            (ErrorKind::Damaged, codes::STORE_DAMAGED, "; it was left as it is: name another file, or restore a backup")
        }
        Some(CONSTRAINT) => (ErrorKind::Conflict, codes::DATABASE_FAILED, ""),
        Some(IO_ERROR | CANNOT_OPEN) => (ErrorKind::Unavailable, codes::DATABASE_FAILED, "; look at its disk"),
        _ if lacks_a_table(error) => (
            ErrorKind::NotFound,
            codes::TABLES_MISSING,
            "; somebody dropped it: restore it from a backup, a restart makes an empty one",
        ),
        _ if matches!(error, sqlx::Error::WorkerCrashed | sqlx::Error::Io(_)) => {
            (ErrorKind::Unavailable, codes::DATABASE_FAILED, "")
        }
        _ => (ErrorKind::Internal, codes::DATABASE_FAILED, ""),
    }
}

fn lacks_a_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().contains("no such table: settee_"))
}
