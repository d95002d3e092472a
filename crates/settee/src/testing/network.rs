//! Connections in memory: two pipes each, in which bytes arrive at once and in order.
//!
//! Real frames cross them, so whatever a service sends is encoded, cut and read as in production. Left out: latency, cuts and
//! torn writes, which the simulator is for.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use settee_core::env::{Accept, Io};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

/// Bytes that one direction of a connection holds before its writer waits: about what sockets hold on loopback.
const PIPE_BYTES: usize = 256 << 10;

/// Connections that may wait to be accepted; more are refused, as by an operating system.
const BACKLOG: usize = 128;

/// The first port that is handed out: above those that programs choose for themselves.
const FIRST_PORT: u16 = 20_000;

/// Who listens where. Cheap to clone.
#[derive(Clone)]
pub(super) struct Network(Arc<Mutex<Table>>);

struct Table {
    listening: BTreeMap<SocketAddr, mpsc::Sender<Arrived>>,
    next_port: u16,
}

/// The server's end of a new connection, and who is at the other.
type Arrived = (DuplexStream, SocketAddr);

impl Network {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Table { listening: BTreeMap::new(), next_port: FIRST_PORT })))
    }

    /// Connects to whoever listens at `to`.
    pub(super) fn connect(&self, to: SocketAddr) -> io::Result<DuplexStream> {
        let mut table = self.0.lock();
        let from = table.free_address();
        let listener = table.listening.get(&to).ok_or(io::ErrorKind::ConnectionRefused)?;
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        listener.try_send((far, from)).map_err(|_full_or_gone| io::ErrorKind::ConnectionRefused)?;
        Ok(near)
    }

    /// Listens at `at`; port 0 takes a free one.
    pub(super) fn listen(&self, at: SocketAddr) -> io::Result<Listening> {
        let mut table = self.0.lock();
        let at = if at.port() == 0 { table.free_address() } else { at };
        if table.listening.contains_key(&at) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (arriving, arrived) = mpsc::channel(BACKLOG);
        table.listening.insert(at, arriving);
        Ok(Listening { network: self.clone(), at, arrived })
    }
}

impl Table {
    /// An address that nobody listens at. Ports come round again when all were handed out.
    fn free_address(&mut self) -> SocketAddr {
        loop {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.next_port));
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            if !self.listening.contains_key(&address) {
                return address;
            }
        }
    }
}

/// A listening socket; dropping it refuses those that were not accepted.
pub(super) struct Listening {
    network: Network,
    at: SocketAddr,
    arrived: mpsc::Receiver<Arrived>,
}

impl Accept for Listening {
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Io>, SocketAddr)>> {
        self.arrived.poll_recv(context).map(|arrived| match arrived {
            Some((connection, from)) => Ok((Box::new(connection) as Box<dyn Io>, from)),
            None => Err(io::ErrorKind::NotConnected.into()),
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.network.0.lock().listening.remove(&self.at);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn anywhere() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }

    #[tokio::test]
    async fn what_is_written_at_one_end_is_read_at_the_other_until_that_is_gone() {
        let network = Network::new();
        let mut listening = network.listen(anywhere()).unwrap();
        let mut near = network.connect(listening.local_addr()).unwrap();
        let (mut far, _) = std::future::poll_fn(|context| listening.poll_accept(context)).await.unwrap();
        near.write_all(b"ping").await.unwrap();
        let mut read = [0; 4];
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"ping");
        drop(far);
        assert_eq!(near.read(&mut read).await.unwrap(), 0);
    }

    #[test]
    fn nobody_is_reached_where_nobody_listens_any_more() {
        let network = Network::new();
        let listening = network.listen(anywhere()).unwrap();
        let at = listening.local_addr();
        assert_eq!(network.listen(at).err().unwrap().kind(), io::ErrorKind::AddrInUse);
        drop(listening);
        assert_eq!(network.connect(at).err().unwrap().kind(), io::ErrorKind::ConnectionRefused);
        assert!(network.listen(at).is_ok(), "the address is free again");
    }

    #[test]
    fn ports_that_are_listened_at_are_never_handed_out_again() {
        let network = Network::new();
        let first = network.listen(anywhere()).unwrap();
        network.0.lock().next_port = first.at.port();
        assert_ne!(network.listen(anywhere()).unwrap().at, first.at);
    }
}
