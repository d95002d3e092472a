//! The window of a connection: how many calls of this end may be unanswered, and the line of callers who find it full.
//!
//! ```text
//! caller -- a place is free --------------------> its frame is queued; the place is kept until it is answered
//!      \--- none is --> line, in order -- a place --/
//!                         \-- the wait or the line is too long --> refused: it was never sent
//! ```
//! What waits in the line has its deadline with it. What waits in a socket has none: the peer counts a deadline from when it
//! reads the frame, and would work for callers who were told "unknown" long ago. So no more is sent than the peer takes at once.
//!
//! Oneway calls, frames of streams and heartbeats pass by: nothing answers them, so nothing would give their place back. A window
//! bounds one connection; what bounds a service, whoever calls it, is a flow rule.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::context::Criticality;
use settee_core::error::{ErrorKind, codes};
use settee_core::{Error, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Ordinary calls that may be unanswered: a quarter of what a listener takes of one connection, so that it never refuses one of
/// these. A call that was sent with half of the usual 3 s left is answered in time as long as the peer ends 170 a second.
pub(crate) const WINDOW: usize = 256;

/// Places beside them for settee's own control traffic: registrations, leases and phase two go on while the window is full.
pub(crate) const RESERVED: usize = 64;

/// Callers in line at most. Each holds only what it has in hand anyway; more than this are a fault of the caller.
pub(super) const LINE: usize = 16_384;

/// A line that has stood for so long is no burst: more is asked for than is answered.
const BURST: Duration = Duration::from_secs(1);

/// How long a call stays in a line that is no burst. Longer waits would not let one more call through, but those that get
/// through would have no time left, and the others would hear "no" too late to go elsewhere.
const BRIEFLY: Duration = Duration::from_millis(100);

/// The right to be unanswered; dropping it lets the next call pass.
pub(super) type Permit = OwnedSemaphorePermit;

/// The places of one connection.
pub(super) struct Window {
    places: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    line: Mutex<Line>,
}

/// Those who wait for a place; the semaphores know in which order.
struct Line {
    waiting: usize,
    /// When the first of them came.
    since: Instant,
}

/// Why a call was not let in. It was never sent.
#[derive(Debug)]
pub(super) enum NoPlace {
    /// The connection takes no new calls.
    Closed,
    /// As many as may are in line already.
    LineFull,
    /// It waited for so long.
    Waited(Duration),
}

impl Window {
    pub(super) fn new() -> Self {
        let of = |places| Arc::new(Semaphore::new(places));
        Self { places: of(WINDOW), reserved: of(RESERVED), line: Mutex::new(Line { waiting: 0, since: Instant::now() }) }
    }

    /// Whether an ordinary call would have to wait.
    pub(super) fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// A place, if one is free.
    pub(super) fn enter(&self, criticality: Criticality) -> Option<Permit> {
        let free = |places: &Arc<Semaphore>| places.clone().try_acquire_owned().ok();
        free(&self.places).or_else(|| free(&self.reserved).filter(|_| criticality == Criticality::Control))
    }

    /// Waits for a place, behind those who came before. `left`: the time that the call has.
    ///
    /// Cancel safety: a place that came too late is the next one's.
    pub(super) async fn wait(&self, criticality: Criticality, left: Option<Duration>) -> Result<Permit, NoPlace> {
        let is_control = criticality == Criticality::Control;
        let (_in_line, stands_for) = self.join().ok_or(NoPlace::LineFull)?;
        let patience = patience(left.unwrap_or(Duration::MAX), if is_control { Duration::ZERO } else { stands_for });
        let reserved =
            async { if is_control { self.reserved.clone().acquire_owned().await } else { std::future::pending().await } };
        tokio::select! {
            biased;
            place = self.places.clone().acquire_owned() => place.map_err(|_| NoPlace::Closed),
            place = reserved => place.map_err(|_| NoPlace::Closed),
            () = tokio::time::sleep(patience) => Err(NoPlace::Waited(patience)),
        }
    }

    /// Lets nobody in any more; who is in line is told.
    pub(super) fn close(&self) {
        self.places.close();
        self.reserved.close();
    }

    /// A place in the line, and how long the line has stood.
    fn join(&self) -> Option<(InLine<'_>, Duration)> {
        let mut line = self.line.lock();
        if line.waiting >= LINE {
            return None;
        }
        let now = Instant::now();
        if line.waiting == 0 {
            line.since = now;
        }
        line.waiting += 1;
        Some((InLine(&self.line), now.saturating_duration_since(line.since)))
    }
}

/// Whoever waits in the line; it leaves it when this is dropped.
struct InLine<'a>(&'a Mutex<Line>);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

/// How long a call with so much time left waits in a line that has stood for so long. Half of its time at most: the peer needs
/// the rest, and a call that is sent with no time left takes a place for nothing.
fn patience(left: Duration, stands_for: Duration) -> Duration {
    let half = left / 2;
    if stands_for < BURST { half } else { half.min(BRIEFLY) }
}

impl NoPlace {
    /// What the caller of `name` at `peer` is told.
    pub(super) fn error(&self, name: &str, peer: Option<SocketAddr>) -> Error {
        let why = match self {
            Self::Closed => return super::outbox::lost(name),
            Self::LineFull => format!("{LINE} more wait to be sent"),
            Self::Waited(patience) => format!("no other was answered within {patience:?}"),
        };
        let at = peer.map_or_else(|| "the peer".to_owned(), |peer| peer.to_string());
        let message = format!("call {name}: {WINDOW} calls of this process to {at} are unanswered, and {why}");
        Error::new(ErrorKind::Limited, codes::TOO_MANY_CALLS, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_keeps_half_of_its_time_and_stays_in_a_line_that_is_no_burst_only_briefly() {
        let millis = Duration::from_millis;
        let cases = [
            (3_000, 0, 1_500),
            (3_000, 999, 1_500),
            (3_000, 1_000, 100),
            (3_000, 60_000, 100),
            (60_000, 0, 30_000),
            (20, 0, 10),
            (20, 5_000, 10),
            (0, 0, 0),
        ];
        for (left, stands_for, expected) in cases {
            assert_eq!(patience(millis(left), millis(stands_for)), millis(expected), "{left} left, stands for {stands_for}");
        }
    }
}
