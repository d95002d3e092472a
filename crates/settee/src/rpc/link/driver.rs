//! The task of a connection: reads frames, runs calls, writes frames, watches deadlines.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use settee_core::env::Io;
use settee_core::shutdown::Shutdown;
use settee_core::{Error, Instant};
use settee_wire::bolt::{Decoder, Frame, Head, Kind, Status, Timeout};
use tokio::io::ReadBuf;
use tokio::time::{Sleep, sleep_until};

use super::ServeLimits;
use super::inbound::{self, LINK_SERVICE, Request};
use super::outbox::{LinkHandle, head};
use super::pulse::{Beat, Pulse};
use crate::rpc::header;
use crate::rpc::server::{Incoming, Services};
use crate::rpc::service::{Answer, BoxFuture, Encoding};

/// Bytes asked of the socket at once.
const READ_CHUNK: usize = 16 << 10;

/// Bytes that may wait to be written before reading pauses: a peer that does not read its answers gets no more of them.
const WRITE_HIGH_WATER: usize = 1 << 20;

/// Rounds of one poll before other tasks of the runtime get their turn.
const ROUNDS: usize = 32;

/// Drives one connection.
pub(super) struct Driver<C> {
    connection: C,
    link: LinkHandle,
    services: Arc<Services>,
    limits: ServeLimits,
    decoder: Decoder,
    incoming: BytesMut,
    writing: BytesMut,
    calls: FuturesUnordered<BoxFuture<(Head, Answer)>>,
    pumps: FuturesUnordered<BoxFuture<()>>,
    deadline: Option<Pin<Box<Sleep>>>,
    stopping: Option<BoxFuture<()>>,
    last_moment: Option<Pin<Box<Sleep>>>,
    pulse: Pulse,
}

/// Why a driver ends. Both are ordinary: the session is closed and what waits fails either way.
enum End {
    Closed,
    Broken(String),
}

impl<C: Io> Driver<C> {
    pub(super) fn new(connection: C, link: LinkHandle, services: Arc<Services>, limits: ServeLimits, stopping: Shutdown) -> Self {
        let decoder = Decoder::new(*link.limits());
        Self {
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
            stopping: Some(Box::pin(async move { stopping.requested().await })),
            last_moment: None,
            pulse: Pulse::new(),
        }
    }

