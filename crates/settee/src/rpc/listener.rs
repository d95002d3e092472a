//! One listener, several protocols: the first byte of a connection tells Bolt (1) from HTTP/1 (an uppercase letter).
//!
//! The byte is read and replayed, not peeked at: peeking fails on TLS and in simulation.

mod sniff;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use settee_core::env;
use settee_core::error::{Error, ErrorKind, codes};
use settee_core::shutdown::{Shutdown, ShutdownTrigger, pair};
use tokio::sync::{Semaphore, watch};

use self::sniff::{Protocol, sniff};
use super::host::AllowedHosts;
use super::pages::HttpPages;
use super::server::Services;
use super::{http, link};

/// How a listener protects its process. The defaults are those of `docs/operations/limits.md`.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Connections at most; more are closed at once. Default 10,000.
    pub connections: usize,
    /// How long the first byte may take. Default 5 s.
    pub handshake: Duration,
    /// Calls of one connection that may be under way; one more is refused (`RPC0013`, not done), and a oneway call, which cannot
    /// be, waits in the socket. Default 1,024: three times what a client of settee sends before it waits for answers. Below that
    /// window of 320, settee's own clients are refused.
    pub calls_per_connection: usize,
    /// How long calls that are under way may take to end when the listener stops. Default 10 s.
    pub drain: Duration,
    /// The names under which browsers may ask, beside addresses. Default: none.
    pub allowed_hosts: AllowedHosts,
}

/// Far above the window of settee's own clients, for the sake of others, which have none.
const CALLS_PER_CONNECTION: usize = 1_024;

const _: () = assert!(link::WINDOW + link::RESERVED < CALLS_PER_CONNECTION, "a listener refuses what its clients may send");

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            connections: 10_000,
            handshake: Duration::from_secs(5),
            calls_per_connection: CALLS_PER_CONNECTION,
            drain: Duration::from_secs(10),
            allowed_hosts: AllowedHosts::default(),
        }
    }
}

/// A listener that serves. Dropping it stops it without a drain.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    stop: ShutdownTrigger,
    alive: watch::Receiver<()>,
    drain: Duration,
}

/// Between two failing accepts: file descriptors are used up, and only time brings some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Listening {
    /// Listens on `at` and serves `services`, and `pages` over HTTP.
    ///
    /// # Errors
    /// `Unavailable` (`APP0003`) when the address cannot be listened on; nothing was started.
    ///
    /// # Cancel safety
    /// Dropped, nothing is listened on.
    pub async fn start(
        at: SocketAddr,
        services: Arc<Services>,
        pages: Arc<dyn HttpPages>,
        config: ServerConfig,
    ) -> Result<Self, Error> {
        let listener = env::listen(at).await.map_err(|error| listen_failed(at, error))?;
        let address = listener.local_addr().map_err(|error| listen_failed(at, error))?;
        let (stop, stopping) = pair();
        let (guard, alive) = watch::channel(());
        let (drain, calls, hosts) = (config.drain, config.calls_per_connection, config.allowed_hosts.clone());
        let serving = Serving { services, pages, hosts, stopping, drain, calls, _alive: guard };
        env::spawn(accept(listener, Arc::new(serving), config));
        Ok(Self { address, stop, alive, drain })
    }

    /// The address that is listened on, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets calls that are under way end, then closes every connection.
    ///
    /// # Cancel safety
    /// The drain goes on also when the future is dropped.
    pub async fn drain(mut self) {
        self.stop.stop();
        let all_gone = async { while self.alive.changed().await.is_ok() {} };
        let _hard_deadline = tokio::time::timeout(self.drain + ACCEPT_PAUSE, all_gone).await;
    }
}

/// What every connection of a listener shares. The last one to go tells [`Listening::drain`].
struct Serving {
    services: Arc<Services>,
    pages: Arc<dyn HttpPages>,
    hosts: AllowedHosts,
    stopping: Shutdown,
    drain: Duration,
    calls: usize,
    _alive: watch::Sender<()>,
}

async fn accept(mut listener: env::Listener, serving: Arc<Serving>, config: ServerConfig) {
    let places = Arc::new(Semaphore::new(config.connections));
    while let Some(accepted) = serving.stopping.or(listener.accept()).await {
        let (connection, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(%peer, limit = config.connections, "refuse a connection: the limit is reached");
            continue;
        };
        let serving = serving.clone();
        let handshake = config.handshake;
        env::spawn(async move {
            connection_task(connection, peer, serving, handshake).await;
            drop(place);
        });
    }
}

async fn connection_task(connection: env::Connection, peer: SocketAddr, serving: Arc<Serving>, handshake: Duration) {
    let sniffed = tokio::select! {
        // First, because a call that was sent before the stop is still served.
        biased;
        sniffed = tokio::time::timeout(handshake, sniff(connection)) => sniffed,
        () = serving.stopping.requested() => return,
    };
    let Ok(Ok((protocol, connection))) = sniffed else { return };
    match protocol {
        Protocol::Bolt => {
            let limits = link::ServeLimits { calls: serving.calls, drain: serving.drain };
            link::serve(connection, peer, serving.services.clone(), limits, serving.stopping.clone()).await;
        }
        Protocol::Http => {
            let stop = http::Stop { stopping: serving.stopping.clone(), drain: serving.drain };
            let served =
                http::Served { services: serving.services.clone(), pages: serving.pages.clone(), hosts: serving.hosts.clone() };
            http::serve(connection, peer, served, stop).await;
        }
        Protocol::Unknown(byte) => tracing::debug!(%peer, byte, "close a connection: neither Bolt nor HTTP/1"),
    }
}

fn listen_failed(at: SocketAddr, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another process uses it: choose another address, or port 0 for any (a service: --set settee.listen=127.0.0.1:0)"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
        _ => "",
    };
    Error::new(ErrorKind::Unavailable, codes::LISTEN_FAILED, format!("listen on {at}: {error}{hint}")).caused_by(error)
}
