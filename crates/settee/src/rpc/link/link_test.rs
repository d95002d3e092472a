//! A link against a peer that is written by hand: what is sent, what is not, and how certain the errors are.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::poll_immediate;
use settee_core::error::{ErrorKind, codes};
use settee_core::shutdown::{Shutdown, ShutdownTrigger, pair};
use settee_core::{Certainty, Context, Error, Instant, env};
use settee_wire::bolt::{Decoder, Frame, Head, Limits, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::driver::Driver;
use super::{LinkHandle, Outgoing, Received, ServeLimits, serve, start_client};
use crate::rpc::expand::BoxFuture;
use crate::rpc::session::Session;
use crate::rpc::stream::StreamSource;
use crate::rpc::{Answer, Incoming, MethodDescriptor, Service, ServiceDescriptor, Services, header, updates};

/// Answers with what it is sent; slowly; with a failure as long as its arguments; or with a stream of it without end.
pub(super) struct Echo;

pub(super) static ECHO: ServiceDescriptor = ServiceDescriptor {
    name: "test.Echo",
    methods: &[
        MethodDescriptor::new("echo"),
        MethodDescriptor::new("slow"),
        MethodDescriptor::new("fail"),
        MethodDescriptor::new("repeat"),
    ],
};

impl Service for Echo {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &ECHO
    }

    fn call(self: Arc<Self>, method: usize, incoming: Incoming) -> BoxFuture<'static, Answer> {
        Box::pin(async move {
            match method {
                0 => Answer::Value(incoming.body),
                1 => {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    Answer::Value(incoming.body)
                }
                2 => Answer::Failed(Error::new(ErrorKind::Conflict, codes::INTERNAL, "x".repeat(incoming.body.len()))),
                _ => repeat(incoming.body),
            }
        })
    }
}

fn repeat(body: Bytes) -> Answer {
    let (sender, items) = updates(64);
    env::spawn(async move { while sender.send(body.to_vec()).await.is_ok() {} });
    Answer::Stream(StreamSource::new(items))
}

pub(super) const AT: std::net::SocketAddr = std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

pub(super) const LIMITS: ServeLimits = ServeLimits { calls: 64, drain: Duration::from_secs(10) };

/// Serves [`Echo`] and returns the other end, and what stops it.
pub(super) fn served(buffer: usize, limits: ServeLimits) -> (DuplexStream, ShutdownTrigger) {
    let (near, far) = duplex(buffer);
    let (stop, stopping) = pair();
    env::spawn(serve(far, AT, Arc::new(Services::new().with(Echo)), limits, stopping));
    (near, stop)
}

pub(super) async fn call(link: &LinkHandle, method: &str, body: Bytes, timeout: Option<Duration>) -> Result<Received, Error> {
    let context = Context::root("test");
    let context = timeout.map_or(context.clone(), |timeout| context.with_timeout(timeout));
    let outgoing = Outgoing { service: "test.Echo", method, oneway: false, credit: 8, xid: None, context: &context, body: &body };
    link.call(outgoing).await
}

/// A call that nobody answers.
pub(super) async fn oneway(link: &LinkHandle, method: &str, body: Bytes) -> Result<Received, Error> {
    let context = Context::root("test");
    let outgoing = Outgoing { service: "test.Echo", method, oneway: true, credit: 0, xid: None, context: &context, body: &body };
    link.call(outgoing).await
}

pub(super) fn started(
    link: &LinkHandle,
    method: &'static str,
    body: Bytes,
    timeout: Option<Duration>,
) -> env::JoinHandle<Result<Received, Error>> {
    let link = link.clone();
    env::spawn(async move { call(&link, method, body, timeout).await })
}

/// Lets every task run until it waits.
pub(super) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Every frame that arrives until the peer is silent or gone.
pub(super) async fn frames(peer: &mut DuplexStream) -> Vec<Frame> {
    let (decoder, mut bytes, mut frames) = (Decoder::new(Limits::default()), BytesMut::new(), Vec::new());
    loop {
        while let Some(frame) = decoder.decode(&mut bytes).unwrap() {
            frames.push(frame);
        }
        match tokio::time::timeout(Duration::from_millis(50), peer.read_buf(&mut bytes)).await {
            Ok(Ok(read)) if read > 0 => {}
            _ => return frames,
        }
    }
}

pub(super) fn method_of(frame: &Frame) -> String {
    frame.body.pairs(&Limits::default()).get(header::METHOD).unwrap().unwrap_or_default().to_owned()
}

pub(super) async fn answer(peer: &mut DuplexStream, to: Head, pairs: &[(&str, &str)], body: &[u8]) {
    let mut out = BytesMut::new();
    let encoder = settee_wire::bolt::Encoder::new(Limits::default());
    let mut headers = encoder.begin(&mut out, &to.answer(Status::Success).unwrap(), "settee").unwrap();
    pairs.iter().for_each(|(key, value)| headers.pair(key, value).unwrap());
    let mut content = headers.content();
    content.append(body).unwrap();
    content.finish().unwrap();
    peer.write_all(&out).await.unwrap();
}

