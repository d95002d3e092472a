//! What callers share with the driver: bytes to write, calls that wait for an answer, streams that are being read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::Xid;
use settee_core::trace::SpanOutcome;
use settee_core::{Context, Error, Instant};
use settee_wire::bolt::{Codec, EncodeError, Encoder, Head, Kind, Limits, Status, Timeout, Version};
use tokio::sync::oneshot;

use super::pump::StreamsOut;
use crate::rpc::session::Session;
use crate::rpc::stream::{self, StreamQueue, StreamReader};
use crate::rpc::{expand, header, service};

/// The class text of frames between settee peers. Java peers dispatch on their own class names and never see it.
pub(super) const CLASS: &str = "settee";

/// Bytes that may wait to be written before calls are refused: a peer that does not read must not grow us.
const QUEUE_LIMIT: usize = 16 << 20;

/// One end of a connection. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LinkHandle(Arc<Shared>);

struct Shared {
    session: Session,
    limits: Limits,
    encoder: Encoder,
    driver: AtomicWaker,
    outbox: Mutex<Outbox>,
}

#[derive(Default)]
struct Outbox {
    queued: BytesMut,
    /// Where in the connection's bytes `queued` begins: everything before was handed to the socket, perhaps.
    handed: u64,
    waiting: BTreeMap<i32, Waiting>,
    deadlines: BTreeSet<(Instant, i32)>,
    streams_in: BTreeMap<i32, StreamQueue>,
    streams_out: StreamsOut,
    last_id: i32,
    going_away: bool,
    closed: bool,
}

/// A call that waits for its answer.
struct Waiting {
    name: String,
    answer: oneshot::Sender<Result<Received, Error>>,
    starts_at: u64,
    deadline: Option<Instant>,
    credit: usize,
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
    Refused(Bytes),
    Stream(StreamReader),
}

impl Received {
    pub(crate) fn outcome(&self) -> SpanOutcome {
        match self {
            Self::Value(_) | Self::Stream(_) => SpanOutcome::Success,
            Self::Refused(_) => SpanOutcome::Refused,
        }
    }
}

impl LinkHandle {
    pub(super) fn new(session: Session, limits: Limits) -> Self {
        let encoder = Encoder::new(limits);
        Self(Arc::new(Shared { session, limits, encoder, driver: AtomicWaker::new(), outbox: Mutex::default() }))
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
        let outbox = self.0.outbox.lock();
        outbox.closed || outbox.going_away
    }

    /// Whether somebody at this end waits for the peer.
    pub(super) fn is_expecting(&self) -> bool {
        let outbox = self.0.outbox.lock();
        !outbox.waiting.is_empty() || !outbox.streams_in.is_empty() || outbox.streams_out.is_running()
    }

    /// Ends the connection; what waits fails.
    pub(crate) fn close(&self) {
        self.fail_all();
        self.0.driver.wake();
    }

    /// Sends a call and waits for its answer.
    ///
    /// Cancel safety: the answer of a dropped call is thrown away when it comes.
    pub(crate) async fn call(&self, outgoing: Outgoing<'_>) -> Result<Received, Error> {
        let (answered, answer) = oneshot::channel();
        let Some(id) = self.enqueue(&outgoing, answered)? else { return Ok(Received::Value(Bytes::new())) };
        let _forget = ForgetOnDrop { link: self, id };
        answer.await.unwrap_or_else(|_| Err(lost(&name(&outgoing)).unknown()))
    }

