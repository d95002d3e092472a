//! One address: its connection, opened when it is first needed, and what is known of its speed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::{ErrorKind, codes};
use settee_core::rpc::balance::Candidate;
use settee_core::{Error, Instant, env};
use tokio::sync::watch;

use crate::rpc::link::{self, LinkHandle, Outgoing, Received};

/// How long opening a connection may take; SOFARPC's default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The weight of the newest sample in the smoothed latency: about the last ten calls count.
const SMOOTHING: f64 = 0.2;

/// How long an address is avoided after its first failed connect, where others are left.
const AVOID_FIRST: Duration = Duration::from_millis(250);

/// How long at most, after many in a row: an instance that came back should not wait for long.
const AVOID_LAST: Duration = Duration::from_secs(5);

/// One address that is called. Dropped, its connection closes when what is under way on it has ended.
pub(super) struct Endpoint {
    address: SocketAddr,
    way: Mutex<Way>,
    in_flight: AtomicU32,
    /// Connects that failed and connections that were lost since the last answer.
    failures: AtomicU32,
    /// Bits of an `f64`: smoothed microseconds.
    latency_us: AtomicU64,
}

/// The way to an address.
#[derive(Default)]
struct Way {
    link: Option<LinkHandle>,
    /// A connect that is under way, for everybody who waits for it.
    connecting: Option<watch::Receiver<Connected>>,
    avoid_until: Option<Instant>,
}

/// How a connect ended: `None` while it is under way.
type Connected = Option<Result<LinkHandle, Arc<io::Error>>>;

impl Endpoint {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            way: Mutex::default(),
            in_flight: AtomicU32::new(0),
            failures: AtomicU32::new(0),
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

    /// Whether it could not be connected to a moment ago.
    pub(super) fn is_avoided(&self, now: Instant) -> bool {
        self.way.lock().avoid_until.is_some_and(|until| until > now)
    }

    /// Whether a call would have to wait for the answers of others before it is sent.
    pub(super) fn is_full(&self) -> bool {
        self.way.lock().link.as_ref().is_some_and(LinkHandle::is_full)
    }

    pub(super) fn close(&self) {
        let link = self.way.lock().link.take();
        if let Some(link) = link {
            link.close();
        }
    }

    pub(super) async fn call(self: &Arc<Self>, outgoing: Outgoing<'_>) -> Result<Received, Error> {
        // Counted from here: a queue before an instance that is slow to connect to is a queue too.
        let _counted = InFlight::enter(&self.in_flight);
        let link = match (self.open_link(), outgoing.context.deadline) {
            (Some(link), _) => link,
            (None, Some(deadline)) => {
                tokio::time::timeout_at(deadline, self.connected()).await.map_err(|_| self.too_late())??
            }
            (None, None) => self.connected().await?,
        };
        let started = Instant::now();
        let received = link.call(outgoing).await;
        // A quick failure is not a quick instance: it must not draw the calls of all others.
        if received.as_ref().map_or_else(says_how_long, |_| true) {
            self.observe(started.elapsed());
            self.answered();
        } else if link.is_closed() {
            self.lost(&link);
        }
        received
    }

    /// The open connection, if there is one: what nearly every call finds.
    fn open_link(&self) -> Option<LinkHandle> {
        self.way.lock().link.as_ref().filter(|link| !link.is_closed()).cloned()
    }

