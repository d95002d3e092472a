//! Cuts frames out of a byte stream. Remembers nothing between calls: the buffer is the state.
//!
//! The fixed part is judged as soon as its bytes are there, so a frame that is too long, or not Bolt at all, is refused before
//! its body is waited for. A refused stream has lost its place: close the connection.

use bytes::{Buf, BytesMut, TryGetError};
use thiserror::Error;

use super::{Body, Codec, Frame, Head, Kind, Limits, Part, Status, SubVersion, Switch, Timeout, Version};

/// How far ahead of the received bytes the buffer may grow: enough for few reads of a large frame, and little enough that a
/// peer which announces megabytes and sends none costs nothing to speak of.
const READ_AHEAD_BYTES: usize = 64 * 1024;

const CHECKSUM_BYTES: usize = 4;

/// Cuts frames out of a buffer that a connection is read into.
///
/// ```
/// use bytes::BytesMut;
/// use settee_wire::bolt::{Decoder, Kind, Limits};
///
/// let heartbeat = b"\x01\x01\0\0\x01\0\0\0\x07\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0";
/// let decoder = Decoder::new(Limits::default());
/// let mut buffer = BytesMut::from(&heartbeat[..10]);
/// assert_eq!(decoder.decode(&mut buffer)?, None);
/// buffer.extend_from_slice(&heartbeat[10..]);
/// let frame = decoder.decode(&mut buffer)?.expect("complete");
/// assert!(matches!(frame.head.kind, Kind::Heartbeat { .. }));
/// assert!(buffer.is_empty());
/// # Ok::<(), settee_wire::bolt::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    limits: Limits,
}

impl Decoder {
    /// A decoder within `limits`, lowered to their ceilings.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits: limits.clamped() }
    }

    /// The limits in force.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes the next frame from the front of `buffer`, without copying it; `None` while it is incomplete.
    ///
    /// # Errors
    /// When the bytes are not a frame, or one that is too long. The buffer is left as it was, and the stream is lost.
    pub fn decode(&self, buffer: &mut BytesMut) -> Result<Option<Frame>, DecodeError> {
        let mut rest: &[u8] = buffer;
        let (head, lengths) = match read_fixed(&mut rest, &self.limits) {
            Ok(fixed) => fixed,
            Err(Stop::Incomplete) => return Ok(None),
            Err(Stop::Refused(error)) => return Err(error),
        };
        let missing = lengths.total(head.version).saturating_sub(rest.len());
        if missing > 0 {
            buffer.reserve(missing.min(READ_AHEAD_BYTES));
            return Ok(None);
        }
        let fixed_len = buffer.len() - rest.len();
        if head.version.has_checksum() {
            verify_checksum(buffer, fixed_len + lengths.body())?;
        }
        Ok(Some(cut(buffer, head, fixed_len, &lengths)))
    }
}

/// Splits a frame, known to be complete, off the buffer.
fn cut(buffer: &mut BytesMut, head: Head, fixed_len: usize, lengths: &Lengths) -> Frame {
    let mut bytes = buffer.split_to(fixed_len + lengths.total(head.version)).freeze();
    bytes.advance(fixed_len);
    let body = Body {
        class: bytes.split_to(lengths.class),
        header: bytes.split_to(lengths.header),
        content: bytes.split_to(lengths.content),
    };
    Frame { head, body }
}

/// Checks the CRC-32 behind the first `covered` bytes.
fn verify_checksum(buffer: &[u8], covered: usize) -> Result<(), DecodeError> {
    let Some((frame, mut trailer)) = buffer.split_at_checked(covered) else {
        return Ok(());
    };
    let declared = trailer.try_get_u32().unwrap_or_default();
    let computed = crc32fast::hash(frame);
    if declared == computed { Ok(()) } else { Err(DecodeError::Checksum { declared, computed }) }
}

struct Lengths {
    class: usize,
    header: usize,
    content: usize,
}

impl Lengths {
    /// At most 65,534 bytes and the content's ceiling: no overflow.
    const fn body(&self) -> usize {
        self.class + self.header + self.content
    }

    const fn total(&self, version: Version) -> usize {
        self.body() + if version.has_checksum() { CHECKSUM_BYTES } else { 0 }
    }
}

/// Why reading the fixed part ended early.
enum Stop {
    Incomplete,
    Refused(DecodeError),
}

impl From<TryGetError> for Stop {
    fn from(_: TryGetError) -> Self {
        Self::Incomplete
    }
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Self::Refused(error)
    }
}

fn read_fixed(bytes: &mut &[u8], limits: &Limits) -> Result<(Head, Lengths), Stop> {
    let sub_version = read_protocol(bytes)?;
    let message_type = bytes.try_get_u8()?;
    if message_type > ONEWAY {
        return Err(DecodeError::UnknownType { message_type }.into());
    }
    let command = bytes.try_get_u16()?;
    let _command_version = bytes.try_get_u8()?;
    let request_id = bytes.try_get_i32()?;
    let codec = Codec(bytes.try_get_u8()?);
    let version = match sub_version {
        None => Version::V1,
        Some(sub_version) => Version::V2 { sub_version, switch: Switch(bytes.try_get_u8()?) },
    };
    let kind = read_kind(bytes, message_type, command)?;
    let lengths = Lengths {
        class: check_length(Part::Class, bytes.try_get_i16()?.into(), limits)?,
        header: check_length(Part::Header, bytes.try_get_i16()?.into(), limits)?,
        content: check_length(Part::Content, bytes.try_get_i32()?, limits)?,
    };
    let head = Head { version, codec, request_id, kind };
    Ok((head, lengths))
}

