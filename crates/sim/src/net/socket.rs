//! What programs hold: a socket as `AsyncRead + AsyncWrite`, and a listening one.
//!
//! Reads and writes are cut short at random: every program must cope with it, and decoders meet every split.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use rand::RngExt;
use settee_core::env::{Accept, Io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::{Direction, Progress};
use super::pipe::Payload;
use super::table::Table;
use super::{Network, ProcessId};

/// One read and one write in so many is cut short.
const CUT_SHORT: u32 = 4;

/// One end of a connection; dropping it closes that.
pub(crate) struct Socket {
    network: Arc<Network>,
    end: Direction,
}

impl Socket {
    pub(super) fn new(network: Arc<Network>, end: Direction) -> Self {
        Self { network, end }
    }

    /// Waits until the other machine has answered.
    pub(crate) async fn connected(self) -> io::Result<Self> {
        poll_fn(|context| self.network.with(|table| table.poll_connected(self.end, context))).await?;
        Ok(self)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.network.with(|table| table.close(self.end));
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.network.with(|table| table.poll_read(self.end, context, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.network.with(|table| table.poll_write(self.end, context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.network.with(|table| table.shut(self.end)))
    }
}

/// A listening socket; dropping it resets what was not accepted.
pub(crate) struct Listening {
    network: Arc<Network>,
    process: ProcessId,
    at: SocketAddr,
}

impl Listening {
    pub(super) fn new(network: Arc<Network>, process: ProcessId, at: SocketAddr) -> Self {
        Self { network, process, at }
    }
}

impl Accept for Listening {
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Io>, SocketAddr)>> {
        match self.network.with(|table| table.accept(self.at, context.waker())) {
            Ok(Some((end, peer))) => Poll::Ready(Ok((Box::new(Socket::new(self.network.clone(), end)), peer))),
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn local_addr(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.network.with(|table| table.unlisten(self.process, self.at, false));
    }
}

/// What sockets ask of the table.
impl Table {
    fn poll_connected(&mut self, end: Direction, context: &Context<'_>) -> Poll<io::Result<()>> {
        let connection = self.connections.get_mut(&end.connection).ok_or(io::ErrorKind::NotConnected)?;
        if let Some(why) = connection.end(end.side).failure() {
            return Poll::Ready(Err(why));
        }
        if connection.progress == Progress::Open {
            return Poll::Ready(Ok(()));
        }
        connection.end(end.side).reader = Some(context.waker().clone());
        Poll::Pending
    }

    fn poll_read(&mut self, end: Direction, context: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let limit = self.shorten(buffer.remaining());
        let connection = self.connections.get_mut(&end.connection).ok_or(io::ErrorKind::NotConnected)?;
        if let Some(why) = connection.end(end.side).failure() {
            return Poll::Ready(Err(why));
        }
        let pipe = connection.pipe(end.side.other());
        if let Some(bytes) = pipe.take(limit) {
            buffer.put_slice(&bytes);
            self.wakes.extend(connection.end(end.side.other()).writer.take());
            return Poll::Ready(Ok(()));
        }
        if pipe.is_ended {
            return Poll::Ready(Ok(()));
        }
        connection.end(end.side).reader = Some(context.waker().clone());
        Poll::Pending
    }

    fn poll_write(&mut self, end: Direction, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let connection = self.connections.get_mut(&end.connection).ok_or(io::ErrorKind::NotConnected)?;
        if let Some(why) = connection.end(end.side).failure() {
            return Poll::Ready(Err(why));
        }
        let pipe = connection.pipe(end.side);
        if pipe.is_closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = pipe.room().min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            connection.end(end.side).writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = self.shorten(room);
        self.send_in_chunks(end, &bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn shut(&mut self, end: Direction) -> io::Result<()> {
        let connection = self.connections.get_mut(&end.connection).ok_or(io::ErrorKind::NotConnected)?;
        if let Some(why) = connection.end(end.side).failure() {
            return Err(why);
        }
        if !std::mem::replace(&mut connection.pipe(end.side).is_closing, true) {
            self.send(end, Payload::End);
        }
        Ok(())
    }

    fn send_in_chunks(&mut self, end: Direction, bytes: &[u8]) {
        let mut rest = Bytes::copy_from_slice(bytes);
        while !rest.is_empty() {
            let count = self.shorten(rest.len());
            self.send(end, Payload::Bytes(rest.split_to(count)));
        }
    }

    /// `count`, or now and then fewer, but never none of some.
    fn shorten(&mut self, count: usize) -> usize {
        if count > 1 && self.random.random_ratio(1, CUT_SHORT) { self.random.random_range(1..count) } else { count }
    }
}
