//! Which protocol a connection speaks, by its first byte, which is then replayed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use settee_core::env::Io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What the first byte says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Bolt,
    Http,
    Unknown(u8),
}

impl Protocol {
    fn of(first: u8) -> Self {
        match first {
            1 | 2 => Self::Bolt,
            b'A'..=b'Z' => Self::Http,
            other => Self::Unknown(other),
        }
    }
}

/// A connection whose first byte was read and is read again.
pub(crate) struct Replayed<C> {
    first: Option<u8>,
    connection: C,
}

/// Reads the first byte.
pub(super) async fn sniff<C: Io>(mut connection: C) -> io::Result<(Protocol, Replayed<C>)> {
    let first = connection.read_u8().await?;
    Ok((Protocol::of(first), Replayed { first: Some(first), connection }))
}

impl<C: Io> AsyncRead for Replayed<C> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl<C: Io> AsyncWrite for Replayed<C> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_byte_decides_and_is_not_lost() {
        for (bytes, protocol) in
            [(&b"\x01ab"[..], Protocol::Bolt), (b"POST", Protocol::Http), (b"\x16\x03", Protocol::Unknown(0x16))]
        {
            let (mut near, far) = tokio::io::duplex(64);
            tokio::io::AsyncWriteExt::write_all(&mut near, bytes).await.unwrap();
            drop(near);
            let (sniffed, mut replayed) = sniff(far).await.unwrap();
            let mut read = Vec::new();
            replayed.read_to_end(&mut read).await.unwrap();
            assert_eq!((sniffed, read.as_slice()), (protocol, bytes));
        }
    }
}
