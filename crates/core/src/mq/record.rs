//! What one record of a partition's stream holds: a message with its logical offset and its producer's mark, or a barrier.
//!
//! ```text
//! version u8 | kind u8 | generation u32 | epoch u64 | and for a message, little-endian throughout:
//! offset u64 | producer u64 | producer epoch u64 | sequence u64 | published i64 us | not before i64 us (MIN: at once)
//! id u16+bytes | key u16+bytes (0xffff: none) | headers u16 x (name u16+bytes, value u32+bytes) | payload: the rest
//! ```
//! Checksums belong to the log below. Decoding trusts nothing: every length is checked before it is used.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, codes};
use crate::id::{Epoch, FencingToken, Generation, Offset};
use crate::time::Timestamp;

/// The version of the stored form that is written.
const VERSION: u8 = 1;
const BARRIER: u8 = 0;
const MESSAGE: u8 = 1;
const NO_KEY: u16 = u16::MAX;
const AT_ONCE: i64 = i64::MIN;

/// Version, kind, generation and epoch: what every record begins with, and all that a barrier is.
const HEAD_BYTES: usize = 1 + 1 + 4 + 8;

/// Bytes of one encoded record at most: what a replicated log takes as one message.
pub const MAX_RECORD_BYTES: usize = 1 << 20;
/// Bytes of a message's id and of its key at most: both are held in memory for every open message of every group.
pub const MAX_NAME_BYTES: usize = 512;
/// Headers of a message at most; far above what tracing and routing need.
pub const MAX_HEADERS: usize = 64;
/// Bytes of all header names and values at most.
pub const MAX_HEADER_BYTES: usize = 16 << 10;

/// The header that carries the W3C trace context of the sender.
pub const TRACE_HEADER: &str = "traceparent";

/// Who sent a message, and its number among what that producer sent in this epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProducerMark {
    /// The producer.
    pub producer: u64,
    /// Which life of it; a newer one fences the older.
    pub epoch: u64,
    /// The number of the message within the epoch. Numbers may be skipped, never used twice.
    pub sequence: u64,
}

/// A message as its sender made it.
///
/// ```
/// use settee_core::mq::Message;
///
/// let message = Message { key: Some("account-7".to_owned()), ..Message::new("m-1", "settled") };
/// assert!(message.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender's name for it, the same in every repeat.
    pub id: String,
    /// Messages of one key are delivered in order. `None`: no order.
    pub key: Option<String>,
    /// What travels beside the payload: the trace in [`TRACE_HEADER`], and what users attach.
    pub headers: BTreeMap<String, String>,
    /// When it was published, by the owner's clock.
    pub published: Timestamp,
    /// Not to be delivered before this moment. `None`: at once. A message that waits does not hold back its key.
    pub not_before: Option<Timestamp>,
    /// The content.
    pub payload: Bytes,
}

impl Message {
    /// A message without key, headers and delay.
    pub fn new(id: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            id: id.into(),
            key: None,
            headers: BTreeMap::new(),
            published: Timestamp::EPOCH,
            not_before: None,
            payload: payload.into(),
        }
    }

    /// Bytes that it takes when it is stored.
    #[must_use]
    pub fn stored_size(&self) -> usize {
        const FIXED: usize = HEAD_BYTES + 4 * 8 + 2 * 8 + 2 + 2 + 2;
        let headers: usize = self.headers.iter().map(|(name, value)| 6 + name.len() + value.len()).sum();
        FIXED + self.id.len() + self.key.as_ref().map_or(0, String::len) + headers + self.payload.len()
    }

    /// Whether it is within the limits of this module.
    ///
    /// # Errors
    /// `Invalid` (`MSG0002`) with the limit that it is over.
    pub fn check(&self) -> Result<(), Error> {
        let header_bytes: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        within("bytes of its id", self.id.len(), MAX_NAME_BYTES)?;
        within("bytes of its key", self.key.as_ref().map_or(0, String::len), MAX_NAME_BYTES)?;
        within("headers", self.headers.len(), MAX_HEADERS)?;
        within("bytes of headers", header_bytes, MAX_HEADER_BYTES)?;
        within("bytes in all", self.stored_size(), MAX_RECORD_BYTES)
    }
}

fn within(what: &str, actual: usize, limit: usize) -> Result<(), Error> {
    if actual <= limit {
        return Ok(());
    }
    let text = format!("store message: {actual} {what} are over the limit of {limit}");
    Err(Error::new(ErrorKind::Invalid, codes::MESSAGE_TOO_LARGE, text))
}

