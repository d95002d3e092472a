//! What callers share with the driver: bytes to write, calls that wait for an answer, streams that are being read.

mod ended;
mod places;
mod send;

#[cfg(test)]
pub(super) use places::GRACE;
pub(super) use send::failure;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::Xid;
use settee_core::planted::Bug;
use settee_core::trace::SpanOutcome;
use settee_core::{Context, Error, Instant};
use settee_wire::bolt::{Codec, EncodeError, Encoder, Head, Kind, Limits, Timeout, Version};
use tokio::sync::oneshot;

use self::ended::Ended;
use self::places::{ForgetOnDrop, GivenUp};
use super::pump::StreamsOut;
use super::queue::{Place, WriteQueue};
use super::window::{Permit, Window};
use crate::rpc::header;
use crate::rpc::session::Session;
use crate::rpc::stream::{self, StreamQueue, StreamReader};

/// The class text of frames between settee peers. Java peers dispatch on their own class names and never see it.
pub(super) const CLASS: &str = "settee";

/// Bytes that may wait to be written before calls are refused: a peer that does not read must not grow us.
const QUEUE_LIMIT: usize = 16 << 20;

/// `()` in MessagePack: what a oneway call gives at once.
const UNIT: &[u8] = b"\xc0";

/// One end of a connection. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LinkHandle(Arc<Shared>);

struct Shared {
    session: Session,
    limits: Limits,
    encoder: Encoder,
    driver: AtomicWaker,
    /// Whether new calls should take another connection: what every call asks, without the lock.
    shut: AtomicBool,
    /// Bytes of answers that the peer has not read, as the lock's last holder left them.
    owed: AtomicUsize,
    window: Window,
    outbox: Mutex<Outbox>,
}

#[derive(Default)]
struct Outbox {
    queue: WriteQueue,
    waiting: BTreeMap<i32, Waiting>,
    given_up: BTreeMap<i32, GivenUp>,
    deadlines: BTreeSet<(Instant, i32)>,
    streams_in: BTreeMap<i32, StreamQueue>,
    streams_out: StreamsOut,
    last_id: i32,
    going_away: bool,
    closed: bool,
}

/// A call that waits for its answer.
struct Waiting {
    answer: oneshot::Sender<Ended>,
    place: Place,
    deadline: Option<Instant>,
    credit: usize,
    permit: Permit,
}

/// A call as the channel hands it over.
pub(crate) struct Outgoing<'a> {
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    pub(crate) oneway: bool,
    pub(crate) credit: usize,
    pub(crate) xid: Option<Xid>,
    pub(crate) context: &'a Context,
    pub(crate) body: &'a Bytes,
}

/// An answer as the channel gets it; failures are errors.
#[derive(Debug)]
pub(crate) enum Received {
    Value(Bytes),
    /// Empty where the peer sent no code.
    Refused {
        code: String,
        body: Bytes,
    },
    Stream(StreamReader),
}

impl Received {
    pub(crate) fn outcome(&self) -> SpanOutcome {
        match self {
            Self::Value(_) | Self::Stream(_) => SpanOutcome::Success,
            Self::Refused { .. } => SpanOutcome::Refused,
        }
    }
}

impl LinkHandle {
    pub(super) fn new(session: Session, limits: Limits) -> Self {
        let (encoder, driver) = (Encoder::new(limits), AtomicWaker::new());
        let (shut, owed, window, outbox) = (AtomicBool::new(false), AtomicUsize::new(0), Window::new(), Mutex::default());
        Self(Arc::new(Shared { session, limits, encoder, driver, shut, owed, window, outbox }))
    }

    pub(super) fn session(&self) -> &Session {
        &self.0.session
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(super) fn register(&self, waker: &Waker) {
        self.0.driver.register(waker);
    }

    /// Whether new calls should take another connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.shut.load(Ordering::Acquire)
    }

    /// Whether the peer owes this end something.
    pub(super) fn is_expecting(&self) -> bool {
        let outbox = self.0.outbox.lock();
        let answers = !outbox.waiting.is_empty() || !outbox.given_up.is_empty();
        answers || !outbox.streams_in.is_empty() || outbox.streams_out.is_running()
    }

    /// Ends the connection; what waits fails.
    pub(crate) fn close(&self) {
        self.fail_all();
        self.0.driver.wake();
    }

    /// Sends a call, as soon as the window lets it pass, and waits for its answer.
    ///
    /// Cancel safety: the answer of a dropped call is thrown away when it comes.
    pub(crate) async fn call(&self, outgoing: Outgoing<'_>) -> Result<Received, Error> {
        let permit = if outgoing.oneway { None } else { Some(self.permit(&outgoing).await?) };
        let (answered, answer) = oneshot::channel();
        let Some(id) = self.enqueue(&outgoing, answered, permit)? else { return Ok(Received::Value(Bytes::from_static(UNIT))) };
        let mut forget = ForgetOnDrop { link: Some(self), id };
        let ended = answer.await.unwrap_or(Ended::Lost { unknown: true });
        forget.link = None;
        ended.result(&outgoing)
    }