    /// The open connection, or a new one. Callers that come while it is being opened wait for it, and for how it ends.
    async fn connected(self: &Arc<Self>) -> Result<LinkHandle, Error> {
        let mut connecting = {
            let mut way = self.way.lock();
            match (&way.link, &way.connecting) {
                (Some(link), _) if !link.is_closed() => return Ok(link.clone()),
                (_, Some(connecting)) => connecting.clone(),
                (_, None) => self.connect(&mut way),
            }
        };
        match connecting.wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone()) {
            Some(Ok(link)) => Ok(link),
            Some(Err(error)) => Err(self.unreachable(&error.to_string()).caused_by(error)),
            None => Err(self.unreachable("the attempt was given up")),
        }
    }

    /// Connects on a task of its own, so that a caller in a hurry does not take the attempt with it.
    fn connect(self: &Arc<Self>, way: &mut Way) -> watch::Receiver<Connected> {
        let (ended, connecting) = watch::channel(None);
        way.connecting = Some(connecting.clone());
        // After a failure one caller tries; the others stay away until it is known how that ends.
        way.avoid_until = (self.failures.load(Ordering::Relaxed) > 0).then(|| Instant::now() + CONNECT_TIMEOUT);
        let endpoint = self.clone();
        env::spawn(async move {
            let attempt = Attempt { endpoint, ended };
            let connected = tokio::time::timeout(CONNECT_TIMEOUT, env::connect(attempt.endpoint.address)).await;
            attempt.end(connected.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer within a second"))));
        });
        connecting
    }

    /// Who accepts connections and answers nothing is as dead as who refuses them: failures count until there is an answer.
    fn answered(&self) {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Notes that a connection was lost, once for all the calls that were on it.
    fn lost(&self, link: &LinkHandle) {
        let mut way = self.way.lock();
        if way.link.take_if(|current| current.is_same(link)).is_some() {
            self.failed(&mut way);
        }
    }

    fn failed(&self, way: &mut Way) {
        let before = self.failures.load(Ordering::Relaxed);
        self.failures.store(before.saturating_add(1), Ordering::Relaxed);
        way.avoid_until = Some(Instant::now() + avoid_for(before));
    }

    fn unreachable(&self, why: &str) -> Error {
        Error::new(ErrorKind::Unavailable, codes::CONNECT_FAILED, format!("connect to {}: {why}", self.address))
    }

    fn too_late(&self) -> Error {
        let message = format!("connect to {}: the deadline passed first", self.address);
        Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, message)
    }

    fn observe(&self, took: Duration) {
        let sample = took.as_secs_f64() * 1e6;
        let old = f64::from_bits(self.latency_us.load(Ordering::Relaxed));
        let smoothed = if old == 0.0 { sample } else { old + (sample - old) * SMOOTHING };
        // Two writers may lose one sample: it is an estimate.
        self.latency_us.store(smoothed.to_bits(), Ordering::Relaxed);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(link) = &self.way.get_mut().link {
            link.retire();
        }
    }
}

/// A connect that is under way. Dropped before its end, it counts as neither.
struct Attempt {
    endpoint: Arc<Endpoint>,
    ended: watch::Sender<Connected>,
}

impl Attempt {
    fn end(self, connected: io::Result<env::Connection>) {
        let mut way = self.endpoint.way.lock();
        let result = connected.map(|connection| link::start_client(connection, self.endpoint.address));
        match &result {
            Ok(link) => {
                let before = way.link.replace(link.clone());
                way.avoid_until = None;
                drop(before);
            }
            Err(_) => self.endpoint.failed(&mut way),
        }
        drop(way);
        self.ended.send_replace(Some(result.map_err(Arc::new)));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.endpoint.way.lock().connecting = None;
    }
}

fn avoid_for(failures: u32) -> Duration {
    AVOID_FIRST.saturating_mul(1 << failures.min(16)).min(AVOID_LAST)
}

/// Whether an instance that failed like this showed how long its answers take.
fn says_how_long(error: &Error) -> bool {
    use ErrorKind::{Conflict, DeadlineExceeded, Denied, Invalid, NotFound};
    matches!(error.kind(), Conflict | DeadlineExceeded | Denied | Invalid | NotFound)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_avoided_for_longer_after_every_failure_but_never_for_long() {
        let waits: Vec<_> = (0..7).map(|failures| avoid_for(failures).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(avoid_for(u32::MAX), AVOID_LAST);
    }
}
