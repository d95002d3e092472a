//! Frames as real peers write them, and frames that nobody should accept.

use std::io::Write;

use bytes::{Bytes, BytesMut};

use super::*;

const CALL: &str = "0101000101000000070100000bb800100000000000036a6176612e6c616e672e537472696e67026869";
const ANSWER: &str = "01000002010000000701000000100000000000036a6176612e6c616e672e537472696e67026f6b";
const ONEWAY: &str = "01020001010000000801ffffffff00100000000000036a6176612e6c616e672e537472696e67026869";
const BUSY: &str = "0100000201000000070100040000000000000000";
const HEARTBEAT: &str = "01010000010102030401ffffffff0000000000000000";
const HEARTBEAT_ACK: &str = "0100000001010203040100000000000000000000";
const V2_CALL_SWITCH_BUT_NO_CRC: &str = "02010100010100000009010100000bb800100000000000036a6176612e6c616e672e537472696e67026869";
const V2_CALL_CRC: &str = "02020100010100000009010100000bb800100000000000036a6176612e6c616e672e537472696e67026869b253f1c6";
const V2_NODE_ACK_CRC: &str = "0202000000010000000301010000000000000000000002fa4d3f";

const GOLDEN: [&str; 9] =
    [CALL, ANSWER, ONEWAY, BUSY, HEARTBEAT, HEARTBEAT_ACK, V2_CALL_SWITCH_BUT_NO_CRC, V2_CALL_CRC, V2_NODE_ACK_CRC];

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn decode(bytes: &[u8]) -> Result<Option<Frame>, DecodeError> {
    Decoder::new(Limits::default()).decode(&mut BytesMut::from(bytes))
}

fn encode(frame: &Frame) -> Vec<u8> {
    let mut out = BytesMut::new();
    Encoder::new(Limits::default()).encode(frame, &mut out).unwrap();
    out.to_vec()
}

fn java(kind: Kind, request_id: i32) -> Head {
    Head { version: Version::V1, codec: Codec::HESSIAN2, request_id, kind }
}

fn java_string(content: &'static [u8]) -> Body {
    Body { class: Bytes::from_static(b"java.lang.String"), header: Bytes::new(), content: Bytes::from_static(content) }
}

#[test]
fn java_frames_mean_what_java_meant() {
    let timeout = Timeout::from_millis(3_000);
    let none = Timeout::NONE;
    let success = Status::Success;
    let busy = Status::ServerBusy;
    let table = [
        (CALL, java(Kind::Call { timeout }, 7), java_string(b"\x02hi")),
        (ONEWAY, java(Kind::Oneway { timeout: none }, 8), java_string(b"\x02hi")),
        (ANSWER, java(Kind::Answer { status: success }, 7), java_string(b"\x02ok")),
        (BUSY, java(Kind::Answer { status: busy }, 7), Body::default()),
        (HEARTBEAT, java(Kind::Heartbeat { timeout: none }, 0x0102_0304), Body::default()),
        (HEARTBEAT_ACK, java(Kind::HeartbeatAck { status: success }, 0x0102_0304), Body::default()),
    ];
    for (hex, head, body) in table {
        let frame = Frame { head, body };
        assert_eq!(decode(&unhex(hex)), Ok(Some(frame.clone())), "{hex}");
        assert_eq!(encode(&frame), unhex(hex));
    }
}

#[test]
fn v2_frames_keep_their_switch_and_their_checksum() {
    let switched = Version::V2 { sub_version: SubVersion::One, switch: Switch::CHECKSUM };
    let table =
        [(V2_CALL_SWITCH_BUT_NO_CRC, switched), (V2_CALL_CRC, Version::V2_CHECKED), (V2_NODE_ACK_CRC, Version::V2_CHECKED)];
    for (hex, version) in table {
        let frame = decode(&unhex(hex)).unwrap().unwrap();
        assert_eq!(frame.head.version, version);
        assert_eq!(encode(&frame), unhex(hex));
    }
}

#[test]
fn a_cut_frame_asks_for_more_and_is_whole_afterwards() {
    let decoder = Decoder::new(Limits::default());
    for hex in GOLDEN {
        let bytes = unhex(hex);
        let whole = decode(&bytes).unwrap().unwrap();
        for cut in 0..bytes.len() {
            let mut buffer = BytesMut::from(&bytes[..cut]);
            assert_eq!(decoder.decode(&mut buffer), Ok(None), "{hex} cut at {cut}");
            assert_eq!(buffer, bytes[..cut]);
            buffer.extend_from_slice(&bytes[cut..]);
            assert_eq!(decoder.decode(&mut buffer), Ok(Some(whole.clone())));
            assert!(buffer.is_empty());
        }
    }
}