    /// Queues the frame of a call, with the time that it has left now. `None` for a oneway call, which nobody answers.
    fn enqueue(
        &self,
        outgoing: &Outgoing<'_>,
        answer: oneshot::Sender<Ended>,
        permit: Option<Permit>,
    ) -> Result<Option<i32>, Error> {
        let mut outbox = self.0.outbox.lock();
        if outbox.closed || outbox.going_away {
            return Err(lost(&name(outgoing)));
        }
        if outbox.queue.len() > QUEUE_LIMIT {
            let message = format!("call {}: the peer does not read, {QUEUE_LIMIT} bytes wait", name(outgoing));
            return Err(Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, message));
        }
        let id = outbox.next_id();
        let place = outbox.queue.append(|out| self.write_call(out, id, outgoing)).map_err(|error| too_large(outgoing, &error))?;
        let is_answered = permit.is_some();
        if let Some(permit) = permit {
            let deadline = outgoing.context.deadline;
            outbox.deadlines.extend(deadline.map(|deadline| (deadline, id)));
            let waiting = Waiting { answer, place, deadline, credit: outgoing.credit, permit };
            outbox.waiting.insert(id, waiting);
        }
        drop(outbox);
        self.0.driver.wake();
        Ok(is_answered.then_some(id))
    }

    fn write_call(&self, out: &mut BytesMut, id: i32, outgoing: &Outgoing<'_>) -> Result<(), EncodeError> {
        let left = outgoing.context.remaining();
        let timeout = left.map_or(Timeout::NONE, Timeout::after);
        let kind = if outgoing.oneway { Kind::Oneway { timeout } } else { Kind::Call { timeout } };
        let mut headers = self.0.encoder.begin(out, &head(id, kind), CLASS)?;
        headers.pair(header::SERVICE, outgoing.service)?;
        headers.pair(header::METHOD, outgoing.method)?;
        if outgoing.credit > 0 {
            headers.pair(header::CREDIT, &outgoing.credit.to_string())?;
        }
        if let Some(xid) = outgoing.xid {
            headers.pair(header::XID, &xid.to_string())?;
        }
        let mut written = Ok(());
        header::write_context(outgoing.context, left, |key, value| {
            if written.is_ok() {
                written = headers.pair(key, value);
            }
        });
        written?;
        let mut content = headers.content();
        content.append(outgoing.body)?;
        content.finish().map(|_| ())
    }

    /// The next bytes to write: from here on they may have reached the peer.
    pub(super) fn take_queued(&self) -> BytesMut {
        let mut outbox = self.0.outbox.lock();
        let taken = outbox.queue.take();
        self.0.owed.store(outbox.queue.owed(), Ordering::Relaxed);
        taken
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.0.outbox.lock().queue.len()
    }

    /// Bytes of answers that the peer has not read.
    pub(super) fn owed_bytes(&self) -> usize {
        self.0.owed.load(Ordering::Relaxed)
    }

    /// Completes the call `id`. An answer to nobody is late: its call timed out or was dropped.
    pub(super) fn complete(&self, id: i32, result: Result<Completed, Error>) {
        let mut outbox = self.0.outbox.lock();
        let oldest = outbox.waiting.keys().next().copied().filter(|_| Bug::AnswersTheOldestCall.is_planted());
        let Some(waiting) = outbox.forget(oldest.unwrap_or(id)) else {
            let place = outbox.settle(id);
            drop(outbox);
            drop(place);
            return self.complete_nobody(id, &result);
        };
        let received = result.map(|completed| match completed {
            Completed::Value(body) => Received::Value(body),
            Completed::Refused { code, body } => Received::Refused { code, body },
            Completed::Stream => {
                let (queue, reader) = stream::reader(self.clone(), id, waiting.credit.max(1));
                outbox.streams_in.insert(id, queue);
                Received::Stream(reader)
            }
        });
        drop(outbox);
        let _caller_may_be_gone = waiting.answer.send(Ended::Answered(received));
    }

    /// A stream that nobody reads would stay open at its sender for as long as the connection lives.
    fn complete_nobody(&self, id: i32, late: &Result<Completed, Error>) {
        if matches!(late, Ok(Completed::Stream)) {
            let _too_small_to_fail = self.stream_frame(id, "cancel", None, &[]);
        }
    }

    /// Puts an item or the end into the stream `id`. `false`: the peer sent more than its credit.
    pub(super) fn stream_item(&self, id: i32, item: Option<Result<Bytes, Error>>) -> bool {
        let mut outbox = self.0.outbox.lock();
        let ends = !matches!(item, Some(Ok(_)));
        let queue = if ends { outbox.streams_in.remove(&id) } else { outbox.streams_in.get(&id).cloned() };
        drop(outbox);
        match (queue, item) {
            (Some(queue), Some(item)) => !matches!(queue.try_send(item), Err(tokio::sync::mpsc::error::TrySendError::Full(_))),
            _ => true,
        }
    }

    pub(super) fn with_streams_out<T>(&self, act: impl FnOnce(&mut StreamsOut) -> T) -> T {
        act(&mut self.0.outbox.lock().streams_out)
    }

    /// Fails calls whose deadline has passed, and frees the places of those that were given up long ago; returns the next deadline.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        loop {
            let mut outbox = self.0.outbox.lock();
            let (deadline, id) = *outbox.deadlines.first()?;
            if deadline > now {
                return Some(deadline);
            }
            let Some(waiting) = outbox.forget(id) else {
                let place = outbox.settle(id);
                drop(outbox);
                drop(place);
                continue;
            };
            let (answer, place) = outbox.give_up(id, waiting, now);
            drop(outbox);
            let _caller_may_be_gone = answer.send(Ended::Late { unknown: place.is_none() });
        }
    }

    /// The deadline that comes first.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.outbox.lock().deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The peer will take no new calls on this connection.
    pub(super) fn going_away(&self) {
        self.0.outbox.lock().going_away = true;
        self.0.shut.store(true, Ordering::Release);
        self.0.window.close();
    }

    /// Whether everything that waited has failed already.
    pub(super) fn is_broken(&self) -> bool {
        self.0.outbox.lock().closed
    }

    /// Whether nobody at this end waits for an answer or reads a stream.
    pub(super) fn is_unused(&self) -> bool {
        let outbox = self.0.outbox.lock();
        outbox.waiting.is_empty() && outbox.streams_in.is_empty()
    }

    /// Whether both are ends of one connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Takes no new calls here; the connection closes when what is under way has ended.
    pub(crate) fn retire(&self) {
        self.going_away();
        self.0.driver.wake();
    }

    /// Whether a call waits for its answer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.0.outbox.lock().waiting.is_empty()
    }

    /// Fails everything that waits: calls whose frame was never handed to the socket certainly did not happen.
    pub(super) fn fail_all(&self) {
        let mut outbox = self.0.outbox.lock();
        outbox.closed = true;
        self.0.shut.store(true, Ordering::Release);
        outbox.deadlines.clear();
        // The driver may still be writing: what is called "not done" below must be out of its reach in the same moment.
        outbox.queue.abandon();
        let waiting = std::mem::take(&mut outbox.waiting);
        let waiting: Vec<_> = waiting.into_values().map(|waiting| (outbox.queue.has_handed(waiting.place), waiting)).collect();
        let streams = std::mem::take(&mut outbox.streams_in);
        let given_up = std::mem::take(&mut outbox.given_up);
        let unread = outbox.streams_out.stop();
        drop(outbox);
        drop((unread, given_up));
        self.0.window.close();
        for (unknown, waiting) in waiting {
            let _caller_may_be_gone = waiting.answer.send(Ended::Lost { unknown });
        }
        for queue in streams.into_values() {
            let _reader_may_be_gone = queue.try_send(Err(stream::broken()));
        }
        self.0.session.close();
    }
}

