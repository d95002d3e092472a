//! Why a value could not be written or read.

use thiserror::Error;

/// Why a value could not be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The value could not be written.
    #[error("encode {codec} body: {reason}")]
    Encode {
        /// The codec's name.
        codec: &'static str,
        /// What the serialiser or the writer said.
        reason: String,
    },
    /// The bytes were refused before a value was built.
    #[error("decode {codec} body at byte {offset}: {why}")]
    Refused {
        /// The codec's name.
        codec: &'static str,
        /// Where, from 0.
        offset: usize,
        /// Why.
        why: BadBytes,
    },
    /// The bytes are within limits but not a value of the type asked for, or not well-formed.
    #[error("decode {codec} body: {reason}")]
    Decode {
        /// The codec's name.
        codec: &'static str,
        /// What serde said: which field, type or text position.
        reason: String,
    },
}

/// Why bytes were refused before a value was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadBytes {
    /// Nested deeper than allowed.
    #[error("nested deeper than {limit}")]
    TooDeep {
        /// The most allowed.
        limit: usize,
    },
    /// More values than allowed.
    #[error("more than {limit} values")]
    TooManyNodes {
        /// The most allowed.
        limit: usize,
    },
    /// A length that the bytes left cannot fulfil.
    #[error("{declared} bytes or values declared, {left} bytes left")]
    Truncated {
        /// What is announced, at least one byte each.
        declared: u64,
        /// Bytes left.
        left: usize,
    },
    /// Bytes behind the value.
    #[error("{count} bytes behind the value")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// A byte that begins no value.
    #[error("byte {marker:#04x} begins no value")]
    Reserved {
        /// The byte.
        marker: u8,
    },
}
