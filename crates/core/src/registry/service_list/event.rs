//! What happens to the list of a service, and what must be done about it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::super::instance::{Instance, PublicationId};
use super::super::list::Delta;
use crate::time::Instant;

/// Who holds a publication: a session of a process with a server of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// The server, by a number that is its own for its life.
    pub server: u64,
    /// The session at that server.
    pub session: u64,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A session says that it serves. Repeats change nothing.
    Published {
        /// Where and what.
        instance: Arc<Instance>,
        /// The session.
        holder: Holder,
    },
    /// The publisher deregisters.
    Withdrawn {
        /// Where.
        address: SocketAddr,
        /// The publication that ends; older ones end with it.
        publication: PublicationId,
    },
    /// A session ended.
    SessionClosed {
        /// The session.
        holder: Holder,
        /// Whether the peer closed it. Otherwise nothing is known about the peer.
        by_peer: bool,
    },
    /// A server of the registry died, and every session with it.
    ServerDied {
        /// The server.
        server: u64,
    },
    /// Publishers can reach the registry from now on.
    Opened {
        /// Until then they have the time to come back.
        grace_ends: Instant,
    },
    /// Another server hands over the instances that it last pushed.
    Inherited {
        /// Those instances.
        instances: Vec<Arc<Instance>>,
    },
    /// Someone listens at the address.
    ProbeSucceeded {
        /// The address.
        address: SocketAddr,
    },
    /// Nobody could be reached at the address.
    ProbeFailed {
        /// The address.
        address: SocketAddr,
    },
    /// Time passed; see [`super::ServiceList::next_timer`].
    Tick,
}

/// What must be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Push this to subscribers.
    Changed(Delta),
    /// Try to connect to the address and report what came of it.
    Probe(SocketAddr),
    /// The publication was not taken: this one of the same address is newer.
    Superseded(PublicationId),
}