#[test]
fn frames_behind_each_other_come_one_by_one() {
    let mut buffer = BytesMut::from(unhex(&GOLDEN.concat()).as_slice());
    let decoder = Decoder::new(Limits::default());
    for hex in GOLDEN {
        let frame = decoder.decode(&mut buffer).unwrap().unwrap();
        assert_eq!(encode(&frame), unhex(hex));
    }
    assert_eq!(decoder.decode(&mut buffer), Ok(None));
}

#[test]
fn any_damaged_bit_of_a_checked_frame_is_noticed() {
    let bytes = unhex(V2_CALL_CRC);
    for bit in 0..8 * bytes.len() {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let Ok(Some(frame)) = decode(&damaged) else { continue };
        // Only the bits that say whether there is a checksum can hide it.
        assert!(!frame.head.version.has_checksum(), "bit {bit}");
    }
}

#[test]
fn what_is_not_bolt_is_refused_at_its_first_wrong_byte() {
    let table = [
        ("0d", DecodeError::UnknownProtocol { protocol: 13 }),
        ("16", DecodeError::UnknownProtocol { protocol: 0x16 }),
        ("0203", DecodeError::UnknownSubVersion { sub_version: 3 }),
        ("0103", DecodeError::UnknownType { message_type: 3 }),
        ("01010002010000000701", DecodeError::UnknownCommand { message_type: 1, command: 2 }),
        ("01020000010000000701", DecodeError::UnknownCommand { message_type: 2, command: 0 }),
        ("010000020100000007010013", DecodeError::UnknownStatus { status: 0x13 }),
        ("01000002010000000701ffff", DecodeError::UnknownStatus { status: -1 }),
    ];
    for (hex, error) in table {
        assert_eq!(decode(&unhex(hex)), Err(error), "{hex}");
    }
}

#[test]
fn too_long_is_said_before_the_body_arrives() {
    let fixed = "0101000101000000070100000bb8";
    let refused = |part, actual, limit| DecodeError::TooLong { part, actual, limit };
    let negative = |part, length| DecodeError::NegativeLength { part, length };
    let table = [
        ("0201", refused(Part::Class, 513, 512)),
        ("ffff", negative(Part::Class, -1)),
        ("00008000", negative(Part::Header, -32_768)),
        ("0000000000400001", refused(Part::Content, 4 * 1024 * 1024 + 1, 4 * 1024 * 1024)),
        ("000000007fffffff", refused(Part::Content, i32::MAX as usize, 4 * 1024 * 1024)),
        ("00000000ffffffff", negative(Part::Content, -1)),
    ];
    for (lengths, error) in table {
        assert_eq!(decode(&unhex(&format!("{fixed}{lengths}"))), Err(error), "{lengths}");
    }
}

#[test]
fn a_promise_of_megabytes_costs_kilobytes() {
    let mut buffer = BytesMut::from(unhex("0101000101000000070100000bb80000000000400000").as_slice());
    assert_eq!(Decoder::new(Limits::default()).decode(&mut buffer), Ok(None));
    assert!(buffer.capacity() < 256 * 1024);
}

#[test]
fn limits_cannot_be_raised_above_their_ceilings() {
    let all = Limits { class_bytes: usize::MAX, header_bytes: usize::MAX, header_entries: 1, content_bytes: usize::MAX };
    let limits = *Decoder::new(all).limits();
    assert_eq!((limits.class_bytes, limits.header_bytes), (32_767, 32_767));
    assert_eq!(limits.content_bytes, Limits::MAX_CONTENT_BYTES);
}

/// Counted by `cargo xtask test`.
#[expect(clippy::disallowed_methods, reason = "a file of the test run")]
fn skipped(why: &str) {
    let name = "bolt::golden_test::every_vector_of_real_peers_is_reproduced_to_the_byte";
    println!("skipped: {name}: {why}");
    let Some(path) = std::env::var_os("SETTEE_SKIP_FILE") else { return };
    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    writeln!(file, "{name}: {why}").unwrap();
}

/// The full set from real peers lives beside the maintainers' checkout; a user's clone does not have it.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads the vectors beside the checkout")]
fn every_vector_of_real_peers_is_reproduced_to_the_byte() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");
    for (name, least) in [("bolt-java.json", 18), ("bolt-node.json", 22)] {
        let Ok(text) = std::fs::read_to_string(format!("{folder}/{name}")) else {
            skipped(&format!("{name} is not beside this checkout"));
            continue;
        };
        let vectors: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert!(vectors.len() >= least);
        for vector in vectors {
            let bytes = unhex(vector["hex"].as_str().unwrap());
            let frame = decode(&bytes).unwrap().unwrap();
            let pairs: Result<Vec<_>, _> = frame.body.pairs(&Limits::default()).iter().collect();
            assert!(pairs.is_ok(), "{}", vector["name"]);
            assert_eq!(encode(&frame), bytes, "{}", vector["name"]);
        }
    }
}
