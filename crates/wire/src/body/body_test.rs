//! What a stranger's body must not be able to do, and what peers of different versions must.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::*;

const CODECS: [BodyCodec; 2] = [BodyCodec::MessagePack, BodyCodec::Json];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    cents: i128,
    note: Option<String>,
    lines: Vec<Line>,
    tags: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Line {
    Empty,
    Text(String),
    Pair(i32, bool),
    Item { sku: String, raw: Bytes },
}

/// Recursion through enums alone, which rmp-serde does not count.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Chain {
    End,
    Link(Box<Chain>),
}

fn line() -> impl Strategy<Value = Line> {
    prop_oneof![
        Just(Line::Empty),
        ".*".prop_map(Line::Text),
        any::<(i32, bool)>().prop_map(|(number, flag)| Line::Pair(number, flag)),
        (".*", any::<Vec<u8>>()).prop_map(|(sku, raw)| Line::Item { sku, raw: raw.into() }),
    ]
}

prop_compose! {
    fn order()(
        id: u64,
        cents: i128,
        note: Option<String>,
        lines in prop::collection::vec(line(), 0..8),
        tags in prop::collection::btree_map(".*", -1e9..1e9, 0..8),
    ) -> Order {
        Order { id, cents, note, lines, tags }
    }
}

fn encode<T: Serialize>(codec: BodyCodec, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(value, &mut bytes).unwrap();
    bytes
}

fn decode<T: DeserializeOwned>(codec: BodyCodec, bytes: &[u8]) -> Result<T, BodyError> {
    codec.decode(bytes, &BodyLimits::default())
}

fn why_not<T: DeserializeOwned + std::fmt::Debug>(codec: BodyCodec, bytes: &[u8]) -> (usize, BadBytes) {
    match decode::<T>(codec, bytes).unwrap_err() {
        BodyError::Refused { offset, why, .. } => (offset, why),
        other => panic!("{other}"),
    }
}

