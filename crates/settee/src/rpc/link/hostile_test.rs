//! Peers that mean no good, or have lost their mind: nothing panics, nothing grows, nobody else notices.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use settee_core::shutdown::pair;
use settee_core::{Certainty, env};
use settee_wire::bolt::{Codec, Encoder, Head, Kind, Limits, Timeout, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::driver::{Driver, WRITE_HIGH_WATER};
use super::link_test::{AT, Echo, LIMITS, call, served};
use super::{LinkHandle, Received, start_client};
use crate::rpc::session::Session;
use crate::rpc::{Services, header};

/// Numbers that look random and repeat: splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below as u64).unwrap()
    }

    fn bytes(&mut self, below: usize) -> Vec<u8> {
        (0..self.roll(below)).map(|_| u8::try_from(self.roll(256)).unwrap()).collect()
    }
}

fn request(id: i32, pairs: &[(&str, &str)], body: &[u8]) -> BytesMut {
    let kind = Kind::Call { timeout: Timeout::NONE };
    let head = Head { version: Version::V1, codec: Codec::MESSAGE_PACK, request_id: id, kind };
    let mut out = BytesMut::new();
    let mut headers = Encoder::new(Limits::default()).begin(&mut out, &head, "settee").unwrap();
    pairs.iter().for_each(|(key, value)| headers.pair(key, value).unwrap());
    let mut content = headers.content();
    content.append(body).unwrap();
    content.finish().unwrap();
    out
}

/// A frame that is nearly right: any method, any stream frame, any header.
fn frame(dice: &mut Dice) -> Vec<u8> {
    let services = ["test.Echo", "settee.Stream", "settee.Link", "", "nobody"];
    let methods = ["echo", "fail", "repeat", "item", "end", "credit", "cancel", "go_away", ""];
    let numbers = ["1", "-1", "0", "4097", "18446744073709551615", "99999999999999999999", "x", ""];
    let mut pick = |from: &[&'static str]| from[dice.roll(from.len())];
    let pairs = [
        (header::SERVICE, pick(&services)),
        (header::METHOD, pick(&methods)),
        (header::STREAM, pick(&numbers)),
        (header::CREDIT, pick(&numbers)),
        (header::DEADLINE, pick(&numbers)),
        (header::TRACE, pick(&numbers)),
        (header::XID, pick(&numbers)),
    ];
    let id = i32::try_from(dice.roll(3)).unwrap();
    request(id, &pairs[..dice.roll(8)], &dice.bytes(40)).to_vec()
}

/// Whole frames, then one that is damaged or cut, or mere noise.
fn nonsense(dice: &mut Dice) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..dice.roll(5)).flat_map(|_| frame(dice)).collect();
    let mut last = if dice.roll(3) == 0 { dice.bytes(200) } else { frame(dice) };
    for _ in 0..dice.roll(4) {
        let at = dice.roll(last.len().max(1));
        if let Some(byte) = last.get_mut(at) {
            *byte = u8::try_from(dice.roll(256)).unwrap();
        }
    }
    last.truncate(dice.roll(last.len() + 1));
    bytes.extend(last);
    bytes
}

