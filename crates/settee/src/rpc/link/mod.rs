//! One Bolt connection between settee peers, the same at both ends: either side may call the other.
//!
//! ```text
//! callers --> Window --> Outbox (frames to write, calls that wait) --> Driver --> socket
//!                                     ^                                  |
//!                                     +-- answers <-- running calls <----+ frames read
//! ```
//! The driver is one task. A call is polled on it first; one that is pending joins the connection's set. No task and no timer
//! is made for a call: deadlines lie in one ordered set, writes of many calls leave in one system call.

mod driver;
#[cfg(test)]
mod hostile_test;
mod inbound;
#[cfg(test)]
mod link_test;
mod outbox;
mod pulse;
mod pump;
mod queue;
mod window;
#[cfg(test)]
mod window_test;

pub(crate) use outbox::{LinkHandle, Outgoing, Received};
pub(crate) use window::{RESERVED, WINDOW};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use settee_core::env::{self, Io};
use settee_core::shutdown::{Shutdown, pair};
use settee_wire::bolt::Limits;

use self::driver::Driver;
use super::server::Services;
use super::session::Session;

/// What a serving end allows its peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServeLimits {
    /// Calls under way at once; more are refused.
    pub(crate) calls: usize,
    /// How long calls under way may take to end once the server stops.
    pub(crate) drain: Duration,
}

/// Calls that a server may have under way at its client: stream control only.
const CLIENT_LIMITS: ServeLimits = ServeLimits { calls: 64, drain: Duration::from_secs(1) };

/// Drives `connection` on a task of its own and returns the calling end.
pub(crate) fn start_client(connection: impl Io + 'static, peer: SocketAddr) -> LinkHandle {
    let handle = LinkHandle::new(Session::open(Some(peer)), Limits::default());
    let (never, stopping) = pair();
    let driver = Driver::new(connection, handle.clone(), Arc::new(Services::new()), CLIENT_LIMITS, stopping);
    env::spawn(async move {
        driver.run().await;
        drop(never);
    });
    handle
}

/// Serves `connection` until it closes, or until `stopping` and what was under way has ended.
pub(crate) async fn serve(
    connection: impl Io,
    peer: SocketAddr,
    services: Arc<Services>,
    limits: ServeLimits,
    stopping: Shutdown,
) {
    let handle = LinkHandle::new(Session::open(Some(peer)), Limits::default());
    Driver::new(connection, handle, services, limits, stopping).run().await;
}
