//! A frame as a value: who asks what of whom, and the three byte strings it carries.

use std::time::Duration;

use bytes::Bytes;

use super::{Codec, Header, Limits, Status, Version};

/// One frame: a head and a body.
///
/// ```
/// use settee_wire::bolt::{Body, Codec, Frame, Head, Kind, Status, Timeout, Version};
///
/// let call = Frame {
///     head: Head {
///         version: Version::V1,
///         codec: Codec::MESSAGE_PACK,
///         request_id: 7,
///         kind: Kind::Call { timeout: Timeout::NONE },
///     },
///     body: Body::default(),
/// };
/// let answer = call.head.answer(Status::Success).expect("a call is answered");
/// assert_eq!(answer.request_id, 7);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The fixed part.
    pub head: Head,
    /// Class, header and content. Empty in heartbeats.
    pub body: Body,
}

/// The fixed part of a frame, without the lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The dialect.
    pub version: Version,
    /// How the content is written.
    pub codec: Codec,
    /// Which request, or the request answered: unique on its connection only. Any value, Java's counter wraps.
    pub request_id: i32,
    /// What the frame is for.
    pub kind: Kind,
}

impl Head {
    /// The head of the answer to this frame, in its version and codec; `None` for what must not be answered.
    #[must_use]
    pub const fn answer(self, status: Status) -> Option<Self> {
        let kind = match self.kind {
            Kind::Call { .. } => Kind::Answer { status },
            Kind::Heartbeat { .. } => Kind::HeartbeatAck { status },
            Kind::Oneway { .. } | Kind::Answer { .. } | Kind::HeartbeatAck { .. } => return None,
        };
        Some(Self { kind, ..self })
    }
}

/// What a frame is for: each legal pair of the type and command fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request that is answered.
    Call {
        /// How long the caller waits.
        timeout: Timeout,
    },
    /// A request that is never answered, not even with an error.
    Oneway {
        /// Java writes [`Timeout::NONE`], Node its usual value; to be ignored by a server.
        timeout: Timeout,
    },
    /// The answer to a call.
    Answer {
        /// Whether Bolt delivered the call.
        status: Status,
    },
    /// Asks the peer whether it is there.
    Heartbeat {
        /// Java writes [`Timeout::NONE`], Node its usual value.
        timeout: Timeout,
    },
    /// The answer to a heartbeat.
    HeartbeatAck {
        /// [`Status::Success`].
        status: Status,
    },
}

/// How long a caller waits, in milliseconds as on the wire. Zero and below mean: no timeout.
///
/// ```
/// use std::time::Duration;
/// use settee_wire::bolt::Timeout;
/// assert_eq!(Timeout::after(Duration::from_micros(3)).millis(), 1); // never 0, which would mean for ever
/// assert_eq!(Timeout::from_millis(0).duration(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timeout(i32);

impl Timeout {
    /// No timeout, as Java writes it.
    pub const NONE: Self = Self(-1);

    /// The timeout with this number on the wire.
    #[must_use]
    pub const fn from_millis(millis: i32) -> Self {
        Self(millis)
    }

    /// `duration` in whole milliseconds, rounded down so that a callee gives up before its caller, and at least 1.
    /// More than 24.8 days become that.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        Self(i32::try_from(duration.as_millis()).unwrap_or(i32::MAX).max(1))
    }

    /// The number on the wire.
    #[must_use]
    pub const fn millis(self) -> i32 {
        self.0
    }

    /// The timeout, if there is one.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        let millis = u64::try_from(self.0).ok().filter(|millis| *millis > 0)?;
        Some(Duration::from_millis(millis))
    }
}

/// The three byte strings of a frame. Decoded ones share one allocation with their frame: keeping one keeps all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// What the content is, as a Java class name in UTF-8. Empty in heartbeats and bare errors.
    pub class: Bytes,
    /// The header map as written; read it with [`Body::pairs`].
    pub header: Bytes,
    /// The content, written in the head's codec.
    pub content: Bytes,
}

impl Body {
    /// The header map, to be read within `limits`.
    #[must_use]
    pub fn pairs(&self, limits: &Limits) -> Header<'_> {
        Header::new(&self.header, limits.header_entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_asks_is_answered() {
        let timeout = Timeout::NONE;
        let status = Status::ServerBusy;
        let table = [
            (Kind::Call { timeout }, Some(Kind::Answer { status })),
            (Kind::Heartbeat { timeout }, Some(Kind::HeartbeatAck { status })),
            (Kind::Oneway { timeout }, None),
            (Kind::Answer { status }, None),
            (Kind::HeartbeatAck { status }, None),
        ];
        for (kind, answer) in table {
            let head = Head { version: Version::V2_CHECKED, codec: Codec(99), request_id: -1, kind };
            assert_eq!(head.answer(status), answer.map(|kind| Head { kind, ..head }));
        }
    }

    #[test]
    fn a_short_deadline_never_becomes_no_deadline() {
        let table = [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 1),
            (Duration::from_micros(1_999), 1),
            (Duration::from_secs(3), 3_000),
            (Duration::MAX, i32::MAX),
        ];
        for (duration, millis) in table {
            assert_eq!(Timeout::after(duration).millis(), millis);
        }
        for millis in [i32::MIN, -1, 0] {
            assert_eq!(Timeout::from_millis(millis).duration(), None);
        }
    }
}
