//! What holds for every frame and for any bytes.

use std::io::Write;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;

fn version() -> impl Strategy<Value = Version> {
    let sub_version = prop_oneof![Just(SubVersion::One), Just(SubVersion::Two)];
    let v2 = (sub_version, any::<u8>()).prop_map(|(sub_version, switch)| Version::V2 { sub_version, switch: Switch(switch) });
    prop_oneof![Just(Version::V1), v2]
}

fn kind() -> impl Strategy<Value = Kind> {
    let timeout = || any::<i32>().prop_map(Timeout::from_millis);
    let status = || prop::sample::select(Status::ALL);
    prop_oneof![
        timeout().prop_map(|timeout| Kind::Call { timeout }),
        timeout().prop_map(|timeout| Kind::Oneway { timeout }),
        timeout().prop_map(|timeout| Kind::Heartbeat { timeout }),
        status().prop_map(|status| Kind::Answer { status }),
        status().prop_map(|status| Kind::HeartbeatAck { status }),
    ]
}

prop_compose! {
    fn head()(version in version(), codec: u8, request_id: i32, kind in kind()) -> Head {
        Head { version, codec: Codec(codec), request_id, kind }
    }
}

fn part(longest: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..=longest).prop_map(Bytes::from)
}

prop_compose! {
    fn frame()(head in head(), class in part(512), header in part(600), content in part(900)) -> Frame {
        Frame { head, body: Body { class, header, content } }
    }
}

fn encode(frames: &[Frame]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for frame in frames {
        Encoder::new(Limits::default()).encode(frame, &mut out).unwrap();
    }
    out.to_vec()
}

/// All frames in `bytes`, fed in chunks of `chunk` bytes.
fn decode_in_chunks(bytes: &[u8], chunk: usize) -> Result<Vec<Frame>, DecodeError> {
    let decoder = Decoder::new(Limits::default());
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(chunk) {
        buffer.extend_from_slice(piece);
        while let Some(frame) = decoder.decode(&mut buffer)? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

proptest! {
    #[test]
    fn every_frame_survives_however_it_is_cut(frames in prop::collection::vec(frame(), 1..4), chunk in 1_usize..64) {
        prop_assert_eq!(decode_in_chunks(&encode(&frames), chunk), Ok(frames));
    }

    #[test]
    fn no_bytes_panic_or_take_memory_beyond_the_read_ahead(bytes: Vec<u8>, head in head()) {
        let frame = encode(&[Frame { head, body: Body::default() }]);
        // Once as they are, once behind something that looks like a frame.
        for bytes in [bytes.clone(), [&frame[..9], &bytes].concat(), [&frame[..frame.len() - 8], &bytes].concat()] {
            let mut buffer = BytesMut::from(bytes.as_slice());
            let _ = Decoder::new(Limits::default()).decode(&mut buffer);
            prop_assert!(buffer.capacity() <= 2 * (bytes.len() + 64 * 1024));
        }
    }

    #[test]
    fn no_bytes_panic_the_header_map(bytes: Vec<u8>) {
        prop_assert!(Header::new(&bytes, 128).iter().count() <= 129);
    }

    #[test]
    fn writing_in_steps_gives_the_same_bytes(
        head in head(),
        pairs in prop::collection::vec((".*", ".*"), 0..9),
        content in part(900),
    ) {
        let mut out = BytesMut::from(&b"before"[..]);
        let mut header = Encoder::new(Limits::default()).begin(&mut out, &head, "class").unwrap();
        for (key, value) in &pairs {
            header.pair(key, value).unwrap();
        }
        let mut writer = header.content();
        for piece in content.chunks(7) {
            writer.write_all(piece).unwrap();
        }
        let written = writer.finish().unwrap();
        let bytes = out.split_off(b"before".len());
        prop_assert_eq!(&out[..], b"before");
        prop_assert_eq!(bytes.len(), written);

        let frame = decode_in_chunks(&bytes, bytes.len()).unwrap().remove(0);
        prop_assert_eq!(frame.head, head);
        prop_assert_eq!(&frame.body.content, &content);
        let read: Result<Vec<_>, _> = frame.body.pairs(&Limits::default()).iter().collect();
        prop_assert!(read.unwrap().into_iter().eq(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))));
        prop_assert_eq!(encode(&[frame]), bytes.to_vec());
    }
}

fn call() -> Head {
    Head { version: Version::V1, codec: Codec::JSON, request_id: 1, kind: Kind::Call { timeout: Timeout::NONE } }
}

#[test]
fn a_frame_that_fails_or_is_dropped_leaves_no_byte() {
    let encoder = Encoder::new(Limits { content_bytes: 4, header_entries: 1, ..Limits::default() });
    let mut out = BytesMut::from(&b"before"[..]);

    let long = "x".repeat(513);
    let error = encoder.begin(&mut out, &call(), &long).err();
    assert_eq!(error, Some(EncodeError::TooLong { part: Part::Class, actual: 513, limit: 512 }));

    let mut header = encoder.begin(&mut out, &call(), "class").unwrap();
    header.pair("key", "value").unwrap();
    assert_eq!(header.pair("key", "value"), Err(EncodeError::TooManyEntries { limit: 1 }));
    drop(header.content());

    // A serialiser may swallow the writer's error; `finish` does not.
    let mut content = encoder.begin(&mut out, &call(), "class").unwrap().content();
    assert!(content.write_all(b"12345").is_err());
    content.write_all(b"1234").unwrap();
    let refused = EncodeError::TooLong { part: Part::Content, actual: 5, limit: 4 };
    assert_eq!(content.finish(), Err(refused));

    let body = Body { content: Bytes::from_static(b"12345"), ..Body::default() };
    assert_eq!(encoder.encode(&Frame { head: call(), body }, &mut out), Err(refused));
    assert_eq!(&out[..], b"before");
}

#[test]
fn a_header_pair_that_does_not_fit_can_be_left_out() {
    let mut out = BytesMut::new();
    let mut header = Encoder::new(Limits::default()).begin(&mut out, &call(), "").unwrap();
    header.pair("service", "accounts").unwrap();
    assert!(matches!(header.pair("baggage", &"x".repeat(32_767)), Err(EncodeError::TooLong { .. })));
    header.content().finish().unwrap();

    let frame = Decoder::new(Limits::default()).decode(&mut out).unwrap().unwrap();
    let limits = Limits::default();
    assert_eq!(frame.body.pairs(&limits).get("service"), Ok(Some("accounts")));
    assert_eq!(frame.body.pairs(&limits).get("baggage"), Ok(None));
}