#[tokio::test(start_paused = true)]
async fn no_bytes_harm_a_server_or_its_other_peers() {
    let (good, _stop) = served(1 << 16, LIMITS);
    let good = start_client(good, AT);
    let mut dice = Dice(7);
    for round in 0..2_000 {
        let (near, far) = duplex(1 << 16);
        let (_never, stopping) = pair();
        let served = env::spawn(super::serve(far, AT, Arc::new(Services::new().with(Echo)), LIMITS, stopping));
        let (mut read, mut write) = tokio::io::split(near);
        let _may_be_cut_off = write.write_all(&nonsense(&mut dice)).await;
        let _may_be_cut_off = write.shutdown().await;
        let _whatever_it_says = read.read_to_end(&mut Vec::new()).await;
        let ended = tokio::time::timeout(Duration::from_secs(1), served).await;
        ended.expect("the connection is closed").unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
    assert!(matches!(call(&good, "echo", Bytes::from_static(b"x"), None).await, Ok(Received::Value(body)) if body == "x"));
}

#[tokio::test(start_paused = true)]
async fn no_bytes_harm_a_client() {
    let mut dice = Dice(8);
    for _ in 0..2_000 {
        let (near, mut peer) = duplex(1 << 16);
        let link = start_client(near, AT);
        let noise = nonsense(&mut dice);
        env::spawn(async move {
            let _may_be_cut_off = peer.write_all(&noise).await;
        });
        let ended = call(&link, "echo", Bytes::new(), Some(Duration::from_secs(1))).await;
        assert!(ended.is_err_and(|error| error.code().as_str().starts_with("RPC")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_makes_its_server_hold_a_bounded_amount() {
    let (near, far) = duplex(4 << 10);
    let (_unread, mut write) = tokio::io::split(near);
    let link = LinkHandle::new(Session::open(None), Limits::default());
    let (_never, stopping) = pair();
    env::spawn(Driver::new(far, link.clone(), Arc::new(Services::new().with(Echo)), LIMITS, stopping).run());
    let pairs = [(header::SERVICE, "test.Echo"), (header::METHOD, "echo")];
    let mut sent = 0;
    let flood = async {
        for id in 1.. {
            write.write_all(&request(id, &pairs, &[0; 10_000])).await.unwrap();
            sent += 10_000;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(1), flood).await.is_err(), "the server stops reading");
    assert!(link.queued_bytes() < WRITE_HIGH_WATER + (64 << 10), "{} bytes wait", link.queued_bytes());
    assert!(sent < 2 * WRITE_HIGH_WATER, "{sent} bytes were taken");
}

#[tokio::test(start_paused = true)]
async fn refusals_that_nobody_reads_are_a_bounded_amount_too() {
    let (near, far) = duplex(4 << 10);
    let (_unread, mut write) = tokio::io::split(near);
    let link = LinkHandle::new(Session::open(None), Limits::default());
    let (_never, stopping) = pair();
    let none = super::ServeLimits { calls: 0, ..LIMITS };
    env::spawn(Driver::new(far, link.clone(), Arc::new(Services::new().with(Echo)), none, stopping).run());
    let pairs = [(header::SERVICE, "test.Echo"), (header::METHOD, "echo")];
    let flood = async {
        for id in 1..100_000 {
            write.write_all(&request(id, &pairs, &[])).await.unwrap();
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(1), flood).await.is_err(), "the server stops reading");
    assert!(link.queued_bytes() < WRITE_HIGH_WATER + (64 << 10), "{} bytes wait", link.queued_bytes());
}

#[tokio::test(start_paused = true)]
async fn large_updates_for_a_reader_that_never_reads_wait_at_their_source() {
    let (near, far) = duplex(4 << 10);
    let (_unread, mut write) = tokio::io::split(near);
    let link = LinkHandle::new(Session::open(None), Limits::default());
    let (_never, stopping) = pair();
    env::spawn(Driver::new(far, link.clone(), Arc::new(Services::new().with(Echo)), LIMITS, stopping).run());
    let pairs = [(header::SERVICE, "test.Echo"), (header::METHOD, "repeat"), (header::CREDIT, "4096")];
    write.write_all(&request(1, &pairs, &[0; 100 << 10])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(link.queued_bytes() < WRITE_HIGH_WATER + (512 << 10), "{} bytes wait", link.queued_bytes());
}

#[tokio::test(start_paused = true)]
async fn calls_to_a_server_that_never_reads_end_at_their_deadline_and_the_queue_is_bounded() {
    let (near, _never_read) = duplex(4 << 10);
    let link = start_client(near, AT);
    let body = Bytes::from(vec![0; 1 << 20]);
    let tries: Vec<_> = (0..40)
        .map(|_| {
            let (link, body) = (link.clone(), body.clone());
            env::spawn(async move { call(&link, "echo", body, Some(Duration::from_millis(500))).await })
        })
        .collect();
    let mut unknown = 0;
    for ended in tries {
        let error = ended.await.unwrap().unwrap_err();
        unknown += u32::from(error.certainty() == Certainty::Unknown);
    }
    assert!(link.queued_bytes() < 20 << 20);
    assert_eq!(unknown, 1, "only the call whose first byte left may have happened");
}

#[tokio::test]
async fn ten_thousand_calls_at_once_all_end() {
    let (near, _stop) = served(1 << 16, super::ServeLimits { calls: 1_024, ..LIMITS });
    let link = start_client(near, AT);
    let calls = (0..10_000_u32).map(|n| {
        let link = link.clone();
        async move {
            let body = Bytes::copy_from_slice(&n.to_be_bytes());
            matches!(call(&link, "echo", body.clone(), None).await, Ok(Received::Value(echo)) if echo == body)
        }
    });
    assert!(futures::future::join_all(calls).await.into_iter().all(|right| right));
}
