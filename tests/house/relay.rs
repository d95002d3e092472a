//! A way to the server that loses what goes there, and still brings what comes from there.

use std::net::SocketAddr;

use settee_core::env::{self, Connection, Listener};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use crate::local;

/// Bytes that are passed on at once.
const CHUNK: usize = 16 << 10;

/// Passes connections on to one address.
pub struct Relay {
    address: SocketAddr,
    deaf: watch::Sender<bool>,
}

impl Relay {
    /// A relay to `server`, until this process ends.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = env::listen(local()).await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let deaf = watch::Sender::new(false);
        env::spawn(accept(listener, server, deaf.clone()));
        Self { address, deaf }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing reaches the server any more.
    pub fn lose_what_is_sent(&self) {
        self.deaf.send_replace(true);
    }
}

async fn accept(mut listener: Listener, server: SocketAddr, deaf: watch::Sender<bool>) {
    while let Ok((client, _)) = listener.accept().await {
        if let Ok(server) = env::connect(server).await {
            env::spawn(pass(client, server, deaf.subscribe()));
        }
    }
}

/// Both directions until one ends; then both are closed, as with a process that died.
async fn pass(client: Connection, server: Connection, deaf: watch::Receiver<bool>) {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let (_never, hearing) = watch::channel(false);
    tokio::select! {
        () = copy(from_client, to_server, deaf) => {}
        () = copy(from_server, to_client, hearing) => {}
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, lost: watch::Receiver<bool>) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        if !*lost.borrow() && to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
}
