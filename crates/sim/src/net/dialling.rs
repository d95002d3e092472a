//! How a connection comes to be: listening, dialling, the request on its way, and its three ends (open, refused, timed out).

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::ProcessId;
use super::agenda::Action;
use super::connection::{Connection, ConnectionId, Direction, End, Holder, Progress, Side};
use super::table::Table;
use crate::node::NodeId;

/// How long a caller tries to reach a machine that does not answer.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it tries within that time.
const DIAL_AGAIN: Duration = Duration::from_secs(1);

/// Connections that wait to be accepted, per listener, as systems have it by default.
const BACKLOG: usize = 128;

/// The first port that is given out where none was asked for.
const FIRST_FREE_PORT: u16 = 40_000;

pub(super) struct Listener {
    pub(super) process: ProcessId,
    backlog: VecDeque<ConnectionId>,
    acceptor: Option<Waker>,
}

impl Table {
    fn node_of(&self, process: ProcessId) -> io::Result<NodeId> {
        self.processes.get(&process).copied().ok_or(io::ErrorKind::NetworkDown.into())
    }

    fn free_port(&mut self, node: NodeId) -> u16 {
        let next = self.next_port.entry(node).or_insert(FIRST_FREE_PORT);
        let port = *next;
        *next = next.checked_add(1).unwrap_or(FIRST_FREE_PORT);
        port
    }

    pub(super) fn listen(&mut self, process: ProcessId, at: SocketAddr) -> io::Result<SocketAddr> {
        let node = self.node_of(process)?;
        let port = if at.port() == 0 { self.free_port(node) } else { at.port() };
        let at = SocketAddr::new(seen_from(node, at.ip()), port);
        if NodeId::of_ip(at.ip()) != Some(node) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        if self.listeners.contains_key(&at) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        self.listeners.insert(at, Listener { process, backlog: VecDeque::new(), acceptor: None });
        Ok(at)
    }

    pub(super) fn unlisten(&mut self, process: ProcessId, at: SocketAddr, silently: bool) {
        // After a restart the same address may belong to the next process.
        if self.listeners.get(&at).is_none_or(|listener| listener.process != process) {
            return;
        }
        let Some(listener) = self.listeners.remove(&at) else { return };
        for connection in listener.backlog {
            self.abandon(Direction { connection, side: Side::Callee }, silently);
        }
    }

    pub(super) fn accept(&mut self, at: SocketAddr, waker: &Waker) -> io::Result<Option<(Direction, SocketAddr)>> {
        let listener = self.listeners.get_mut(&at).ok_or(io::ErrorKind::NotConnected)?;
        while let Some(id) = listener.backlog.pop_front() {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.end(Side::Callee).process = Some(listener.process);
                return Ok(Some((Direction { connection: id, side: Side::Callee }, connection.end(Side::Caller).address)));
            }
        }
        listener.acceptor = Some(waker.clone());
        Ok(None)
    }

    pub(super) fn dial(&mut self, process: ProcessId, to: SocketAddr) -> io::Result<Direction> {
        let node = self.node_of(process)?;
        let to = SocketAddr::new(seen_from(node, to.ip()), to.port());
        let there = NodeId::of_ip(to.ip()).ok_or(io::ErrorKind::NetworkUnreachable)?;
        let from = SocketAddr::new(node.ip(), self.free_port(node));
        self.dialled += 1;
        let id = ConnectionId(self.dialled);
        let until = Instant::now() + DIAL_TIMEOUT;
        let connection = Connection::new(until, End::new(node, from, Some(process)), End::new(there, to, None));
        self.connections.insert(id, connection);
        let at = self.arrival((node, there));
        self.agenda.plan(at, Action::Request(id));
        Ok(Direction { connection: id, side: Side::Caller })
    }

    pub(super) fn request(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (link, to) = (connection.link(Side::Caller), connection.end(Side::Callee).address);
        if self.links.is_cut(link) || self.dark.contains(&link.1) {
            return self.dial_again(id, Action::Request(id), now);
        }
        let back = self.arrival((link.1, link.0));
        match self.listeners.get_mut(&to) {
            None => self.agenda.plan(back, Action::Refused(id)),
            Some(listener) if listener.backlog.len() >= BACKLOG => self.dial_again(id, Action::Request(id), now),
            Some(listener) => {
                listener.backlog.push_back(id);
                self.wakes.extend(listener.acceptor.take());
                self.agenda.plan(back, Action::Accepted(id));
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.end(Side::Callee).holder = Holder::Present;
                }
            }
        }
    }

    pub(super) fn accepted(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if self.links.is_cut(connection.link(Side::Callee)) {
            return self.dial_again(id, Action::Accepted(id), now);
        }
        connection.progress = Progress::Open;
        let caller = connection.end(Side::Caller);
        self.wakes.extend([caller.reader.take(), caller.writer.take()].into_iter().flatten());
        self.history.record("connected", id.0);
    }

    fn dial_again(&mut self, id: ConnectionId, action: Action, now: Instant) {
        let Some(connection) = self.connections.get(&id) else { return };
        match connection.progress {
            Progress::Dialling { until } if now + DIAL_AGAIN <= until => self.agenda.plan(now + DIAL_AGAIN, action),
            _ => self.refused(id, io::ErrorKind::TimedOut),
        }
    }

    pub(super) fn refused(&mut self, id: ConnectionId, why: io::ErrorKind) {
        if why == io::ErrorKind::TimedOut {
            self.faults.count("connect_timed_out");
        }
        self.break_end(Direction { connection: id, side: Side::Caller }, why);
    }
}

/// The loopback and the unspecified address are the node itself.
fn seen_from(node: NodeId, ip: IpAddr) -> IpAddr {
    if ip.is_loopback() || ip.is_unspecified() { node.ip() } else { ip }
}
