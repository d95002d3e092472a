//! The log port: named streams of records with dense offsets.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{BoxFuture, StoreError};
use crate::id::Offset;

/// Named streams of records. A stream exists as soon as something is appended to it; offsets are dense from 0.
///
/// # Errors
/// Every method fails with a [`StoreError`]; its `certainty` says whether an append happened.
///
/// # Cancel safety
/// A dropped read has no effect. A dropped append may still happen: its outcome is then unknown.
pub trait Log: Send + Sync + 'static {
    /// Appends all records of `append.batch` at consecutive offsets, or none; durable when it returns.
    ///
    /// Appends to one stream take effect in the order in which they were called. Repeating one is safe only with
    /// `expected_tail`, which the first one invalidates.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, StoreError>>;

    /// Records from `from` on, in order: only durable ones, at least one if there is one, never more than `limit`.
    ///
    /// An offset that was trimmed away gives the first record that is still there.
    fn read(&self, stream: &StreamName, from: Offset, limit: ReadLimit) -> BoxFuture<'_, Result<Vec<Record>, StoreError>>;

    /// The offset that the next record will get: 0 for a stream that does not exist.
    fn tail(&self, stream: &StreamName) -> BoxFuture<'_, Result<Offset, StoreError>>;

    /// Allows the engine to forget records before `before`. Safe to repeat.
    fn trim(&self, stream: &StreamName, before: Offset) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The streams that exist, in order of their names.
    fn streams(&self) -> BoxFuture<'_, Result<Vec<StreamName>, StoreError>>;
}

/// The name of a stream: 1 to 255 bytes of ASCII letters, digits, `.`, `-`, `_` and `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// A name, if `text` is one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/".contains(&byte);
        let is_name = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(allowed);
        is_name.then(|| Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Records to append together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The stream.
    pub stream: StreamName,
    /// The records, at least one.
    pub batch: Vec<Bytes>,
    /// Only append if the stream's tail is this. `None`: wherever it is.
    pub expected_tail: Option<Offset>,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The first record got this offset, the others follow; all are durable.
    At(Offset),
    /// The tail was not the expected one but this; nothing was appended.
    TailIs(Offset),
}

/// How much to read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// Records at most.
    pub records: usize,
    /// Bytes of records at most; the first record is returned even if it is larger.
    pub bytes: usize,
}

/// One record of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its position.
    pub offset: Offset,
    /// What was appended.
    pub payload: Bytes,
}
