//! The task of a connection: reads frames, runs calls, writes frames, watches deadlines.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use settee_core::env::Io;
use settee_core::shutdown::Shutdown;
use settee_core::{Error, Instant};
use settee_wire::bolt::{Decoder, Frame, Head, Kind, Status, Timeout};
use tokio::io::AsyncReadExt;
use tokio::time::{Sleep, sleep_until};

use super::ServeLimits;
use super::inbound::{self, LINK_SERVICE, Request};
use super::outbox::{LinkHandle, head};
use super::pulse::{Beat, Pulse};
use crate::rpc::header;
use crate::rpc::server::{Incoming, Services};
use crate::rpc::service::{Answer, BoxFuture, Encoding};

/// Bytes of a fresh read buffer.
const READ_CHUNK: usize = 16 << 10;

/// A read buffer with less room than this gives way to a fresh one: a buffer is used up, because frames keep their memory.
const READ_ROOM: usize = 2 << 10;

/// Bytes read ahead while requests wait for their turn: enough to notice that the peer lives, or left.
const READ_AHEAD: usize = 64 << 10;

/// Bytes of answers that may wait before no more requests are taken, and of anything before streams pause: a peer that does not
/// read gets no more. Calls of our own do not count: two ends that call each other must both go on reading answers.
pub(super) const WRITE_HIGH_WATER: usize = 1 << 20;

/// Reads after a failed write at most: a megabyte of answers that the peer sent before it closed.
const LAST_READS: usize = 64;

/// Rounds of one poll before other tasks of the runtime get their turn.
const ROUNDS: usize = 32;

/// Drives one connection.
pub(super) struct Driver<C> {
    /// First, so that what waits has failed before the connection and the running calls are dropped.
    _fail_when_dropped: FailOnDrop,
    connection: C,
    link: LinkHandle,
    services: Arc<Services>,
    limits: ServeLimits,
    decoder: Decoder,
    incoming: BytesMut,
    writing: BytesMut,
    calls: FuturesUnordered<BoxFuture<(Called, Answer)>>,
    pumps: FuturesUnordered<BoxFuture<()>>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// A oneway call that came while too many were under way. Nobody can be told that it is refused, so it waits, and what is
    /// behind it as well.
    held: Option<Frame>,
    stopping: Option<BoxFuture<()>>,
    last_moment: Option<Pin<Box<Sleep>>>,
    pulse: Pulse,
    /// Whether calls of our own that wait to be written were given a moment for others to join them.
    gathered: bool,
}

/// What a round of the driver came to.
enum Moved {
    /// Something happened, so look again.
    On,
    /// Nothing happened.
    Nothing,
    /// What waits to be written waits for a turn of the other tasks.
    Gathers,
}

/// What has to be known of a call that is served, to answer it.
#[derive(Clone, Copy)]
struct Called {
    head: Head,
    /// The credit that came with it, in case it is answered with a stream.
    credit: usize,
}

/// Why a driver ends. Both are ordinary: the session is closed and what waits fails either way.
pub(super) enum End {
    Closed,
    Broken(String),
}

impl<C: Io> Driver<C> {
    pub(super) fn new(connection: C, link: LinkHandle, services: Arc<Services>, limits: ServeLimits, stopping: Shutdown) -> Self {
        let decoder = Decoder::new(*link.limits());
        Self {
            _fail_when_dropped: FailOnDrop(link.clone()),
            connection,
            link,
            services,
            limits,
            decoder,
            incoming: BytesMut::new(),
            writing: BytesMut::new(),
            calls: FuturesUnordered::new(),
            pumps: FuturesUnordered::new(),
            deadline: None,
            held: None,
            stopping: Some(Box::pin(async move { stopping.requested().await })),
            last_moment: None,
            pulse: Pulse::new(),
            gathered: false,
        }
    }