/// A response frame, read.
pub(super) enum Completed {
    Value(Bytes),
    Refused { code: String, body: Bytes },
    Stream,
}

impl Outbox {
    fn next_id(&mut self) -> i32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            // 0 is for frames without a call. The numbers come round, and streams and patient calls live long.
            let id = &self.last_id;
            let awaited = self.waiting.contains_key(id) || self.given_up.contains_key(id);
            let used = *id == 0 || awaited || self.streams_in.contains_key(id);
            if !used {
                return self.last_id;
            }
        }
    }

    fn forget(&mut self, id: i32) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        if let Some(deadline) = waiting.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        Some(waiting)
    }
}

impl fmt::Debug for LinkHandle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LinkHandle({:?})", self.0.session.peer())
    }
}

pub(super) fn head(request_id: i32, kind: Kind) -> Head {
    Head { version: Version::V1, codec: Codec::MESSAGE_PACK, request_id, kind }
}

fn name(outgoing: &Outgoing<'_>) -> String {
    format!("{}.{}", outgoing.service, outgoing.method)
}

pub(super) fn lost(name: &str) -> Error {
    Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, format!("call {name}: the connection closed"))
}

fn too_large(outgoing: &Outgoing<'_>, error: &EncodeError) -> Error {
    Error::new(ErrorKind::Invalid, codes::TOO_LARGE, format!("call {}: {error}", name(outgoing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_in_use_is_not_given_again_when_the_numbers_come_round() {
        let mut outbox = Outbox { last_id: -2, ..Outbox::default() };
        for open in [1, 2, 4] {
            outbox.streams_in.insert(open, tokio::sync::mpsc::channel(1).0);
        }
        assert_eq!([(); 4].map(|()| outbox.next_id()), [-1, 3, 5, 6], "0 is no number of a call");
        outbox.last_id = i32::MAX;
        assert_eq!(outbox.next_id(), i32::MIN);
    }
}
