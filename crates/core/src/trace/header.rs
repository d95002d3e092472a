//! The `traceparent` header as bytes: written and read for every call, so without the machinery of formatting.
//!
//! ```text
//! 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//! version  trace                      span             flags
//! ```

use super::{SpanId, TraceContext, TraceId};

const LENGTH: usize = 55;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The two digits of each byte.
const PAIRS: [[u8; 2]; 256] = {
    let (mut pairs, mut byte) = ([[0; 2]; 256], 0);
    while byte < pairs.len() {
        pairs[byte] = [HEX[byte >> 4], HEX[byte & 0xf]];
        byte += 1;
    }
    pairs
};

/// The value of each lower-case digit, [`NO_DIGIT`] elsewhere.
const VALUES: [u8; 256] = {
    let (mut values, mut value) = ([NO_DIGIT; 256], 0);
    while value < HEX.len() {
        values[HEX[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Has a bit that no digit's value has.
const NO_DIGIT: u8 = 0x80;

/// Where the parts lie; what is between them is a hyphen.
const TRACE: std::ops::Range<usize> = 3..35;
const SPAN: std::ops::Range<usize> = 36..52;
const FLAGS: std::ops::Range<usize> = 53..55;

/// The text of a [`TraceContext`], without an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceHeader([u8; LENGTH]);

impl TraceHeader {
    /// The header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl TraceContext {
    /// The value of the `traceparent` header.
    #[must_use]
    pub fn header(&self) -> TraceHeader {
        let mut text = *b"00-________________________________-________________-__";
        write_hex(&mut text[TRACE], &self.trace.0.to_be_bytes());
        write_hex(&mut text[SPAN], &self.span.0.to_be_bytes());
        write_hex(&mut text[FLAGS], &[u8::from(self.sampled)]);
        TraceHeader(text)
    }
}

fn write_hex(text: &mut [u8], bytes: &[u8]) {
    for (digits, byte) in text.chunks_exact_mut(2).zip(bytes) {
        digits.copy_from_slice(&PAIRS[usize::from(*byte)]);
    }
}

/// Reads a header. A version that is not known may have more behind another hyphen.
pub(super) fn parse(text: &str) -> Option<TraceContext> {
    let text = text.as_bytes();
    let (known, more) = text.split_first_chunk::<LENGTH>()?;
    let hyphens = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
    let version = number(&known[..2])?;
    let ends_well = more.is_empty() || (version != 0 && more[0] == b'-');
    if !hyphens || !ends_well || version == 0xff {
        return None;
    }
    let (high, low) = known[TRACE].split_at(TRACE.len() / 2);
    let trace = u128::from(number(high)?) << u64::BITS | u128::from(number(low)?);
    let span = number(&known[SPAN])?;
    let sampled = number(&known[FLAGS])? & 1 == 1;
    (trace != 0 && span != 0).then_some(TraceContext { trace: TraceId(trace), span: SpanId(span), sampled })
}

/// Lower-case hexadecimal digits, at most 16 of them, as a number. What is no digit shows at the end, not at each step.
fn number(digits: &[u8]) -> Option<u64> {
    let (number, seen) = digits.iter().fold((0, 0), |(number, seen), digit| {
        let value = VALUES[usize::from(*digit)];
        (number << 4 | u64::from(value & 0xf), seen | value)
    });
    (seen & NO_DIGIT == 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_the_specification_allows_is_read() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let table = [
            (format!("00-{id}"), true),
            (format!("00-{id}-more"), false),
            (format!("01-{id}-more"), true),
            (format!("01-{id}more"), false),
            (format!("0g-{id}"), false),
            (format!("00-{}", id.to_uppercase()), false),
            (format!("00_{id}"), false),
            (format!("00-{}", id.replace("-0", "_0")), false),
            (format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16)), false),
        ];
        for (text, is_read) in table {
            assert_eq!(parse(&text).is_some(), is_read, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., sampled: bool) {
            let context = TraceContext { trace: TraceId(trace), span: SpanId(span), sampled };
            let header = context.header();
            prop_assert_eq!(header.as_str(), format!("00-{trace:032x}-{span:016x}-{:02x}", u8::from(sampled)));
            prop_assert_eq!(parse(header.as_str()), Some(context));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9a-f-]{0,80}|.{0,80}") {
            let _any = parse(&text);
        }
    }
}
