//! Writes frames. A whole [`Frame`] in one go, or in three steps that serialise header and content straight into the
//! connection's buffer and fill in the lengths afterwards: one copy, no temporary.
//!
//! A frame that fails, or is dropped before [`ContentWriter::finish`], leaves no byte behind: the buffer always ends at a
//! frame's end.

use std::io;

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use super::decode::{COMMAND_HEARTBEAT, COMMAND_REQUEST, COMMAND_RESPONSE, ONEWAY, PROTOCOL_V1, PROTOCOL_V2, REQUEST, RESPONSE};
use super::header::{pair_len, write_pair};
use super::{Frame, Head, Kind, Limits, Part, Version};

/// Class, header and content lengths: 2 + 2 + 4 bytes.
const LENGTHS_BYTES: usize = 8;

/// Writes frames within limits.
///
/// ```
/// use std::io::Write;
/// use bytes::BytesMut;
/// use settee_wire::bolt::{Codec, Encoder, Head, Kind, Limits, Timeout, Version};
///
/// let head = Head {
///     version: Version::V1,
///     codec: Codec::JSON,
///     request_id: 1,
///     kind: Kind::Call { timeout: Timeout::from_millis(3_000) },
/// };
/// let mut out = BytesMut::new();
/// let mut header = Encoder::new(Limits::default()).begin(&mut out, &head, "settee")?;
/// header.pair("service", "accounts:1.0")?;
/// let mut content = header.content();
/// content.write_all(b"{}")?;
/// content.finish()?;
/// assert_eq!(out.len(), 22 + 6 + 4 + 7 + 4 + 12 + 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    limits: Limits,
}

impl Encoder {
    /// An encoder within `limits`, lowered to their ceilings.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits: limits.clamped() }
    }

    /// Appends `frame` to `out`.
    ///
    /// # Errors
    /// When a part is over its limit; `out` is then as before.
    pub fn encode(&self, frame: &Frame, out: &mut BytesMut) -> Result<(), EncodeError> {
        let mut draft = Draft::begin(out, &frame.head, self.limits);
        draft.append(Part::Class, &frame.body.class)?;
        draft.append(Part::Header, &frame.body.header)?;
        draft.append(Part::Content, &frame.body.content)?;
        draft.finish();
        Ok(())
    }

    /// Begins a frame at the end of `out`; header pairs come next.
    ///
    /// # Errors
    /// When `class` is over its limit; `out` is then as before.
    pub fn begin<'a>(&self, out: &'a mut BytesMut, head: &Head, class: &str) -> Result<HeaderWriter<'a>, EncodeError> {
        let mut draft = Draft::begin(out, head, self.limits);
        draft.append(Part::Class, class.as_bytes())?;
        Ok(HeaderWriter { draft, entries: 0 })
    }
}

/// A frame whose header map is being written. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct HeaderWriter<'a> {
    draft: Draft<'a>,
    entries: usize,
}

impl<'a> HeaderWriter<'a> {
    /// Appends a pair. Equal keys are not looked for; readers take the last.
    ///
    /// # Errors
    /// When the header would be over its limit in bytes or entries; the pair is then not written.
    pub fn pair(&mut self, key: &str, value: &str) -> Result<(), EncodeError> {
        let limit = self.draft.limits.header_entries;
        if self.entries >= limit {
            return Err(EncodeError::TooManyEntries { limit });
        }
        self.draft.grow(Part::Header, pair_len(key, value))?;
        write_pair(self.draft.out, key, value);
        self.entries += 1;
        Ok(())
    }

    /// Ends the header map and begins the content.
    #[must_use]
    pub fn content(self) -> ContentWriter<'a> {
        ContentWriter { draft: self.draft, refused: None }
    }
}

/// A frame whose content is being written, as an [`io::Write`] for serialisers. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct ContentWriter<'a> {
    draft: Draft<'a>,
    refused: Option<EncodeError>,
}

impl ContentWriter<'_> {
    /// Appends `bytes` to the content.
    ///
    /// # Errors
    /// When the content would be over its limit; nothing of `bytes` is then written, and the frame can no longer be finished.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let appended = self.draft.append(Part::Content, bytes);
        self.refused = self.refused.or(appended.err());
        appended
    }

    /// Fills in the lengths, and the checksum if the version has one. Returns the frame's length in bytes.
    ///
    /// # Errors
    /// When an append failed, even if a serialiser swallowed its error; the frame is then withdrawn.
    pub fn finish(self) -> Result<usize, EncodeError> {
        match self.refused {
            Some(error) => Err(error),
            None => Ok(self.draft.finish()),
        }
    }
}

