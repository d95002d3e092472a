//! Errors of the data folder that happen before an engine sees it.

use std::io;
use std::path::Path;

use settee_core::Error;
use settee_core::error::{ErrorKind, codes};

/// The folder at `path` cannot be used.
pub(crate) fn cannot_open(path: &Path, error: &io::Error) -> Error {
    let (kind, code, hint) = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::Denied, codes::STORE_READ_ONLY, "; give this user the right to write there, or choose another --data")
        }
        io::ErrorKind::StorageFull => (ErrorKind::Full, codes::STORE_FULL, "; make room, or choose another --data"),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            (ErrorKind::Invalid, codes::BAD_VALUE, "; it must be a folder: choose another --data")
        }
        _ => (ErrorKind::Unavailable, codes::STORE_UNAVAILABLE, ""),
    };
    Error::new(kind, code, format!("open the data folder {}: {error}{hint}", path.display()))
}

/// An engine cannot use what is in the folder at `path`; it knows its files, and not where they are.
pub(crate) fn cannot_use(path: &Path, error: &Error) -> Error {
    let message = format!("open the data folder {}: {}", path.display(), error.message());
    Error::new(error.kind(), error.code().clone(), message).with_certainty(error.certainty())
}