    /// Runs until the connection ends; everything that waits on it has failed then.
    pub(super) async fn run(mut self) {
        let _fail_also_when_dropped = FailOnDrop(self.link.clone());
        let end = std::future::poll_fn(|context| self.poll(context)).await;
        if let End::Broken(why) = end {
            tracing::debug!(peer = ?self.link.session().peer(), why, "a connection broke");
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        self.link.register(context.waker());
        for _ in 0..ROUNDS {
            let progress = match self.round(context) {
                Ok(progress) => progress,
                Err(end) => return Poll::Ready(end),
            };
            if !progress {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// One look at everything; whether anything moved.
    fn round(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        let mut progress = self.read(context)?;
        progress |= self.run_calls(context);
        progress |= self.run_pumps(context);
        self.watch_deadlines(context);
        self.watch_stop(context)?;
        self.watch_pulse(context)?;
        progress |= self.write(context)?;
        if self.link.is_finished() && self.writing.is_empty() && self.link.queued_bytes() == 0 {
            return Err(End::Closed);
        }
        Ok(progress)
    }

    fn read(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        let paused = self.calls.len() >= self.limits.calls || self.writing.len() + self.link.queued_bytes() > WRITE_HIGH_WATER;
        if paused {
            return Ok(false);
        }
        self.incoming.reserve(READ_CHUNK);
        let read = match read_some(&mut self.connection, &mut self.incoming, context) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(0)) => return Err(End::Closed),
            Poll::Ready(Ok(read)) => read,
            Poll::Ready(Err(error)) => return Err(End::Broken(error.to_string())),
        };
        self.pulse.heard();
        while let Some(frame) = self.decoder.decode(&mut self.incoming).map_err(|error| End::Broken(error.to_string()))? {
            self.frame(frame, context)?;
        }
        Ok(read > 0)
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
                    let _empty_frames_fit = self.link.queue(&answer, &[], &[]);
                }
                Ok(())
            }
            Kind::HeartbeatAck { .. } => Ok(()),
        }
    }

    fn request(&mut self, frame: Frame, timeout: Timeout, context: &mut Context<'_>) -> Result<(), End> {
        let head = frame.head;
        match inbound::request(head, &frame.body, timeout, self.link.limits()) {
            Ok(Request::Call { service, method, context: carried, credit, xid }) => {
                if credit > 0 {
                    self.link.with_streams_out(|streams| streams.asked(head.request_id, credit));
                }
                match self.services.resolve(&service, &method) {
                    Ok((service, method)) => {
                        let (body, session) = (frame.body.content, self.link.session().clone());
                        let incoming =
                            Incoming { service, method, encoding: Encoding::MessagePack, body, context: carried, xid, session };
                        self.start(head, incoming, context);
                    }
                    Err(error) => self.finish(head, Answer::Failed(error)),
                }
            }
            Ok(Request::Item(id)) => return self.item(id, Some(Ok(frame.body.content))),
            Ok(Request::End(id)) if frame.body.content.is_empty() => return self.item(id, None),
            Ok(Request::End(id)) => return self.item(id, Some(Err(inbound::read_failure(&frame.body.content)))),
            Ok(Request::Credit(id, credit)) => self.link.with_streams_out(|streams| streams.give(id, credit)),
            Ok(Request::Cancel(id)) => self.link.with_streams_out(|streams| streams.cancel(id)),
            Ok(Request::GoAway) => self.link.going_away(),
            Err(error) => self.finish(head, Answer::Failed(error)),
        }
        Ok(())
    }

    /// Polls a new call once here; most are answered without ever being queued.
    fn start(&mut self, head: Head, incoming: Incoming, context: &mut Context<'_>) {
        let mut call = self.services.serve(incoming);
        match call.as_mut().poll(context) {
            Poll::Ready(answer) => self.finish(head, answer),
            Poll::Pending => self.calls.push(Box::pin(async move { (head, call.await) })),
        }
    }

    fn finish(&mut self, head: Head, answer: Answer) {
        self.link.answer(head, answer);
        self.link.with_streams_out(|streams| streams.answered(head.request_id));
    }

    fn item(&mut self, id: i32, item: Option<Result<bytes::Bytes, Error>>) -> Result<(), End> {
        if self.link.stream_item(id, item) { Ok(()) } else { Err(End::Broken("a stream exceeded its credit".to_owned())) }
    }

    fn run_calls(&mut self, context: &mut Context<'_>) -> bool {
        let mut progress = false;
        while let Poll::Ready(Some((head, answer))) = self.calls.poll_next_unpin(context) {
            self.finish(head, answer);
            progress = true;
        }
        progress
    }

    fn run_pumps(&mut self, context: &mut Context<'_>) -> bool {
        let fresh = self.link.with_streams_out(|streams| streams.take_fresh(&self.link));
        let mut progress = !fresh.is_empty();
        self.pumps.extend(fresh);
        while let Poll::Ready(Some(())) = self.pumps.poll_next_unpin(context) {
            progress = true;
        }
        progress
    }

    fn watch_deadlines(&mut self, context: &mut Context<'_>) {
        while let Some(next) = self.link.expire(Instant::now()) {
            let timer = match &mut self.deadline {
                Some(timer) => {
                    if timer.deadline() != next {
                        timer.as_mut().reset(next);
                    }
                    timer
                }
                empty => empty.insert(Box::pin(sleep_until(next))),
            };
            if timer.as_mut().poll(context).is_pending() {
                return;
            }
        }
    }

    /// At a stop: streams end, the peer is told, and the connection stays until the peer closes it or time is up. A call that
    /// the peer sent before it was told is still served.
    fn watch_stop(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        if let Some(stopping) = &mut self.stopping
            && stopping.as_mut().poll(context).is_ready()
        {
            self.stopping = None;
            self.link.with_streams_out(super::pump::StreamsOut::end_all);
            let told = head(0, Kind::Oneway { timeout: Timeout::NONE });
            let _small = self.link.queue(&told, &[(header::SERVICE, LINK_SERVICE), (header::METHOD, "go_away")], &[]);
            self.last_moment = Some(Box::pin(sleep_until(Instant::now() + self.limits.drain)));
        }
        let time_is_up = self.last_moment.as_mut().is_some_and(|timer| timer.as_mut().poll(context).is_ready());
        if time_is_up { Err(End::Broken("the drain took too long".to_owned())) } else { Ok(()) }
    }

    /// Asks a peer that says nothing while somebody waits for it, at either end: for an answer, an item, or credit.
    fn watch_pulse(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        let expecting = !self.calls.is_empty() || self.link.is_expecting();
        match self.pulse.beat(expecting, context) {
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
                Poll::Ready(Err(error)) => return Err(End::Broken(error.to_string())),
            }
            progress = true;
        }
        let _plain_sockets_do_not_buffer = Pin::new(&mut self.connection).poll_flush(context);
        Ok(progress)
    }
}

struct FailOnDrop(LinkHandle);

impl Drop for FailOnDrop {
    fn drop(&mut self) {
        self.0.fail_all();
    }
}

fn read_some<C: Io>(connection: &mut C, into: &mut BytesMut, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut chunk = [0; READ_CHUNK];
    let mut buffer = ReadBuf::new(&mut chunk);
    std::task::ready!(Pin::new(connection).poll_read(context, &mut buffer))?;
    into.extend_from_slice(buffer.filled());
    Poll::Ready(Ok(buffer.filled().len()))
}

