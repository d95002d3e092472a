//! JSON, read only after a walk that counts brackets and values outside strings.
//!
//! The walk does not judge the grammar: serde_json does, and takes no memory on a declared length, for JSON has none.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::BodyLimits;
use super::error::{BadBytes, BodyError};

const NAME: &str = "json";

pub(super) fn encode<T>(value: &T, out: &mut impl io::Write) -> Result<(), BodyError>
where
    T: Serialize + ?Sized,
{
    serde_json::to_writer(out, value).map_err(|error| BodyError::Encode { codec: NAME, reason: error.to_string() })
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], limits: &BodyLimits) -> Result<T, BodyError> {
    check(bytes, limits)?;
    // `from_slice` refuses everything but white space behind the value.
    serde_json::from_slice(bytes).map_err(|error| BodyError::Decode { codec: NAME, reason: error.to_string() })
}

/// Whether `bytes`, if they are JSON, are within `limits`.
fn check(bytes: &[u8], limits: &BodyLimits) -> Result<(), BodyError> {
    let mut walk = Walk::default();
    for (offset, byte) in bytes.iter().enumerate() {
        walk.step(*byte);
        walk.judge(limits).map_err(|why| BodyError::Refused { codec: NAME, offset, why })?;
    }
    Ok(())
}

#[derive(Default)]
struct Walk {
    place: Place,
    depth: usize,
    /// Values begun behind a bracket, comma or colon: at least as many as exist, less the outermost.
    nodes: usize,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Place {
    #[default]
    Outside,
    InString,
    BehindBackslash,
}

impl Walk {
    fn step(&mut self, byte: u8) {
        self.place = match (self.place, byte) {
            (Place::Outside, b'"') | (Place::BehindBackslash, _) => Place::InString,
            (Place::InString, b'"') => Place::Outside,
            (Place::InString, b'\\') => Place::BehindBackslash,
            (place, _) => place,
        };
        if self.place == Place::Outside {
            self.count(byte);
        }
    }

    fn count(&mut self, byte: u8) {
        match byte {
            b'[' | b'{' => {
                self.depth += 1;
                self.nodes += 1;
            }
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b',' | b':' => self.nodes += 1,
            _ => {}
        }
    }

    fn judge(&self, limits: &BodyLimits) -> Result<(), BadBytes> {
        if self.depth > limits.depth {
            return Err(BadBytes::TooDeep { limit: limits.depth });
        }
        if self.nodes >= limits.nodes {
            return Err(BadBytes::TooManyNodes { limit: limits.nodes });
        }
        Ok(())
    }
}
