//! From a path to text: size and encoding are settled here, before any parser sees a byte.

#![expect(clippy::disallowed_methods, reason = "the user's own file, read once by the process before anything is simulated")]

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::problem::{Problem, Problems, quoted};

/// Bytes a file may have. A million transfers as CSV take about 80 MB; the limit is what one machine holds twice.
pub(super) const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// Characters of an identifier or account number. ISO 20022 allows 35; more than this is a column gone astray.
pub(super) const MAX_ID_CHARS: usize = 140;

/// Characters of an owner's name or a remittance text; ISO 20022 allows 140 a line.
pub(super) const MAX_TEXT_CHARS: usize = 4_096;

/// Text with a name for it.
pub(super) struct Source<'a> {
    /// As the user named it.
    pub(super) file: &'a Path,
    /// UTF-8 without its byte order mark, in which nothing [`is_forbidden`].
    pub(super) text: &'a str,
}

/// The bytes of `path`, if there are not too many.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Problems> {
    read_up_to(path, MAX_FILE_BYTES)
}

fn read_up_to(path: &Path, limit: u64) -> Result<Vec<u8>, Problems> {
    let refuse = |reason: String| Problems::one(path, Problem::whole(reason));
    let cannot = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => refuse("no such file".into()),
        _ => refuse(format!("cannot be read: {error}")),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    // Not the length the file claims: a pipe or a growing file has none.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > limit {
        return Err(refuse(format!("is larger than {limit} bytes")));
    }
    Ok(bytes)
}

impl<'a> Source<'a> {
    /// Accepts UTF-8, with or without a byte order mark, that a text file can hold.
    pub(super) fn decode(file: &'a Path, bytes: &'a [u8]) -> Result<Self, Problems> {
        let refuse =
            |at: usize, reason: &str| Problems::one(file, Problem::at(1 + newlines(bytes.get(..at).unwrap_or_default()), reason));
        if matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, ..] | [_, 0, ..]) {
            return Err(refuse(0, "is not UTF-8 (it looks like UTF-16 or UTF-32)"));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| refuse(error.valid_up_to(), "is not UTF-8"))?;
        if let Some((at, control)) = text.char_indices().find(|(_, symbol)| is_forbidden(*symbol)) {
            let kind = if control.is_control() { "control character" } else { "noncharacter" };
            return Err(refuse(at, &format!("holds the {kind} U+{:04X}", u32::from(control))));
        }
        Ok(Self { file, text: text.strip_prefix('\u{feff}').unwrap_or(text) })
    }
}

/// Controls have no place in a payment and would steer the terminal that shows it. The two noncharacters cannot stand in XML, so
/// no answer could repeat them.
pub(super) fn is_forbidden(symbol: char) -> bool {
    matches!(symbol, '\u{fffe}' | '\u{ffff}') || symbol.is_control() && !matches!(symbol, '\t' | '\n' | '\r')
}

/// Checks a value that identifies something: there, on one line, of sane length. `name` is how the file calls it.
pub(super) fn check_id(name: &str, value: &str) -> Result<(), String> {
    if value.trim().is_empty() {
        return Err(format!("{name} is empty"));
    }
    if value.contains(char::is_control) {
        return Err(format!("{name} {} holds a line break or tab", quoted(value)));
    }
    check_length(name, value, MAX_ID_CHARS)
}

/// Checks the length of free text.
pub(super) fn check_text(name: &str, value: &str) -> Result<(), String> {
    check_length(name, value, MAX_TEXT_CHARS)
}

fn check_length(name: &str, value: &str, limit: usize) -> Result<(), String> {
    // Bytes first: counting the characters of something absurd is itself absurd.
    if value.len() > limit && (value.len() > limit * 4 || value.chars().count() > limit) {
        return Err(format!("{name} is longer than {limit} characters"));
    }
    Ok(())
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_limit_is_refused_after_reading_no_more_than_the_limit() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let size = read(&path).unwrap().len() as u64;
        assert!(read_up_to(&path, size).is_ok());
        let refusal = read_up_to(&path, size - 1).unwrap_err().to_string();
        assert!(refusal.ends_with(&format!(": is larger than {} bytes", size - 1)), "{refusal}");
    }
}
