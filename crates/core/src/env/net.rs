//! Sockets: TCP in production, whatever the host gives in simulation.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::host;

/// A byte stream in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A simulated listening socket.
pub trait Accept: Send {
    /// The next connection and its peer.
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Io>, SocketAddr)>>;
    /// The address that is listened on.
    fn local_addr(&self) -> SocketAddr;
}

/// An open connection.
pub enum Connection {
    /// A socket of the operating system.
    Tcp(TcpStream),
    /// A simulated or wrapped stream.
    Other(Box<dyn Io>),
}

/// Connects to `to`, without Nagle's delay.
///
/// # Errors
/// What the operating system or the simulation reports; nothing was sent.
///
/// # Cancel safety
/// Dropping it closes a half-open connection.
pub async fn connect(to: SocketAddr) -> io::Result<Connection> {
    if let Some(host) = host() {
        return host.connect(to).await.map(Connection::Other);
    }
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(Connection::Tcp(stream))
}

/// A listening socket.
pub struct Listener(Source);

enum Source {
    Tcp(TcpListener),
    Other(Box<dyn Accept>),
}

/// Listens on `at`; port 0 takes a free one.
///
/// # Errors
/// When the address is taken or may not be used.
///
/// # Cancel safety
/// The address is free again.
pub async fn listen(at: SocketAddr) -> io::Result<Listener> {
    match host() {
        Some(host) => host.listen(at).map(|accept| Listener(Source::Other(accept))),
        None => TcpListener::bind(at).await.map(|listener| Listener(Source::Tcp(listener))),
    }
}

impl Listener {
    /// The address that is listened on, with the port that was taken.
    ///
    /// # Errors
    /// What the operating system reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Source::Tcp(listener) => listener.local_addr(),
            Source::Other(accept) => Ok(accept.local_addr()),
        }
    }

    /// The next connection, without Nagle's delay, and its peer.
    ///
    /// # Errors
    /// What the operating system reports: of one connection (go on) or for want of file descriptors (wait, then go on).
    ///
    /// # Cancel safety
    /// No connection is lost.
    pub async fn accept(&mut self) -> io::Result<(Connection, SocketAddr)> {
        match &mut self.0 {
            Source::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Connection::Tcp(stream), peer))
            }
            Source::Other(accept) => {
                let (io, peer) = std::future::poll_fn(|context| accept.poll_accept(context)).await?;
                Ok((Connection::Other(io), peer))
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Other(io) => Pin::new(io).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Other(io) => Pin::new(io).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Other(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Other(io) => Pin::new(io).poll_shutdown(context),
        }
    }
}