pub(super) fn zeros(length: usize) -> Bytes {
    vec![0; length].into()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_timed_out_before_it_left_is_never_sent() {
    let (near, mut peer) = duplex(64);
    let link = start_client(near, AT);
    let _stuck = started(&link, "echo", zeros(1 << 20), None);
    settle().await;
    let error = call(&link, "fail", Bytes::new(), Some(Duration::from_millis(10))).await.unwrap_err();
    assert_eq!((error.code(), error.certainty()), (&codes::DEADLINE, Certainty::NotDone));
    let dropped = started(&link, "slow", Bytes::new(), None);
    settle().await;
    dropped.abort();
    settle().await;
    let _next = started(&link, "repeat", Bytes::new(), None);
    let sent: Vec<_> = frames(&mut peer).await.iter().map(method_of).collect();
    assert_eq!(sent, ["echo", "repeat"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_closed_link_called_not_done_is_never_sent() {
    let (near, mut peer) = duplex(1 << 20);
    let link = start_client(near, AT);
    let sent = started(&link, "echo", Bytes::new(), None);
    settle().await;
    // Queued, and closed before the driver runs again.
    let mut queued = pin!(call(&link, "fail", Bytes::new(), None));
    assert!(poll_immediate(queued.as_mut()).await.is_none());
    link.close();
    assert_eq!(sent.await.unwrap().unwrap_err().certainty(), Certainty::Unknown);
    assert_eq!(queued.await.unwrap_err().certainty(), Certainty::NotDone);
    assert!(frames(&mut peer).await.iter().all(|frame| method_of(frame) != "fail"));
    let error = call(&link, "echo", Bytes::new(), None).await.unwrap_err();
    assert!(error.is_retryable(), "a link that died since it was chosen: {error}");
}

#[tokio::test(start_paused = true)]
async fn two_full_ends_do_not_wait_for_each_other() {
    let (near, _stop) = served(4 << 10, LIMITS);
    let link = start_client(near, AT);
    let calls: Vec<_> = (0..128).map(|_| started(&link, "echo", zeros(64 << 10), None)).collect();
    for call in calls {
        assert!(matches!(call.await.unwrap(), Ok(Received::Value(body)) if body.len() == 64 << 10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_with_too_much_to_do_is_not_taken_for_dead() {
    let (near, _stop) = served(1 << 20, ServeLimits { calls: 2, ..LIMITS });
    let link = start_client(near, AT);
    let mut calls: Vec<_> = (0..2).map(|_| started(&link, "slow", zeros(40 << 10), None)).collect();
    settle().await;
    // It cannot be refused, so it waits, and the server reads no further.
    oneway(&link, "slow", zeros(40 << 10)).await.unwrap();
    calls.extend((0..2).map(|_| started(&link, "echo", zeros(40 << 10), None)));
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
}

/// A server's end that is polled by the test, takes so many calls at a time, and stops when the trigger is dropped; and its client.
fn driven_by_hand(calls: usize) -> (Driver<DuplexStream>, LinkHandle, ShutdownTrigger) {
    let (near, far) = duplex(1 << 20);
    let link = LinkHandle::new(Session::open(None), Limits::default());
    let (stop, stopping) = pair();
    let limits = ServeLimits { calls, ..LIMITS };
    let driver = Driver::new(far, link, Arc::new(Services::new().with(Echo)), limits, stopping);
    (driver, start_client(near, AT), stop)
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_calls_holds_for_frames_of_one_read() {
    let (mut driver, client, _stop) = driven_by_hand(2);
    let _calls: Vec<_> = (0..9).map(|_| started(&client, "slow", Bytes::new(), None)).collect();
    settle().await;
    std::future::poll_fn(|context| {
        assert!(driver.poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    assert_eq!(driver.calls_under_way(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_over_the_limit_is_refused_at_once_and_did_not_happen() {
    let (near, _stop) = served(1 << 20, ServeLimits { calls: 2, ..LIMITS });
    let link = start_client(near, AT);
    let under_way: Vec<_> = (0..2).map(|_| started(&link, "slow", Bytes::new(), None)).collect();
    settle().await;
    let began = Instant::now();
    let error = call(&link, "echo", Bytes::new(), None).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Limited, &codes::TOO_MANY_CALLS));
    assert_eq!((error.certainty(), began.elapsed()), (Certainty::NotDone, Duration::ZERO));
    for call in under_way {
        assert!(call.await.unwrap().is_ok());
    }
    assert!(call(&link, "echo", Bytes::new(), None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_oneway_call_over_the_limit_waits_and_is_not_lost() {
    let (mut driver, client, _stop) = driven_by_hand(2);
    for _ in 0..5 {
        oneway(&client, "slow", Bytes::new()).await.unwrap();
    }
    let mut most = Vec::new();
    for _ in 0..4 {
        settle().await;
        assert!(poll_immediate(std::future::poll_fn(|context| driver.poll(context))).await.is_none());
        most.push(driver.calls_under_way());
        tokio::time::advance(Duration::from_secs(31)).await;
    }
    assert_eq!(most, [2, 2, 1, 0], "all five were made");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_comes_too_late_is_cancelled() {
    let (near, mut peer) = duplex(1 << 20);
    let link = start_client(near, AT);
    let call = started(&link, "repeat", Bytes::new(), None);
    let asked = frames(&mut peer).await;
    call.abort();
    settle().await;
    answer(&mut peer, asked[0].head, &[(header::STREAM, "1")], b"").await;
    let sent: Vec<_> = frames(&mut peer).await.iter().map(method_of).collect();
    assert_eq!(sent, ["cancel"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_goes_away_closes_when_its_last_call_is_dropped() {
    let (near, mut peer) = duplex(1 << 20);
    let link = start_client(near, AT);
    let call = started(&link, "slow", Bytes::new(), None);
    frames(&mut peer).await;
    link.retire();
    settle().await;
    assert!(!link.is_broken());
    call.abort();
    settle().await;
    assert!(link.is_broken());
}

#[tokio::test(start_paused = true)]
async fn answers_that_came_before_the_peer_closed_are_not_unknown() {
    let (near, mut peer) = duplex(1 << 20);
    let link = start_client(near, AT);
    let first = started(&link, "echo", Bytes::new(), None);
    let asked = frames(&mut peer).await;
    let mut second = pin!(call(&link, "echo", Bytes::new(), None));
    assert!(poll_immediate(second.as_mut()).await.is_none());
    answer(&mut peer, asked[0].head, &[], &zeros(300 << 10)).await;
    drop(peer);
    assert!(matches!(first.await.unwrap(), Ok(Received::Value(body)) if body.len() == 300 << 10));
    assert!(second.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_failure_longer_than_a_frame_still_arrives() {
    let (near, _stop) = served(1 << 20, LIMITS);
    let link = start_client(near, AT);
    let error = call(&link, "fail", zeros(4 << 20), Some(Duration::from_secs(5))).await.unwrap_err();
    assert_eq!((error.kind(), error.certainty()), (ErrorKind::Conflict, Certainty::NotDone));
}

#[tokio::test(start_paused = true)]
async fn headers_over_their_limit_fail_the_call_and_not_the_connection() {
    let (near, _stop) = served(1 << 20, LIMITS);
    let link = start_client(near, AT);
    let mut many = Context::root("test");
    many.baggage = Arc::new((0..200).map(|n| (format!("{n}"), String::new())).collect());
    for context in [many, Context::root(&"x".repeat(40_000))] {
        let body = Bytes::new();
        let outgoing = Outgoing {
            service: "test.Echo",
            method: "echo",
            oneway: false,
            credit: 0,
            xid: None,
            context: &context,
            body: &body,
        };
        let error = link.call(outgoing).await.unwrap_err();
        assert_eq!((error.code(), error.certainty()), (&codes::TOO_LARGE, Certainty::NotDone));
        assert!(!error.is_retryable());
    }
    assert!(call(&link, "echo", Bytes::new(), None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_streams_at_once_and_opens_no_more() {
    let (near, stop) = served(1 << 20, LIMITS);
    let link = start_client(near, AT);
    let Ok(Received::Stream(mut reader)) = call(&link, "repeat", Bytes::new(), None).await else { panic!("expected a stream") };
    let slow = started(&link, "slow", Bytes::new(), None);
    settle().await;
    stop.stop();
    let last = loop {
        match std::future::poll_fn(|context| reader.poll_next(context)).await {
            Some(Ok(_)) => {}
            other => break other,
        }
    };
    let error = last.expect("an end that is no ordinary one").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, &codes::DRAINING));
    drop(slow);
    assert!(link.is_closed(), "no new call takes this connection");
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_peer_that_is_dead() {
    let (near, far) = duplex(1 << 20);
    let (stop, stopping) = pair();
    let serving = env::spawn(serve(far, AT, Arc::new(Services::new().with(Echo)), LIMITS, stopping));
    let stopped = Instant::now();
    stop.stop();
    serving.await.unwrap();
    assert!(stopped.elapsed() < LIMITS.drain / 2, "{:?}", stopped.elapsed());
    drop(near);
}

#[tokio::test]
async fn a_driver_that_is_dropped_before_it_ran_fails_what_waits() {
    let (near, _peer) = duplex(64);
    let link = LinkHandle::new(Session::open(None), Limits::default());
    let stopping: Shutdown = pair().1;
    let driver = Driver::new(near, link.clone(), Arc::new(Services::new()), LIMITS, stopping);
    let call = started(&link, "echo", Bytes::new(), None);
    settle().await;
    drop(driver.run());
    assert_eq!(call.await.unwrap().unwrap_err().certainty(), Certainty::NotDone);
    assert!(link.session().is_closed());
}
