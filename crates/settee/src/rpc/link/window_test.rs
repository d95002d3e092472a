//! A full window against a peer that is written by hand: who waits, who is refused, who passes, and when a place is free again.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::poll_immediate;
use settee_core::context::Criticality;
use settee_core::error::{ErrorKind, codes};
use settee_core::{Certainty, Context, Error, Instant, env};
use settee_wire::bolt::{Decoder, Encoder, Frame, Head, Kind, Limits, Status, Timeout};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::link_test::{AT, answer, call, oneway, settle, started, zeros};
use super::outbox::{GRACE, head};
use super::window::LINE;
use super::{LinkHandle, Outgoing, RESERVED, Received, WINDOW, start_client};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(10);

type Ended = Result<Received, Error>;

/// Calls that fill the window, and what the peer has read of them.
struct Full {
    link: LinkHandle,
    peer: DuplexStream,
    calls: Vec<env::JoinHandle<Ended>>,
    heads: Vec<Head>,
}

/// A connection with a full window, to a peer that answers nothing by itself.
async fn full(timeout: Duration) -> Full {
    let (near, mut peer) = duplex(1 << 20);
    let link = start_client(near, AT);
    let calls = (0..WINDOW).map(|_| started(&link, "slow", Bytes::new(), Some(timeout))).collect();
    let heads: Vec<_> = arriving(&mut peer, MOMENT).await.iter().map(|frame| frame.head).collect();
    assert_eq!(heads.len(), WINDOW);
    assert!(link.is_full());
    Full { link, peer, calls, heads }
}

/// The frames that arrive within `time`, heartbeats aside: they are answered, so that the connection lives.
async fn arriving(peer: &mut DuplexStream, time: Duration) -> Vec<Frame> {
    let (decoder, mut bytes, mut arrived) = (Decoder::new(Limits::default()), BytesMut::new(), Vec::new());
    let until = Instant::now() + time;
    while let Ok(Ok(1..)) = tokio::time::timeout_at(until, peer.read_buf(&mut bytes)).await {
        while let Some(frame) = decoder.decode(&mut bytes).unwrap() {
            match frame.head.kind {
                Kind::Heartbeat { .. } => answer(peer, frame.head, &[], &[]).await,
                _ => arrived.push(frame),
            }
        }
    }
    arrived
}

fn contents(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.body.content.to_vec()).collect()
}

fn timeout_of(frame: &Frame) -> Duration {
    match frame.head.kind {
        Kind::Call { timeout } => timeout.duration().expect("a call with a deadline"),
        other => panic!("{other:?} is no call"),
    }
}

/// A call that settee makes for itself.
fn control(link: &LinkHandle) -> env::JoinHandle<Ended> {
    let link = link.clone();
    env::spawn(async move {
        let mut context = Context::root("test").with_timeout(60 * SECOND);
        context.criticality = Criticality::Control;
        let (body, service, method) = (Bytes::new(), "settee.Registry", "renew");
        let outgoing = Outgoing { service, method, oneway: false, credit: 0, xid: None, context: &context, body: &body };
        link.call(outgoing).await
    })
}

fn is_refused(ended: Ended) -> bool {
    let error = ended.unwrap_err();
    let told = (error.kind(), error.code(), error.certainty());
    told == (ErrorKind::Limited, &codes::TOO_MANY_CALLS, Certainty::NotDone)
}

#[tokio::test(start_paused = true)]
async fn a_call_over_the_window_leaves_when_another_is_answered_with_the_time_that_it_still_has() {
    let Full { link, mut peer, heads, .. } = full(60 * SECOND).await;
    let over = started(&link, "echo", Bytes::new(), Some(4 * SECOND));
    assert!(arriving(&mut peer, SECOND).await.is_empty());
    answer(&mut peer, heads[0], &[], &[]).await;
    let sent = arriving(&mut peer, MOMENT).await;
    assert_eq!(sent.len(), 1);
    assert!(timeout_of(&sent[0]) <= 3 * SECOND, "{:?}", timeout_of(&sent[0]));
    answer(&mut peer, sent[0].head, &[], b"x").await;
    assert!(matches!(over.await.unwrap(), Ok(Received::Value(body)) if body == "x"));
}