impl io::Write for ContentWriter<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A frame under construction at the end of `out`, taken back when dropped unfinished.
#[derive(Debug)]
struct Draft<'a> {
    out: &'a mut BytesMut,
    limits: Limits,
    /// Where the frame begins in `out`.
    start: usize,
    /// Where its lengths go.
    lengths_at: usize,
    checksum: bool,
    class_len: usize,
    header_len: usize,
    content_len: usize,
    finished: bool,
}

impl<'a> Draft<'a> {
    fn begin(out: &'a mut BytesMut, head: &Head, limits: Limits) -> Self {
        let start = out.len();
        write_head(out, head);
        let lengths_at = out.len();
        out.put_bytes(0, LENGTHS_BYTES);
        Self {
            out,
            limits,
            start,
            lengths_at,
            checksum: head.version.has_checksum(),
            class_len: 0,
            header_len: 0,
            content_len: 0,
            finished: false,
        }
    }

    #[inline]
    fn append(&mut self, part: Part, bytes: &[u8]) -> Result<(), EncodeError> {
        self.grow(part, bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Accounts for `more` bytes of `part`, about to be written.
    #[inline]
    fn grow(&mut self, part: Part, more: usize) -> Result<(), EncodeError> {
        let limit = self.limits.of(part);
        let length = match part {
            Part::Class => &mut self.class_len,
            Part::Header => &mut self.header_len,
            Part::Content => &mut self.content_len,
        };
        let actual = length.saturating_add(more);
        if actual > limit {
            return Err(EncodeError::TooLong { part, actual, limit });
        }
        *length = actual;
        Ok(())
    }

    fn finish(mut self) -> usize {
        let lengths = self.lengths();
        let slot = self.out.get_mut(self.lengths_at..);
        if let Some(slot) = slot.and_then(|tail| tail.first_chunk_mut()) {
            *slot = lengths;
        }
        if self.checksum {
            let frame = self.out.get(self.start..).unwrap_or_default();
            let checksum = crc32fast::hash(frame);
            self.out.put_u32(checksum);
        }
        self.finished = true;
        self.out.len() - self.start
    }

    /// The lengths as written. `grow` held them to ceilings that fit.
    fn lengths(&self) -> [u8; LENGTHS_BYTES] {
        let [class_high, class_low] = short(self.class_len);
        let [header_high, header_low] = short(self.header_len);
        let [a, b, c, d] = i32::try_from(self.content_len).unwrap_or(i32::MAX).to_be_bytes();
        [class_high, class_low, header_high, header_low, a, b, c, d]
    }
}

fn short(length: usize) -> [u8; 2] {
    i16::try_from(length).unwrap_or(i16::MAX).to_be_bytes()
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.out.truncate(self.start);
        }
    }
}

/// The command version: always 1, and nobody looks at it.
const COMMAND_VERSION: u8 = 1;

/// The fixed part up to the lengths.
fn write_head(out: &mut BytesMut, head: &Head) {
    match head.version {
        Version::V1 => out.put_u8(PROTOCOL_V1),
        Version::V2 { sub_version, .. } => out.put_slice(&[PROTOCOL_V2, sub_version.code()]),
    }
    let (message_type, command) = codes(head.kind);
    let [command_high, command_low] = command.to_be_bytes();
    let [a, b, c, d] = head.request_id.to_be_bytes();
    // In one piece: each piece asks whether there is room.
    out.put_slice(&[message_type, command_high, command_low, COMMAND_VERSION, a, b, c, d, head.codec.0]);
    if let Version::V2 { switch, .. } = head.version {
        out.put_u8(switch.0);
    }
    match head.kind {
        Kind::Call { timeout } | Kind::Oneway { timeout } | Kind::Heartbeat { timeout } => out.put_i32(timeout.millis()),
        Kind::Answer { status } | Kind::HeartbeatAck { status } => out.put_i16(status.code()),
    }
}

const fn codes(kind: Kind) -> (u8, u16) {
    match kind {
        Kind::Call { .. } => (REQUEST, COMMAND_REQUEST),
        Kind::Oneway { .. } => (ONEWAY, COMMAND_REQUEST),
        Kind::Answer { .. } => (RESPONSE, COMMAND_RESPONSE),
        Kind::Heartbeat { .. } => (REQUEST, COMMAND_HEARTBEAT),
        Kind::HeartbeatAck { .. } => (RESPONSE, COMMAND_HEARTBEAT),
    }
}

/// Why a frame was not written. The buffer holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A part is longer than allowed.
    #[error("encode frame: {part} of {actual} bytes is over the limit of {limit} bytes")]
    TooLong {
        /// Which part.
        part: Part,
        /// What it would have come to, in bytes.
        actual: usize,
        /// The most allowed, in bytes.
        limit: usize,
    },
    /// More header pairs than allowed.
    #[error("encode frame: more than {limit} header entries")]
    TooManyEntries {
        /// The most allowed.
        limit: usize,
    },
}