/// The protocol byte, and v2's sub-version.
fn read_protocol(bytes: &mut &[u8]) -> Result<Option<SubVersion>, Stop> {
    match bytes.try_get_u8()? {
        PROTOCOL_V1 => Ok(None),
        PROTOCOL_V2 => {
            let sub_version = bytes.try_get_u8()?;
            let known = SubVersion::from_code(sub_version).ok_or(DecodeError::UnknownSubVersion { sub_version })?;
            Ok(Some(known))
        }
        protocol => Err(DecodeError::UnknownProtocol { protocol }.into()),
    }
}

pub(super) const PROTOCOL_V1: u8 = 1;
pub(super) const PROTOCOL_V2: u8 = 2;

pub(super) const RESPONSE: u8 = 0;
pub(super) const REQUEST: u8 = 1;
pub(super) const ONEWAY: u8 = 2;

pub(super) const COMMAND_HEARTBEAT: u16 = 0;
pub(super) const COMMAND_REQUEST: u16 = 1;
pub(super) const COMMAND_RESPONSE: u16 = 2;

fn read_kind(bytes: &mut &[u8], message_type: u8, command: u16) -> Result<Kind, Stop> {
    Ok(match (message_type, command) {
        (REQUEST, COMMAND_REQUEST) => Kind::Call { timeout: read_timeout(bytes)? },
        (ONEWAY, COMMAND_REQUEST) => Kind::Oneway { timeout: read_timeout(bytes)? },
        (RESPONSE, COMMAND_RESPONSE) => Kind::Answer { status: read_status(bytes)? },
        (REQUEST, COMMAND_HEARTBEAT) => Kind::Heartbeat { timeout: read_timeout(bytes)? },
        (RESPONSE, COMMAND_HEARTBEAT) => Kind::HeartbeatAck { status: read_status(bytes)? },
        (message_type, command) => return Err(DecodeError::UnknownCommand { message_type, command }.into()),
    })
}

fn read_timeout(bytes: &mut &[u8]) -> Result<Timeout, Stop> {
    Ok(Timeout::from_millis(bytes.try_get_i32()?))
}

fn read_status(bytes: &mut &[u8]) -> Result<Status, Stop> {
    let status = bytes.try_get_i16()?;
    Ok(Status::from_code(status).ok_or(DecodeError::UnknownStatus { status })?)
}

fn check_length(part: Part, length: i32, limits: &Limits) -> Result<usize, DecodeError> {
    let actual = usize::try_from(length).map_err(|_| DecodeError::NegativeLength { part, length })?;
    let limit = limits.of(part);
    if actual > limit {
        return Err(DecodeError::TooLong { part, actual, limit });
    }
    Ok(actual)
}

/// Why bytes are not a frame. The connection has lost its place and must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Neither v1 nor v2; 13 would be the ancient TR protocol.
    #[error("decode frame: unknown protocol {protocol}")]
    UnknownProtocol {
        /// The first byte.
        protocol: u8,
    },
    /// v2 of a sub-version whose layout is unknown.
    #[error("decode frame: unknown sub-version {sub_version} of protocol 2")]
    UnknownSubVersion {
        /// The second byte.
        sub_version: u8,
    },
    /// Neither request, oneway nor response.
    #[error("decode frame: unknown type {message_type}")]
    UnknownType {
        /// The type byte.
        message_type: u8,
    },
    /// A command that does not exist, or not with this type.
    #[error("decode frame: unknown command {command} with type {message_type}")]
    UnknownCommand {
        /// The type byte.
        message_type: u8,
        /// The command.
        command: u16,
    },
    /// A status that does not exist.
    #[error("decode frame: unknown status {status}")]
    UnknownStatus {
        /// The status.
        status: i16,
    },
    /// A length that Java and Node would read as negative.
    #[error("decode frame: {part} length {length} is negative")]
    NegativeLength {
        /// Which part.
        part: Part,
        /// The length.
        length: i32,
    },
    /// A part is longer than allowed; none of it was read.
    #[error("decode frame: {part} of {actual} bytes is over the limit of {limit} bytes")]
    TooLong {
        /// Which part.
        part: Part,
        /// Its length in bytes.
        actual: usize,
        /// The most allowed, in bytes.
        limit: usize,
    },
    /// The frame was damaged on its way.
    #[error("decode frame: checksum {declared:#010x} declared, {computed:#010x} computed")]
    Checksum {
        /// What the sender wrote.
        declared: u32,
        /// What the bytes give.
        computed: u32,
    },
}