/// A message in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its logical offset: dense over the messages of the partition, barriers not counted.
    pub offset: Offset,
    /// Who sent it.
    pub mark: ProducerMark,
    /// What was sent.
    pub message: Message,
}

/// One record of a partition's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Written by an owner before anything else: once it is answered, nothing that was under way before can land any more.
    Barrier {
        /// The ownership that wrote it.
        owner: FencingToken,
    },
    /// A message.
    Message {
        /// The ownership that wrote it.
        owner: FencingToken,
        /// The message.
        stored: StoredMessage,
    },
}

impl Record {
    /// The message in it, if it is one.
    #[must_use]
    pub fn message(&self) -> Option<&StoredMessage> {
        match self {
            Self::Barrier { .. } => None,
            Self::Message { stored, .. } => Some(stored),
        }
    }

    /// The stored form.
    ///
    /// # Errors
    /// `Invalid` (`MSG0002`) when a message is over a limit.
    pub fn encode(&self) -> Result<Bytes, Error> {
        match self {
            Self::Barrier { owner } => Ok(start(HEAD_BYTES, BARRIER, *owner).freeze()),
            Self::Message { owner, stored } => {
                stored.message.check()?;
                let mut out = start(stored.message.stored_size(), MESSAGE, *owner);
                put_message(&mut out, stored);
                Ok(out.freeze())
            }
        }
    }

    /// The record whose stored form this is. The payload shares the memory of `bytes`.
    ///
    /// # Errors
    /// `Unsupported` (`STO0003`) for a newer version, `Damaged` (`STO0002`) for anything else that is not a record.
    pub fn decode(bytes: &Bytes) -> Result<Self, Error> {
        let mut rest = bytes.clone();
        match rest.try_get_u8() {
            Ok(VERSION) => decode_body(&mut rest).ok_or_else(|| damaged(bytes.len())),
            Ok(version @ VERSION..) => {
                let text = format!("read message record: version {version} is newer than {VERSION}");
                Err(Error::new(ErrorKind::Unsupported, codes::STORE_NEWER, text))
            }
            _ => Err(damaged(bytes.len())),
        }
    }
}

fn damaged(length: usize) -> Error {
    let text = format!("read message record: {length} bytes that are not one");
    Error::new(ErrorKind::Damaged, codes::STORE_DAMAGED, text)
}

fn start(size: usize, kind: u8, owner: FencingToken) -> BytesMut {
    let mut out = BytesMut::with_capacity(size);
    out.put_u8(VERSION);
    out.put_u8(kind);
    out.put_u32_le(owner.generation.0);
    out.put_u64_le(owner.epoch.0);
    out
}

fn put_message(out: &mut BytesMut, stored: &StoredMessage) {
    let StoredMessage { offset, mark, message } = stored;
    for number in [offset.0, mark.producer, mark.epoch, mark.sequence] {
        out.put_u64_le(number);
    }
    out.put_i64_le(message.published.micros());
    out.put_i64_le(message.not_before.map_or(AT_ONCE, Timestamp::micros));
    put_short(out, &message.id);
    match &message.key {
        Some(key) => put_short(out, key),
        None => out.put_u16_le(NO_KEY),
    }
    out.put_u16_le(short(message.headers.len()));
    for (name, value) in &message.headers {
        put_short(out, name);
        out.put_u32_le(u32::from(short(value.len())));
        out.put_slice(value.as_bytes());
    }
    out.put_slice(&message.payload);
}

fn put_short(out: &mut BytesMut, text: &str) {
    out.put_u16_le(short(text.len()));
    out.put_slice(text.as_bytes());
}

fn short(length: usize) -> u16 {
    u16::try_from(length).expect("lengths were checked against limits below 64 KiB")
}

fn decode_body(rest: &mut Bytes) -> Option<Record> {
    let kind = rest.try_get_u8().ok()?;
    let generation = Generation(rest.try_get_u32_le().ok()?);
    let owner = FencingToken { generation, epoch: Epoch(rest.try_get_u64_le().ok()?) };
    match kind {
        BARRIER if rest.is_empty() => Some(Record::Barrier { owner }),
        MESSAGE => decode_message(rest).map(|stored| Record::Message { owner, stored }),
        _ => None,
    }
}

