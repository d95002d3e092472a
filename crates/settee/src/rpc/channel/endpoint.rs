//! One address: its connection, opened when it is first needed, and what is known of its speed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::{ErrorKind, codes};
use settee_core::rpc::balance::Candidate;
use settee_core::{Error, Instant, env};

use crate::rpc::link::{self, LinkHandle, Outgoing, Received};

/// How long opening a connection may take; SOFARPC's default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The weight of the newest sample in the smoothed latency: about the last ten calls count.
const SMOOTHING: f64 = 0.2;

/// One address that is called.
pub(super) struct Endpoint {
    address: SocketAddr,
    link: Mutex<Option<LinkHandle>>,
    connecting: tokio::sync::Mutex<()>,
    in_flight: AtomicU32,
    /// Bits of an `f64`: smoothed microseconds.
    latency_us: AtomicU64,
}

impl Endpoint {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            link: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            in_flight: AtomicU32::new(0),
            latency_us: AtomicU64::new(0),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn candidate(&self, weight: u32) -> Candidate {
        Candidate {
            weight,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            latency_us: f64::from_bits(self.latency_us.load(Ordering::Relaxed)),
        }
    }

    pub(super) fn close(&self) {
        if let Some(link) = self.link.lock().take() {
            link.close();
        }
    }

    pub(super) async fn call(&self, outgoing: Outgoing<'_>) -> Result<Received, Error> {
        let link = self.connected().await?;
        let _counted = InFlight::enter(&self.in_flight);
        let started = Instant::now();
        let received = link.call(outgoing).await;
        self.observe(started.elapsed());
        received
    }

    /// The open connection, or a new one. Callers that come while it is being opened wait for it.
    async fn connected(&self) -> Result<LinkHandle, Error> {
        if let Some(link) = self.open_link() {
            return Ok(link);
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(link) = self.open_link() {
            return Ok(link);
        }
        let connection = match tokio::time::timeout(CONNECT_TIMEOUT, env::connect(self.address)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(self.unreachable(&error.to_string()).caused_by(error)),
            Err(_) => return Err(self.unreachable("no answer within a second")),
        };
        let link = link::start_client(connection, self.address);
        *self.link.lock() = Some(link.clone());
        Ok(link)
    }

    fn open_link(&self) -> Option<LinkHandle> {
        self.link.lock().clone().filter(|link| !link.is_closed())
    }

    fn unreachable(&self, why: &str) -> Error {
        Error::new(ErrorKind::Unavailable, codes::CONNECT_FAILED, format!("connect to {}: {why}", self.address))
    }

    fn observe(&self, took: Duration) {
        let sample = took.as_secs_f64() * 1e6;
        let old = f64::from_bits(self.latency_us.load(Ordering::Relaxed));
        let smoothed = if old == 0.0 { sample } else { old + (sample - old) * SMOOTHING };
        // Two writers may lose one sample: it is an estimate.
        self.latency_us.store(smoothed.to_bits(), Ordering::Relaxed);
    }
}

/// Counts a call while it is under way, also when it is dropped.
struct InFlight<'a>(&'a AtomicU32);

impl<'a> InFlight<'a> {
    fn enter(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