#[tokio::test(start_paused = true)]
async fn who_came_first_is_sent_first() {
    let Full { link, mut peer, heads, .. } = full(60 * SECOND).await;
    let mut waiting = Vec::new();
    for n in 0..5 {
        waiting.push(started(&link, "echo", Bytes::from(vec![n]), Some(60 * SECOND)));
        settle().await;
    }
    waiting[1].abort();
    settle().await;
    for head in &heads[..4] {
        answer(&mut peer, *head, &[], &[]).await;
    }
    assert_eq!(contents(&arriving(&mut peer, MOMENT).await), [0, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_finds_no_place_in_half_of_its_time_is_refused_and_was_never_sent() {
    let Full { link, mut peer, heads, .. } = full(60 * SECOND).await;
    let began = Instant::now();
    let over = started(&link, "echo", Bytes::new(), Some(3 * SECOND));
    assert!(arriving(&mut peer, 1_400 * Duration::from_millis(1)).await.is_empty());
    assert!(!over.is_finished());
    assert!(is_refused(over.await.unwrap()));
    assert!(began.elapsed() < 1_600 * Duration::from_millis(1), "{:?}", began.elapsed());
    answer(&mut peer, heads[0], &[], &[]).await;
    assert!(arriving(&mut peer, SECOND).await.is_empty(), "a caller was told that it did not happen");
    assert!(!link.is_full());
}

#[tokio::test(start_paused = true)]
async fn a_line_that_stands_turns_newcomers_away_soon_and_a_burst_does_not() {
    let Full { link, mut peer, .. } = full(60 * SECOND).await;
    let _patient = started(&link, "echo", Bytes::new(), Some(60 * SECOND));
    arriving(&mut peer, 900 * Duration::from_millis(1)).await;
    let early = started(&link, "echo", Bytes::new(), Some(60 * SECOND));
    arriving(&mut peer, 200 * Duration::from_millis(1)).await;
    let began = Instant::now();
    assert!(is_refused(call(&link, "echo", Bytes::new(), Some(60 * SECOND)).await));
    let took = began.elapsed();
    assert!((100..110).contains(&took.as_millis()), "{took:?}");
    assert!(!early.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_as_long_as_it_may_be_takes_nobody_and_says_so_at_once() {
    let Full { link, peer: _open, .. } = full(60 * SECOND).await;
    let _in_line: Vec<_> = (0..LINE).map(|_| started(&link, "echo", Bytes::new(), Some(60 * SECOND))).collect();
    tokio::time::sleep(MOMENT).await;
    let over = poll_immediate(pin!(call(&link, "echo", Bytes::new(), Some(60 * SECOND)))).await;
    assert!(is_refused(over.expect("an answer at once")));
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_connection_alive_never_waits_behind_calls() {
    let Full { link, mut peer, .. } = full(60 * SECOND).await;
    let _in_line = started(&link, "echo", Bytes::new(), Some(60 * SECOND));
    settle().await;
    oneway(&link, "echo", Bytes::from_static(b"o")).await.unwrap();
    link.give_credit(7, 32);
    let sent = arriving(&mut peer, MOMENT).await;
    assert_eq!((sent.len(), contents(&sent)), (2, b"o".to_vec()));

    let mut asked = BytesMut::new();
    let heartbeat = head(0, Kind::Heartbeat { timeout: Timeout::NONE });
    let headers = Encoder::new(Limits::default()).begin(&mut asked, &heartbeat, "settee").unwrap();
    headers.content().finish().unwrap();
    peer.write_all(&asked).await.unwrap();
    let answered = arriving(&mut peer, MOMENT).await;
    assert!(matches!(answered[..], [Frame { head: Head { kind: Kind::HeartbeatAck { status: Status::Success }, .. }, .. }]));
    arriving(&mut peer, 10 * SECOND).await;
    assert!(!link.is_broken(), "it asked its peer all the time, and was answered");
}

#[tokio::test(start_paused = true)]
async fn user_traffic_does_not_hold_back_control_traffic() {
    let Full { link, mut peer, .. } = full(60 * SECOND).await;
    let _in_line = started(&link, "echo", Bytes::new(), Some(60 * SECOND));
    let _control: Vec<_> = (0..=RESERVED).map(|_| control(&link)).collect();
    let sent = arriving(&mut peer, MOMENT).await;
    assert_eq!(sent.len(), RESERVED, "it has a bound too");
    answer(&mut peer, sent[0].head, &[], &[]).await;
    assert_eq!(arriving(&mut peer, MOMENT).await.len(), 1, "the last one, and not the ordinary call before it");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_place_when_the_connection_breaks_or_goes_away_was_never_sent() {
    for breaks in [true, false] {
        let Full { link, peer, calls, .. } = full(60 * SECOND).await;
        let in_line = started(&link, "echo", Bytes::new(), Some(60 * SECOND));
        settle().await;
        let mut peer = Some(peer);
        if breaks {
            peer = None
        } else {
            link.retire()
        }
        let error = in_line.await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.certainty()), (&codes::CONNECTION_LOST, Certainty::NotDone));
        assert!(error.is_retryable());
        settle().await;
        assert_eq!(calls.iter().all(env::JoinHandle::is_finished), breaks);
        drop(peer);
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap_err().certainty(), Certainty::Unknown);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_timed_out_keeps_its_place_until_the_peer_answers_it() {
    let Full { link, mut peer, calls, heads } = full(SECOND).await;
    arriving(&mut peer, SECOND).await;
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().certainty(), Certainty::Unknown);
    }
    let _over = started(&link, "echo", Bytes::new(), Some(60 * SECOND));
    assert!(arriving(&mut peer, SECOND).await.is_empty(), "the peer still works for callers that have gone");
    answer(&mut peer, heads[0], &[], &[]).await;
    assert_eq!(arriving(&mut peer, MOMENT).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_lives_and_never_answers_keeps_no_place_for_ever() {
    let Full { link, mut peer, .. } = full(SECOND).await;
    let over = started(&link, "echo", Bytes::new(), Some(60 * SECOND));
    assert!(arriving(&mut peer, GRACE).await.is_empty());
    assert_eq!(arriving(&mut peer, 2 * SECOND).await.len(), 1);
    assert!(!over.is_finished() && !link.is_full() && !link.is_broken());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_given_up_also_when_all_its_callers_have_gone() {
    let Full { link, peer, .. } = full(SECOND).await;
    tokio::time::sleep(4 * SECOND + MOMENT).await;
    assert!(link.is_broken());
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_takes_its_place_along_only_if_its_frame_never_left() {
    let Full { link, mut peer, calls, heads } = full(60 * SECOND).await;
    calls[3].abort();
    settle().await;
    assert!(link.is_full(), "the peer works on it");
    answer(&mut peer, heads[3], &[], &[]).await;
    settle().await;
    assert!(!link.is_full());

    let (near, _stuck) = duplex(64);
    let link = start_client(near, AT);
    let calls: Vec<_> = (0..WINDOW).map(|_| started(&link, "slow", zeros(1_000), Some(60 * SECOND))).collect();
    settle().await;
    assert!(link.is_full());
    calls[WINDOW - 1].abort();
    settle().await;
    assert!(!link.is_full(), "it was taken back");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_its_caller_no_longer_wants_is_the_next_ones() {
    let Full { link, mut peer, heads, .. } = full(60 * SECOND).await;
    let next = {
        let mut leaves = pin!(call(&link, "echo", Bytes::new(), Some(60 * SECOND)));
        assert!(poll_immediate(leaves.as_mut()).await.is_none());
        let next = started(&link, "echo", Bytes::from_static(b"n"), Some(60 * SECOND));
        settle().await;
        answer(&mut peer, heads[0], &[], &[]).await;
        settle().await;
        next
    };
    assert_eq!(contents(&arriving(&mut peer, MOMENT).await), b"n");
    assert!(!next.is_finished());
}
