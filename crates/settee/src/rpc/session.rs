//! The peer that a handler serves: who is at the other end of the connection, and whether it is still there.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use settee_core::env;
use tokio::sync::watch;

tokio::task_local! {
    static CURRENT: Session;
}

/// The number of a session, unique within the process and hard to guess.
pub type SessionId = u64;

/// One connection as its handlers see it, or one in-process caller. What a session holds (publications, subscriptions, messages
/// in flight) ends with it.
#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: SessionId,
    peer: Option<SocketAddr>,
    closed: watch::Sender<bool>,
}

impl Session {
    /// A new open session; `peer` is `None` for a caller in the same process.
    #[must_use]
    pub fn open(peer: Option<SocketAddr>) -> Self {
        Self(Arc::new(Inner { id: env::random_u64(), peer, closed: watch::Sender::new(false) }))
    }

    /// The session of the call that the running task handles.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Runs `work` as a handler of this session.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The session's number.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// The address of the peer; `None` in process.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// Ends the session: everybody who waits in [`Session::closed`] goes on. Safe to repeat.
    pub fn close(&self) {
        self.0.closed.send_replace(true);
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.0.closed.borrow()
    }

    /// Waits until the session ends.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn closed(&self) {
        let mut closed = self.0.closed.subscribe();
        let _sender_is_held_by_self = closed.wait_for(|closed| *closed).await;
    }
}
