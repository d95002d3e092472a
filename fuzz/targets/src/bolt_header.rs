//! The header map of a frame.

use bytes::BytesMut;
use settee_wire::bolt::{Codec, Decoder, Encoder, Head, Header, HeaderError, Kind, Limits, Timeout, Version};

use crate::budget::Budget;

const HEAD: Head =
    Head { version: Version::V1, codec: Codec::MESSAGE_PACK, request_id: 1, kind: Kind::Call { timeout: Timeout::NONE } };

/// Checks one input.
///
/// # Panics
/// When something does not hold.
pub fn one(input: &[u8]) {
    let limits = Limits::default();
    let header = Header::new(input, limits.header_entries);
    let count = Budget::NOTHING.spend(input.len(), || header.iter().count());
    assert!(count <= limits.header_entries + 1, "{count} pairs");

    let pairs: Result<Vec<_>, HeaderError> = header.iter().collect();
    match &pairs {
        Ok(pairs) => {
            last_of_equal_keys_counts(&header, pairs);
            if input.len() <= limits.header_bytes {
                written_again(pairs);
            }
        }
        Err(error) => {
            assert_eq!(header.get(""), Err(*error), "a map that is malformed anywhere has no values");
            let mut rest = header.iter().skip_while(Result::is_ok);
            assert_eq!((rest.next(), rest.next()), (Some(Err(*error)), None), "nothing follows an error");
            assert!(error.to_string().starts_with("read header map: "), "{error}");
        }
    }
}

fn last_of_equal_keys_counts(header: &Header<'_>, pairs: &[(&str, &str)]) {
    for (key, _) in pairs {
        let last = pairs.iter().rfind(|(other, _)| other == key).map(|(_, value)| *value);
        assert_eq!(header.get(key), Ok(last));
    }
}

fn written_again(pairs: &[(&str, &str)]) {
    let mut out = BytesMut::new();
    let mut writer = Encoder::new(Limits::default()).begin(&mut out, &HEAD, "").expect("there is no class");
    for (key, value) in pairs {
        writer.pair(key, value).expect("what was read is within the limits");
    }
    writer.content().finish().expect("there is no content");
    let frame = Decoder::new(Limits::default()).decode(&mut out).expect("we wrote it").expect("we wrote all of it");
    let again: Result<Vec<_>, _> = frame.body.pairs(&Limits::default()).iter().collect();
    assert_eq!(again.as_deref(), Ok(pairs));
}
