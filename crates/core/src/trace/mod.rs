//! Trace identities by W3C Trace Context (level 1): a 16-byte trace id, an 8-byte span id and the sampled flag.

mod header;
mod span;

pub use header::TraceHeader;
pub use span::{SpanKind, SpanOutcome, SpanRecord};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::env;

/// The trace that all spans of one unit of work share; never zero. Printed as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub u128);

/// One span; zero means "none". Printed as 16 hex digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub u64);

/// The trace, the span that is now open, and whether spans are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span that is open: the parent of what is started next. Zero at a root.
    pub span: SpanId,
    /// Whether the edge decided to keep this trace.
    pub sampled: bool,
}

impl TraceContext {
    /// A new sampled trace without an open span.
    #[must_use]
    pub fn root() -> Self {
        Self { trace: TraceId(env::random_u128().max(1)), span: SpanId(0), sampled: true }
    }

    /// The same trace with a new span open.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: SpanId(env::random_u64().max(1)), ..self }
    }
}

/// The value of the `traceparent` header, `00-<trace>-<span>-<flags>`.
impl fmt::Display for TraceContext {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.header().as_str())
    }
}

/// A `traceparent` header that is not of the form. The rule is to start a new trace then, not to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read traceparent: 00-<32 hex digits>-<16 hex digits>-<2 hex digits> is expected")]
pub struct ParseTraceError;

impl FromStr for TraceContext {
    type Err = ParseTraceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        header::parse(text).ok_or(ParseTraceError)
    }
}

macro_rules! hex_identity {
    ($name:ident, $bits:ty, $digits:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!("{:0", $digits, "x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl FromStr for $name {
            type Err = ParseTraceError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let is_hex = !text.is_empty() && text.len() <= $digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                let bits = is_hex.then(|| <$bits>::from_str_radix(text, 16).ok()).flatten();
                bits.map(Self).ok_or(ParseTraceError)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_identity!(TraceId, u128, 32);
hex_identity!(SpanId, u64, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_reads_and_writes_the_same() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context: TraceContext = text.parse().unwrap();
        assert!(context.sampled);
        assert_eq!(context.to_string(), text);
    }

    #[test]
    fn a_malformed_header_is_an_error_and_never_a_panic() {
        let zero_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        for text in ["", "00", "00-é-00-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", &zero_trace] {
            assert!(text.parse::<TraceContext>().is_err(), "{text}");
        }
    }
}