fn decode_message(rest: &mut Bytes) -> Option<StoredMessage> {
    let offset = Offset(rest.try_get_u64_le().ok()?);
    let producer = rest.try_get_u64_le().ok()?;
    let epoch = rest.try_get_u64_le().ok()?;
    let sequence = rest.try_get_u64_le().ok()?;
    let published = Timestamp::from_micros(rest.try_get_i64_le().ok()?);
    let not_before = Some(rest.try_get_i64_le().ok()?).filter(|micros| *micros != AT_ONCE).map(Timestamp::from_micros);
    let id_length = rest.try_get_u16_le().ok()?;
    let id = take_text(rest, usize::from(id_length), MAX_NAME_BYTES)?;
    let key = match rest.try_get_u16_le().ok()? {
        NO_KEY => None,
        length => Some(take_text(rest, usize::from(length), MAX_NAME_BYTES)?),
    };
    let headers = take_headers(rest)?;
    let payload = std::mem::take(rest);
    let message = Message { id, key, headers, published, not_before, payload };
    Some(StoredMessage { offset, mark: ProducerMark { producer, epoch, sequence }, message })
}

fn take_headers(rest: &mut Bytes) -> Option<BTreeMap<String, String>> {
    let count = usize::from(rest.try_get_u16_le().ok()?);
    if count > MAX_HEADERS {
        return None;
    }
    let mut headers = BTreeMap::new();
    for _ in 0..count {
        let name_length = rest.try_get_u16_le().ok()?;
        let name = take_text(rest, usize::from(name_length), MAX_HEADER_BYTES)?;
        let value_length = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
        headers.insert(name, take_text(rest, value_length, MAX_HEADER_BYTES)?);
    }
    Some(headers)
}

fn take_text(rest: &mut Bytes, length: usize, limit: usize) -> Option<String> {
    if length > limit || length > rest.len() {
        return None;
    }
    String::from_utf8(rest.split_to(length).into()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_record() -> impl Strategy<Value = Record> {
        let message = ("[a-z]{0,9}", proptest::option::of("[a-z]{0,9}"), any::<i64>(), any::<[u64; 4]>(), any::<Vec<u8>>());
        let headers = proptest::collection::btree_map("[a-z]{1,9}", ".{0,20}", 0..5);
        (message, headers).prop_map(|((id, key, micros, [offset, producer, epoch, sequence], payload), headers)| {
            let published = Timestamp::from_micros(micros);
            let not_before = (micros % 2 == 0 && micros != AT_ONCE).then_some(published);
            let message = Message { id, key, headers, published, not_before, payload: payload.into() };
            let mark = ProducerMark { producer, epoch, sequence };
            let owner = FencingToken { generation: Generation(1), epoch: Epoch(epoch) };
            Record::Message { owner, stored: StoredMessage { offset: Offset(offset), mark, message } }
        })
    }

    proptest! {
        #[test]
        fn what_is_stored_is_what_is_read(record in any_record()) {
            prop_assert_eq!(Record::decode(&record.encode().unwrap()).unwrap(), record);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>, flip: usize, record in any_record()) {
            let _ = Record::decode(&bytes.into());
            let mut encoded = record.encode().unwrap().to_vec();
            let at = flip % encoded.len();
            encoded[at] ^= 0x55;
            let _ = Record::decode(&encoded.clone().into());
            let _ = Record::decode(&encoded[..at].to_vec().into());
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        assert_eq!(Record::decode(&Bytes::from_static(&[2, 0])).unwrap_err().code(), &codes::STORE_NEWER);
        assert_eq!(Record::decode(&Bytes::from_static(&[1, 9])).unwrap_err().code(), &codes::STORE_DAMAGED);
        assert_eq!(Record::decode(&Bytes::new()).unwrap_err().code(), &codes::STORE_DAMAGED);
    }

    #[test]
    fn a_message_over_a_limit_is_refused_before_it_is_stored() {
        let large = Message::new("m", vec![0; MAX_RECORD_BYTES]);
        let long_key = Message { key: Some("k".repeat(MAX_NAME_BYTES + 1)), ..Message::new("m", "") };
        for message in [large, long_key] {
            assert_eq!(message.check().unwrap_err().code(), &codes::MESSAGE_TOO_LARGE);
        }
    }

    #[test]
    fn the_stored_size_is_exact() {
        let message = Message { headers: [("a".to_owned(), "bc".to_owned())].into(), ..Message::new("m-1", "payload") };
        let mark = ProducerMark { producer: 1, epoch: 1, sequence: 1 };
        let stored = StoredMessage { offset: Offset(0), mark, message };
        let size = stored.message.stored_size();
        assert_eq!(Record::Message { owner: FencingToken::default(), stored }.encode().unwrap().len(), size);
    }
}