/// A message as serde sees any, so that the walk and rmp-serde meet every marker.
#[derive(Debug, Deserialize)]
struct Anything(#[expect(dead_code, reason = "only read")] serde_json::Value);

proptest! {
    #[test]
    fn every_value_survives(order in order()) {
        for codec in CODECS {
            let bytes = encode(codec, &order);
            prop_assert_eq!(&decode::<Order>(codec, &bytes).unwrap(), &order);
        }
    }

    #[test]
    fn a_cut_value_is_an_error(order in order(), cut: prop::sample::Index) {
        for codec in CODECS {
            let bytes = encode(codec, &order);
            prop_assert!(decode::<Order>(codec, &bytes[..cut.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        for codec in CODECS {
            let _ = decode::<Order>(codec, &bytes);
            let _ = decode::<Chain>(codec, &bytes);
            let _ = decode::<Anything>(codec, &bytes);
        }
    }

    #[test]
    fn the_walk_and_rmp_agree_where_a_value_ends(marker: u8, short in 0_u8..4, rest in prop::collection::vec(0_u8..4, 0..24)) {
        let bytes = [&[marker, short][..], &rest].concat();
        let mut rmp = rmp_serde::Deserializer::new(std::io::Cursor::new(&bytes));
        let ended = IgnoredAny::deserialize(&mut rmp).map(|_| rmp.position()).ok();
        let walked = (1..=bytes.len()).find(|end| decode::<IgnoredAny>(BodyCodec::MessagePack, &bytes[..*end]).is_ok());
        prop_assert_eq!(walked.map(|end| end as u64), ended);
    }

    #[test]
    fn the_walk_refuses_no_damaged_body_that_serde_would_read(order in order(), at: prop::sample::Index, byte: u8) {
        let mut bytes = encode(BodyCodec::MessagePack, &order);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let whole = rmp_serde::from_read::<_, Order>(&mut bytes.as_slice()).is_ok();
        if let Err(BodyError::Refused { why, .. }) = decode::<Order>(BodyCodec::MessagePack, &bytes) {
            prop_assert!(!whole || matches!(why, BadBytes::Trailing { .. }), "{}", why);
        }
    }
}

#[test]
fn fields_travel_by_name_and_unknown_ones_are_ignored() {
    #[derive(Serialize)]
    struct Newer {
        added: Vec<Line>,
        id: u8,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Older {
        id: u64,
        #[serde(default)]
        absent: bool,
    }
    let newer = Newer { added: vec![Line::Pair(1, true)], id: 7 };
    for codec in CODECS {
        let older: Older = decode(codec, &encode(codec, &newer)).unwrap();
        assert_eq!(older, Older { id: 7, absent: false });
    }
}

#[test]
fn a_lying_length_takes_no_memory() {
    // An array, map, text, byte string and extension of 2^32 - 1, and ten bytes in all.
    for marker in [0xdd, 0xdf, 0xdb, 0xc6, 0xc9] {
        let bytes = [marker, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5];
        let (offset, why) = why_not::<Vec<u64>>(BodyCodec::MessagePack, &bytes);
        assert_eq!(offset, 5);
        assert!(matches!(why, BadBytes::Truncated { declared, left: 5 } if declared >= u64::from(u32::MAX)));
    }
    // What rmp-serde alone makes of it, should the walk ever be dropped: an error after serde's cautious megabyte.
    let bytes = [0xdd, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5];
    assert!(rmp_serde::from_slice::<Vec<u64>>(&bytes).is_err());
}

#[test]
fn nesting_never_reaches_the_end_of_the_stack() {
    let limit = BodyLimits::default().depth;
    let links = |count: usize| [b"\x81\xa4Link".repeat(count), b"\xa3End".to_vec()].concat();
    let json = |count: usize| [b"{\"Link\":".repeat(count), b"\"End\"".to_vec(), b"}".repeat(count)].concat();

    assert!(decode::<Chain>(BodyCodec::MessagePack, &links(limit)).is_ok());
    assert!(decode::<Chain>(BodyCodec::Json, &json(limit)).is_ok());
    for count in [limit + 1, 500_000] {
        let at = 6 * limit + 1;
        assert_eq!(why_not::<Chain>(BodyCodec::MessagePack, &links(count)), (at, BadBytes::TooDeep { limit }));
        let at = 8 * limit;
        assert_eq!(why_not::<Chain>(BodyCodec::Json, &json(count)), (at, BadBytes::TooDeep { limit }));
    }
    let arrays = [vec![0x91; limit], vec![0xc0]].concat();
    assert!(decode::<Anything>(BodyCodec::MessagePack, &arrays).is_ok());
}

#[test]
fn small_values_cannot_grow_without_bound() {
    let limits = BodyLimits { nodes: 4, ..BodyLimits::default() };
    for codec in CODECS {
        assert!(codec.decode::<Vec<u8>>(&encode(codec, &[1_u8, 2, 3]), &limits).is_ok());
        let error = codec.decode::<Vec<u8>>(&encode(codec, &[1_u8, 2, 3, 4]), &limits).unwrap_err();
        assert!(matches!(error, BodyError::Refused { why: BadBytes::TooManyNodes { limit: 4 }, .. }), "{error}");
    }
}

#[test]
fn nothing_may_follow_the_value() {
    let bytes = [encode(BodyCodec::MessagePack, &7_u8), vec![0, 0]].concat();
    assert_eq!(why_not::<u8>(BodyCodec::MessagePack, &bytes), (1, BadBytes::Trailing { count: 2 }));
    assert!(decode::<u8>(BodyCodec::Json, b"7 8").is_err());
    assert!(decode::<u8>(BodyCodec::Json, b" 7\n").is_ok());
    for codec in CODECS {
        assert!(decode::<()>(codec, b"").is_err());
    }
}

#[test]
fn errors_say_what_and_where() {
    let table = [
        (BodyCodec::MessagePack, &b"\xc1"[..], "decode messagepack body at byte 1: byte 0xc1 begins no value"),
        (BodyCodec::MessagePack, b"\x80", "decode messagepack body: missing field `id`"),
        (BodyCodec::MessagePack, b"\xa3one", "decode messagepack body: invalid type: string \"one\", expected struct Order"),
        (BodyCodec::Json, b"{}", "decode json body: missing field `id` at line 1 column 2"),
    ];
    for (codec, bytes, message) in table {
        assert_eq!(decode::<Order>(codec, bytes).unwrap_err().to_string(), message);
    }
    // A byte of the format says nothing to whoever typed a text.
    let number = decode::<u32>(BodyCodec::MessagePack, b"\xa3one").unwrap_err().to_string();
    assert_eq!(number, "decode messagepack body: invalid type: a text, expected another");
}

#[test]
fn brackets_inside_json_text_are_text() {
    let text = "[\\\"{[\\".repeat(100);
    let bytes = encode(BodyCodec::Json, &text);
    assert_eq!(decode::<String>(BodyCodec::Json, &bytes).unwrap(), text);
}

#[test]
fn each_body_codec_has_its_number() {
    for codec in CODECS {
        assert_eq!(BodyCodec::of(codec.codec()), Some(codec));
    }
    assert_eq!(BodyCodec::of(Codec::HESSIAN2), None);
}