    /// Runs until the connection ends; everything that waits on it has failed then.
    pub(super) async fn run(mut self) {
        let end = std::future::poll_fn(|context| self.poll(context)).await;
        if let End::Broken(why) = end {
            tracing::debug!(peer = ?self.link.session().peer(), why, "a connection broke");
        }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        self.link.register(context.waker());
        let mut heard = false;
        for _ in 0..ROUNDS {
            match self.round(&mut heard, context) {
                Ok(Moved::On) => {}
                Ok(Moved::Nothing) => return Poll::Pending,
                Ok(Moved::Gathers) => break,
                Err(end) => return Poll::Ready(end),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// One look at everything. `heard`: whether this poll has read or answered anything.
    fn round(&mut self, heard: &mut bool, context: &mut Context<'_>) -> Result<Moved, End> {
        let mut progress = self.read(context)?;
        progress |= self.run_calls(context);
        *heard |= progress;
        progress |= self.run_pumps(context);
        self.watch_deadlines(context);
        self.watch_stop(context)?;
        self.watch_pulse(context)?;
        if !*heard && self.gathers() {
            return Ok(Moved::Gathers);
        }
        progress |= self.write(context)?;
        match (self.is_finished(), progress) {
            (true, _) => Err(End::Closed),
            (false, true) => Ok(Moved::On),
            (false, false) => Ok(Moved::Nothing),
        }
    }

    /// Whether to let other tasks run once before calls of our own are written. A runtime polls this task as soon as the first of
    /// many callers wakes it; a turn later all of them have queued their frames, and one system call takes them.
    fn gathers(&mut self) -> bool {
        let has_waited = std::mem::take(&mut self.gathered);
        self.gathered = !has_waited && self.writing.is_empty() && self.link.queued_bytes() > 0;
        self.gathered
    }

    /// Whether everything has ended on a connection that takes nothing new.
    fn is_finished(&self) -> bool {
        let serving = !self.calls.is_empty() || !self.pumps.is_empty();
        let writing = !self.writing.is_empty() || self.link.queued_bytes() > 0;
        self.link.is_closed() && (self.link.is_broken() || (self.link.is_unused() && !serving && !writing))
    }

    #[cfg(test)]
    pub(super) fn calls_under_way(&self) -> usize {
        self.calls.len()
    }

    /// Whether frames must wait: the peer does not read its answers, or one cannot be refused.
    fn is_paused(&self) -> bool {
        self.link.owed_bytes() > WRITE_HIGH_WATER || (self.held.is_some() && self.is_full())
    }

    /// Whether as many calls are under way as may be.
    fn is_full(&self) -> bool {
        self.calls.len() >= self.limits.calls
    }

    fn read(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        let waited = self.take_frames(context)?;
        if self.is_paused() && self.incoming.len() >= READ_AHEAD {
            return Ok(waited);
        }
        if self.incoming.capacity() - self.incoming.len() < READ_ROOM {
            self.incoming.reserve(READ_CHUNK);
        }
        match pin!(self.connection.read_buf(&mut self.incoming)).poll(context) {
            Poll::Pending => return Ok(waited),
            Poll::Ready(Ok(0)) => return Err(End::Closed),
            Poll::Ready(Ok(_)) => self.pulse.heard(),
            Poll::Ready(Err(error)) => return Err(End::Broken(error.to_string())),
        }
        self.take_frames(context)?;
        Ok(true)
    }

    /// Handles the frames that were read, as far as they need not wait.
    fn take_frames(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        let mut progress = false;
        while !self.is_paused() {
            let Some(frame) = self.next_frame()? else { break };
            self.frame(frame, context)?;
            progress = true;
        }
        Ok(progress)
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, End> {
        match self.held.take() {
            None => self.decoder.decode(&mut self.incoming).map_err(|error| End::Broken(error.to_string())),
            held => Ok(held),
        }
    }

    fn frame(&mut self, frame: Frame, context: &mut Context<'_>) -> Result<(), End> {
        let head = frame.head;
        match head.kind {
            Kind::Call { timeout } | Kind::Oneway { timeout } => self.request(frame, timeout, context),
            Kind::Answer { status } => {
                let result = inbound::answer(status, frame.body, self.link.limits());
                self.link.complete(head.request_id, result);
                Ok(())
            }
            Kind::Heartbeat { .. } => {
                if let Some(answer) = head.answer(Status::Success) {
                    let _empty_frames_fit = self.link.owe(&answer, &[], &[]);
                }
                Ok(())
            }
            Kind::HeartbeatAck { .. } => Ok(()),
        }
    }

    fn request(&mut self, mut frame: Frame, timeout: Timeout, context: &mut Context<'_>) -> Result<(), End> {
        let (head, content) = (frame.head, std::mem::take(&mut frame.body.content));
        match inbound::request(head, &frame.body, timeout, self.link.limits()) {
            Ok(Request::Call { .. }) if self.is_full() && matches!(head.kind, Kind::Oneway { .. }) => {
                frame.body.content = content;
                self.held = Some(frame);
            }
            Ok(Request::Call { service, method, .. }) if self.is_full() => {
                let refused = Answer::Failed(inbound::too_many(service, method, self.limits.calls));
                self.finish(Called { head, credit: 0 }, refused);
            }
            Ok(Request::Call { service, method, context: carried, credit, xid }) => {
                let called = Called { head, credit };
                if credit > 0 {
                    self.link.with_streams_out(|streams| streams.asked(head.request_id, credit));
                }
                match self.services.resolve(service, method) {
                    Ok((service, method)) => {
                        let (encoding, session) = (Encoding::MessagePack, self.link.session().clone());
                        let incoming = Incoming { service, method, encoding, body: content, context: carried, xid, session };
                        self.start(called, incoming, context);
                    }
                    Err(error) => self.finish(called, Answer::Failed(error)),
                }
            }
            Ok(Request::Item(id)) => return self.item(id, Some(Ok(content))),
            Ok(Request::End(id)) if content.is_empty() => return self.item(id, None),
            Ok(Request::End(id)) => return self.item(id, Some(Err(inbound::read_failure(&content)))),
            Ok(Request::Credit(id, credit)) => self.link.with_streams_out(|streams| streams.give(id, credit)),
            Ok(Request::Cancel(id)) => self.link.with_streams_out(|streams| streams.cancel(id)),
            Ok(Request::GoAway) => self.link.going_away(),
            Err(error) => self.finish(Called { head, credit: 0 }, Answer::Failed(error)),
        }
        Ok(())
    }

    /// Polls a new call once here; most are answered without ever being queued.
    fn start(&mut self, called: Called, incoming: Incoming, context: &mut Context<'_>) {
        let mut call = self.services.serve(incoming);
        match call.as_mut().poll(context) {
            Poll::Ready(answer) => self.finish(called, answer),
            Poll::Pending => self.calls.push(Box::pin(async move { (called, call.await) })),
        }
    }

    fn finish(&mut self, called: Called, answer: Answer) {
        self.link.answer(called.head, answer);
        if called.credit > 0 {
            self.link.with_streams_out(|streams| streams.answered(called.head.request_id));
        }
    }

    fn item(&mut self, id: i32, item: Option<Result<bytes::Bytes, Error>>) -> Result<(), End> {
        if self.link.stream_item(id, item) { Ok(()) } else { Err(End::Broken("a stream exceeded its credit".to_owned())) }
    }

    fn run_calls(&mut self, context: &mut Context<'_>) -> bool {
        let mut progress = false;
        while let Poll::Ready(Some((called, answer))) = self.calls.poll_next_unpin(context) {
            self.finish(called, answer);
            progress = true;
        }
        progress
    }

    fn run_pumps(&mut self, context: &mut Context<'_>) -> bool {
        if self.link.queued_bytes() > WRITE_HIGH_WATER {
            return false;
        }
        let fresh = self.link.with_streams_out(|streams| streams.take_fresh(&self.link));
        let mut progress = !fresh.is_empty();
        self.pumps.extend(fresh);
        while let Poll::Ready(Some(())) = self.pumps.poll_next_unpin(context) {
            progress = true;
        }
        progress
    }

    /// The timer is moved only when it fires, or when a sooner deadline came: the first deadline changes with nearly every answer.
    fn watch_deadlines(&mut self, context: &mut Context<'_>) {
        let Some(next) = self.link.next_deadline() else { return };
        let timer = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(next)));
        if next < timer.deadline() {
            timer.as_mut().reset(next);
        }
        while timer.as_mut().poll(context).is_ready() {
            let Some(next) = self.link.expire(Instant::now()) else {
                self.deadline = None;
                return;
            };
            timer.as_mut().reset(next);
        }
    }

    /// At a stop: streams end, the peer is told, and the connection stays until the peer closes it or time is up. A call that
    /// the peer sent before it was told is still served.
    fn watch_stop(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        if let Some(stopping) = &mut self.stopping
            && stopping.as_mut().poll(context).is_ready()
        {
            self.stopping = None;
            self.link.end_streams();
            let told = head(0, Kind::Oneway { timeout: Timeout::NONE });
            let _small = self.link.queue(&told, &[(header::SERVICE, LINK_SERVICE), (header::METHOD, "go_away")], &[]);
            self.last_moment = Some(Box::pin(sleep_until(Instant::now() + self.limits.drain)));
        }
        let time_is_up = self.last_moment.as_mut().is_some_and(|timer| timer.as_mut().poll(context).is_ready());
        if time_is_up { Err(End::Broken("the drain took too long".to_owned())) } else { Ok(()) }
    }

    /// Asks a peer that says nothing while somebody waits for it, at either end: for an answer, an item, or credit. A stop waits
    /// for it too, to close.
    fn watch_pulse(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        let expecting = !self.calls.is_empty() || self.link.is_expecting() || self.last_moment.is_some();
        let listening = !self.is_paused();
        match self.pulse.beat(expecting, listening, context) {
            Beat::Rest => {}
            Beat::Ask => {
                let _small = self.link.queue(&head(0, Kind::Heartbeat { timeout: Timeout::NONE }), &[], &[]);
            }
            Beat::Dead => return Err(End::Broken("the peer is silent".to_owned())),
        }
        Ok(())
    }

    fn write(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        if self.writing.is_empty() {
            self.writing = self.link.take_queued();
        }
        let mut progress = false;
        while !self.writing.is_empty() {
            match Pin::new(&mut self.connection).poll_write(context, &self.writing) {
                Poll::Pending => return Ok(progress),
                Poll::Ready(Ok(0)) => return Err(End::Broken("the socket takes no bytes".to_owned())),
                Poll::Ready(Ok(written)) => self.writing.advance(written),
                Poll::Ready(Err(error)) => return Err(self.last_answers(&error, context)),
            }
            progress = true;
        }
        match Pin::new(&mut self.connection).poll_flush(context) {
            Poll::Ready(Err(error)) => Err(self.last_answers(&error, context)),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(progress),
        }
    }

    /// A peer that closed may have answered before: what lies in the socket tells what is done from what is unknown.
    fn last_answers(&mut self, error: &io::Error, context: &mut Context<'_>) -> End {
        for _ in 0..LAST_READS {
            if !self.link.is_waiting() || !matches!(self.read(context), Ok(true)) {
                break;
            }
        }
        End::Broken(error.to_string())
    }
}

struct FailOnDrop(LinkHandle);

impl Drop for FailOnDrop {
    fn drop(&mut self) {
        self.0.fail_all();
    }
}
