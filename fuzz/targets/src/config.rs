//! The layers of a configuration: a file, then what the environment and the flags say.
//!
//! The input is divided at NUL: first the text of the file, then one assignment each, of the environment if it begins with a
//! capital letter, of `--set` otherwise.

use std::path::Path;

use serde::Deserialize;
use settee::Error;
use settee::config::Layers;
use settee_core::error::{ErrorKind, codes};

use crate::budget::Budget;

/// A key of a few bytes is a table, a name in two trees and a source.
const BUDGET: Budget = Budget { fixed: 128 << 10, per_byte: 512 };

/// What an application could ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Own {
    database: String,
    retries: u32,
    ratio: f64,
    names: Vec<String>,
    nested: Nested,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Nested {
    on: bool,
    deeper: std::collections::BTreeMap<String, i64>,
}

/// Checks one input.
///
/// # Panics
/// When something does not hold.
pub fn one(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match BUDGET.spend(input.len(), || read(text)) {
        Ok((settings, _own)) => match settings.parsed_share() {
            Ok(share) => assert!(share.is_none_or(|share| share.index < share.of), "{share:?}"),
            Err(error) => refused(&error),
        },
        Err(error) => refused(&error),
    }
}

fn read(text: &str) -> Result<(settee::config::Settings, Own), Error> {
    let mut parts = text.split('\0');
    let mut layers = Layers::new().with_file(Path::new("fuzz.toml"), parts.next().unwrap_or_default())?;
    for assignment in parts {
        layers = match assignment.split_once('=') {
            Some((name, value)) if name.starts_with(|first: char| first.is_ascii_uppercase()) => {
                layers.with_environment::<Own>("fuzz", [(name.to_owned(), value.to_owned())])
            }
            _ => layers.with_flag(assignment)?,
        };
    }
    layers.read()
}

/// The file is named where it cannot be read, and the key where it cannot be used.
fn refused(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    assert!([codes::UNKNOWN_KEY, codes::BAD_VALUE].contains(error.code()), "{error:?}");
    let message = error.message();
    assert!(message.starts_with("read fuzz.toml: ") || message.starts_with("read the configuration: "), "{message}");
}
