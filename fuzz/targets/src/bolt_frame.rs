//! A connection's bytes, cut into Bolt frames.

use bytes::BytesMut;
use settee_wire::bolt::{DecodeError, Decoder, Encoder, Frame, Limits, Version};

use crate::budget::Budget;

/// The read-ahead, doubled once by the buffer's growth, and the input twice: as given, and in the buffer.
const BUDGET: Budget = Budget { fixed: 256 << 10, per_byte: 4 };

/// Pieces in which a connection may deliver what it delivers.
const PIECES: [usize; 3] = [1, 7, 64];

/// Where the command version is in a frame: nobody looks at it, and it is written as 1.
const COMMAND_VERSION: [usize; 2] = [4, 5];

/// All frames of a stream.
#[derive(Debug, PartialEq)]
struct Cut {
    /// Each with the length it had.
    frames: Vec<(usize, Frame)>,
    error: Option<DecodeError>,
}

/// Checks one input.
///
/// # Panics
/// When something does not hold.
pub fn one(input: &[u8]) {
    let whole = BUDGET.spend(input.len(), || cut(input, input.len().max(1)));
    for piece in PIECES {
        assert_eq!(cut(input, piece), whole, "in pieces of {piece}");
    }
    let mut start = 0;
    for (length, frame) in &whole.frames {
        written_again(frame, &input[start..start + length]);
        start += length;
    }
    if let Some(error) = whole.error {
        assert!(error.to_string().starts_with("decode frame: "), "{error}");
    }
}

fn cut(input: &[u8], piece: usize) -> Cut {
    let decoder = Decoder::new(Limits::default());
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    let (mut arrived, mut taken) = (0, 0);
    for bytes in input.chunks(piece) {
        buffer.extend_from_slice(bytes);
        arrived += bytes.len();
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => {
                    let length = arrived - taken - buffer.len();
                    taken += length;
                    frames.push((length, frame));
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(buffer, input[taken..arrived], "a refused stream is left as it was");
                    return Cut { frames, error: Some(error) };
                }
            }
        }
    }
    Cut { frames, error: None }
}

fn written_again(frame: &Frame, original: &[u8]) {
    let mut out = BytesMut::new();
    Encoder::new(Limits::default()).encode(frame, &mut out).expect("what was read is within the limits");
    let place = COMMAND_VERSION[usize::from(frame.head.version != Version::V1)];
    if original[place] == 1 {
        assert_eq!(out, original);
    }
    let again = Decoder::new(Limits::default()).decode(&mut out);
    assert_eq!(again.as_ref(), Ok(&Some(frame.clone())));
    assert!(out.is_empty());
}
