//! Stacking the layers, and errors that say which layer was wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use toml::{Table, Value};

use super::names::{fields_of, nearest};
use super::settings::Settings;

/// The table of settee's own settings.
const SETTEE: &str = "settee";

/// Parts of a key of a flag at most: `settee.share` has two, and nobody nests a configuration as deep as this. Each becomes a
/// table in the one before it, and tables without end would end the stack. A file is bounded by its parser.
const MAX_KEY_PARTS: usize = 16;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// `--set`.
    Flag,
}

/// The layers of one process, lowest first.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    values: Table,
    sources: BTreeMap<String, Source>,
}

impl Layers {
    /// Only defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the text of the TOML file at `path`.
    ///
    /// # Errors
    /// `Invalid` (`APP0002`) when it is not TOML, with the place.
    pub fn with_file(mut self, path: &Path, text: &str) -> Result<Self, Error> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let message = format!("read {}: {}", path.display(), error.to_string().trim_end());
            Error::new(ErrorKind::Invalid, codes::BAD_VALUE, message)
        })?;
        for (key, value) in table {
            self.put(&[&key], value, &Source::File(path.to_owned()));
        }
        Ok(self)
    }

    /// Adds what the environment says: `SETTEE_X` for `settee.x`, `APPLICATION_X` for `x`. Of the application's own names only
    /// those count that `C` has, because other programs may use the same prefix.
    #[must_use]
    pub fn with_environment<C: DeserializeOwned>(
        mut self,
        application: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let own = format!("{}_", application.to_uppercase().replace('-', "_"));
        let known = fields_of::<C>().unwrap_or_default();
        for (name, text) in variables {
            let source = Source::Environment(name.clone());
            if let Some(key) = name.strip_prefix("SETTEE_") {
                self.put(&[SETTEE, &key.to_lowercase()], guess(&text), &source);
            } else if let Some(key) = name.strip_prefix(&own).map(str::to_lowercase)
                && known.contains(&&*key)
            {
                self.put(&[&key], guess(&text), &source);
            }
        }
        self
    }

    /// Adds one `key=value` of a `--set` flag; dots in the key go into tables.
    ///
    /// # Errors
    /// `Invalid` (`APP0002`) when there is no `=`, or before it no key: up to 16 parts, none of them empty.
    pub fn with_flag(mut self, assignment: &str) -> Result<Self, Error> {
        let Some((key, text)) = assignment.split_once('=') else {
            return Err(bad_value("--set", assignment, "expected `key=value`"));
        };
        let path: Vec<_> = key.trim().split('.').take(MAX_KEY_PARTS + 1).collect();
        if path.len() > MAX_KEY_PARTS || path.iter().any(|part| part.trim().is_empty()) {
            let reason = format!("a key has up to {MAX_KEY_PARTS} parts with dots between them, and none is empty");
            return Err(bad_value("--set", assignment, &reason));
        }
        self.put(&path, guess(text.trim()), &Source::Flag);
        Ok(self)
    }

    /// Where each key that is set came from.
    #[must_use]
    pub fn sources(&self) -> &BTreeMap<String, Source> {
        &self.sources
    }

    /// settee's settings and the application's own.
    ///
    /// # Errors
    /// `Invalid`: `APP0001` for a key that nobody knows, with the nearest that exists; `APP0002` for a value that cannot be read.
    pub fn read<C: DeserializeOwned>(&self) -> Result<(Settings, C), Error> {
        let mut own = self.values.clone();
        let settee = match own.remove(SETTEE) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => return Err(bad_value(SETTEE, other.type_str(), "expected a table")),
        };
        let settings = self.part::<Settings>(settee, &format!("{SETTEE}."))?;
        Ok((settings, self.part(own, "")?))
    }

    fn part<T: DeserializeOwned>(&self, table: Table, prefix: &str) -> Result<T, Error> {
        if let Some(known) = fields_of::<T>()
            && let Some(unknown) = table.keys().find(|key| !known.contains(&key.as_str()))
        {
            return Err(self.unknown_key(&format!("{prefix}{unknown}"), unknown, known));
        }
        Value::Table(table).try_into().map_err(|error: toml::de::Error| self.unreadable(prefix, error.message(), &error))
    }

    /// What serde could not read, with the key and where that came from. A key that is missing came from nowhere.
    fn unreadable(&self, prefix: &str, why: &str, error: &toml::de::Error) -> Error {
        let shown = error.to_string();
        let key = shown.rsplit_once("in `").and_then(|(_, key)| key.trim_end().strip_suffix('`'));
        let missing = why.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        let message = match (missing, key) {
            (Some(key), _) => {
                format!("`{prefix}{key}` is missing; give it with --set {prefix}{key}=VALUE, or in the file that --config names")
            }
            (None, Some(key)) => format!("`{prefix}{key}`{}: {why}", self.origin(&format!("{prefix}{key}"))),
            (None, None) => why.to_owned(),
        };
        Error::new(ErrorKind::Invalid, codes::BAD_VALUE, format!("read the configuration: {message}"))
    }

    /// Where a key came from, as the end of a sentence.
    fn origin(&self, full: &str) -> String {
        match self.sources.get(full) {
            Some(Source::File(path)) => format!(" in {}", path.display()),
            Some(Source::Environment(name)) => format!(" from the environment variable {name}"),
            Some(Source::Flag) => " from --set".to_owned(),
            None => String::new(),
        }
    }

    fn unknown_key(&self, full: &str, unknown: &str, known: &[&str]) -> Error {
        let from = self.origin(full);
        let hint = match nearest(unknown, known.iter().copied()) {
            Some(name) => format!("did you mean {}?", self.spelled(full, unknown, name)),
            None if known.is_empty() => "there are no keys here".to_owned(),
            None => format!("known are {}", known.join(", ")),
        };
        Error::new(ErrorKind::Invalid, codes::UNKNOWN_KEY, format!("read the configuration: unknown key `{full}`{from}; {hint}"))
    }

    /// The right name as it is given where the wrong one stood.
    fn spelled(&self, full: &str, wrong: &str, right: &str) -> String {
        match self.sources.get(full) {
            Some(Source::Flag) => format!("--set {}{right}=VALUE", full.strip_suffix(wrong).unwrap_or_default()),
            Some(Source::Environment(name)) => {
                let prefix = name.get(..name.len().saturating_sub(wrong.len())).unwrap_or_default();
                format!("{prefix}{}", right.to_uppercase())
            }
            _ => format!("`{right}`"),
        }
    }

    fn put(&mut self, path: &[&str], value: Value, source: &Source) {
        if let Value::Table(table) = value {
            for (key, value) in table {
                self.put(&[path, &[&key]].concat(), value, source);
            }
            return;
        }
        let Some((last, tables)) = path.split_last() else { return };
        let mut place = &mut self.values;
        for name in tables {
            let entry = place.entry((*name).to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if !entry.is_table() {
                *entry = Value::Table(Table::new());
            }
            let Value::Table(inner) = entry else { return };
            place = inner;
        }
        place.insert((*last).to_owned(), value);
        self.sources.insert(path.join("."), source.clone());
    }
}

/// Text from the environment or a flag: a TOML value if it reads as one, else the text itself.
fn guess(text: &str) -> Value {
    let plain = || Value::String(text.to_owned());
    match format!("value = {text}").parse::<Table>() {
        Ok(mut table) => table.remove("value").filter(|value| !value.is_datetime()).unwrap_or_else(plain),
        Err(_) => plain(),
    }
}

pub(super) fn bad_value(key: &str, value: &str, expected: &str) -> Error {
    Error::new(ErrorKind::Invalid, codes::BAD_VALUE, format!("read the configuration: {key} = {value:?}; {expected}"))
}