    /// Queues the frame of a call. `None` for a oneway call, which nobody answers.
    fn enqueue(&self, outgoing: &Outgoing<'_>, answer: oneshot::Sender<Result<Received, Error>>) -> Result<Option<i32>, Error> {
        let mut outbox = self.0.outbox.lock();
        if outbox.closed || outbox.going_away {
            return Err(lost(&name(outgoing)));
        }
        if outbox.queued.len() > QUEUE_LIMIT {
            let message = format!("call {}: the peer does not read, {QUEUE_LIMIT} bytes wait", name(outgoing));
            return Err(Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, message));
        }
        let id = outbox.next_id();
        let starts_at = outbox.handed + outbox.queued.len() as u64;
        self.write_call(&mut outbox.queued, id, outgoing).map_err(|error| too_large(outgoing, &error))?;
        if !outgoing.oneway {
            let deadline = outgoing.context.deadline;
            outbox.deadlines.extend(deadline.map(|deadline| (deadline, id)));
            let waiting = Waiting { name: name(outgoing), answer, starts_at, deadline, credit: outgoing.credit };
            outbox.waiting.insert(id, waiting);
        }
        drop(outbox);
        self.0.driver.wake();
        Ok((!outgoing.oneway).then_some(id))
    }

    fn write_call(&self, out: &mut BytesMut, id: i32, outgoing: &Outgoing<'_>) -> Result<(), EncodeError> {
        let timeout = outgoing.context.remaining().map_or(Timeout::NONE, Timeout::after);
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
        header::write_context(outgoing.context, |key, value| {
            if written.is_ok() {
                written = headers.pair(key, value);
            }
        });
        written?;
        let mut content = headers.content();
        content.append(outgoing.body)?;
        content.finish().map(|_| ())
    }

    /// Queues the answer to call `to`; one that cannot be written becomes a failure that says so.
    pub(super) fn answer(&self, to: Head, answer: service::Answer) {
        let Some(head) = to.answer(Status::Success) else { return };
        let written = match answer {
            service::Answer::Value(body) => self.queue(&head, &[], &body),
            service::Answer::Refused { code, body } => {
                self.queue(&head, &[(header::OUTCOME, header::REFUSED), (header::REFUSAL, &code)], &body)
            }
            service::Answer::Failed(error) => self.queue(&head, &[(header::OUTCOME, header::FAILED)], &failure(&error)),
            service::Answer::Stream(source) => {
                let written = self.queue(&head, &[(header::STREAM, "1")], &[]);
                self.0.outbox.lock().streams_out.opened(head.request_id, source);
                written
            }
        };
        if let Err(error) = written {
            let error = Error::new(ErrorKind::Internal, codes::TOO_LARGE, format!("write the answer: {error}"));
            let body = failure(&error.with_certainty(settee_core::Certainty::Done));
            let _a_failure_is_small = self.queue(&head, &[(header::OUTCOME, header::FAILED)], &body);
        }
    }

    /// Queues a frame of the stream protocol.
    pub(super) fn stream_frame(&self, id: i32, action: &str, credit: Option<usize>, body: &[u8]) -> Result<(), EncodeError> {
        let frame_id = self.0.outbox.lock().next_id();
        let (id, credit) = (id.to_string(), credit.map(|credit| credit.to_string()));
        let mut pairs = vec![(header::SERVICE, stream::SERVICE), (header::METHOD, action), (header::STREAM, &*id)];
        pairs.extend(credit.as_deref().map(|credit| (header::CREDIT, credit)));
        self.queue(&head(frame_id, Kind::Oneway { timeout: Timeout::NONE }), &pairs, body)
    }

    pub(super) fn queue(&self, head: &Head, pairs: &[(&str, &str)], body: &[u8]) -> Result<(), EncodeError> {
        let mut outbox = self.0.outbox.lock();
        if outbox.closed {
            return Ok(());
        }
        let mut headers = self.0.encoder.begin(&mut outbox.queued, head, CLASS)?;
        for (key, value) in pairs {
            headers.pair(key, value)?;
        }
        let mut content = headers.content();
        content.append(body)?;
        content.finish()?;
        drop(outbox);
        self.0.driver.wake();
        Ok(())
    }

    pub(crate) fn give_credit(&self, id: i32, credit: usize) {
        let _too_small_to_fail = self.stream_frame(id, "credit", Some(credit), &[]);
    }

    pub(crate) fn cancel_stream(&self, id: i32) {
        if self.0.outbox.lock().streams_in.remove(&id).is_some() {
            let _too_small_to_fail = self.stream_frame(id, "cancel", None, &[]);
        }
    }

    /// The frames to write, handed over: from here on they may have reached the peer.
    pub(super) fn take_queued(&self) -> BytesMut {
        let mut outbox = self.0.outbox.lock();
        let queued = outbox.queued.split();
        outbox.handed += queued.len() as u64;
        queued
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.0.outbox.lock().queued.len()
    }

    /// Completes the call `id`. An answer to nobody is late: its call timed out or was dropped.
    pub(super) fn complete(&self, id: i32, result: Result<Completed, Error>) {
        let mut outbox = self.0.outbox.lock();
        let Some(waiting) = outbox.forget(id) else { return };
        let received = result.map(|completed| match completed {
            Completed::Value(body) => Received::Value(body),
            Completed::Refused(body) => Received::Refused(body),
            Completed::Stream => {
                let (queue, reader) = stream::reader(self.clone(), id, waiting.credit.max(1));
                outbox.streams_in.insert(id, queue);
                Received::Stream(reader)
            }
        });
        drop(outbox);
        let _caller_may_be_gone = waiting.answer.send(received);
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

    /// Fails calls whose deadline has passed; returns the next deadline.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        loop {
            let mut outbox = self.0.outbox.lock();
            let (deadline, id) = *outbox.deadlines.first()?;
            if deadline > now {
                return Some(deadline);
            }
            let waiting = outbox.forget(id);
            let handed = outbox.handed;
            drop(outbox);
            if let Some(waiting) = waiting {
                let message = format!("call {}: no answer before the deadline", waiting.name);
                let error = Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, message);
                let error = if waiting.starts_at < handed { error.unknown() } else { error };
                let _caller_may_be_gone = waiting.answer.send(Err(error));
            }
        }
    }

    /// The peer will take no new calls on this connection.
    pub(super) fn going_away(&self) {
        self.0.outbox.lock().going_away = true;
    }

    /// Whether the peer goes away and nothing of ours is left here.
    pub(super) fn is_finished(&self) -> bool {
        let outbox = self.0.outbox.lock();
        outbox.closed || (outbox.going_away && outbox.waiting.is_empty() && outbox.streams_in.is_empty())
    }

    /// Fails everything that waits: calls whose frame was never handed to the socket certainly did not happen.
    pub(super) fn fail_all(&self) {
        let mut outbox = self.0.outbox.lock();
        outbox.closed = true;
        outbox.deadlines.clear();
        let handed = outbox.handed;
        let waiting = std::mem::take(&mut outbox.waiting);
        let streams = std::mem::take(&mut outbox.streams_in);
        outbox.streams_out.end_all();
        drop(outbox);
        for waiting in waiting.into_values() {
            let error = lost(&waiting.name);
            let error = if waiting.starts_at < handed { error.unknown() } else { error };
            let _caller_may_be_gone = waiting.answer.send(Err(error));
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
    Refused(Bytes),
    Stream,
}

impl Outbox {
    fn next_id(&mut self) -> i32 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    fn forget(&mut self, id: i32) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        if let Some(deadline) = waiting.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        Some(waiting)
    }
}

struct ForgetOnDrop<'a> {
    link: &'a LinkHandle,
    id: i32,
}

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        self.link.0.outbox.lock().forget(self.id);
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

pub(super) fn failure(error: &Error) -> Bytes {
    expand::encode(service::Encoding::MessagePack, &expand::Failure::from(error)).unwrap_or_default()
}

fn lost(name: &str) -> Error {
    Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, format!("call {name}: the connection closed"))
}

fn too_large(outgoing: &Outgoing<'_>, error: &EncodeError) -> Error {
    Error::new(ErrorKind::Invalid, codes::TOO_LARGE, format!("call {}: {error}", name(outgoing)))
}
