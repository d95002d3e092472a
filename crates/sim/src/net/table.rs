//! Everything the network knows: machines, listeners, connections, links; and what happens when an action is due.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::ProcessId;
use super::agenda::{Action, Agenda};
use super::connection::{Connection, ConnectionId, Direction, Holder, Progress, Side};
use super::dialling::Listener;
use super::link::{Link, Links};
use super::pipe::Payload;
use crate::faults::Faults;
use crate::history::History;
use crate::node::NodeId;

/// How long a writer waits for a cut link before its connection breaks, in milliseconds; drawn anew at each stall.
const GIVE_UP_MILLIS: std::ops::Range<u64> = 3_000..15_000;

pub(super) struct Table {
    pub(super) agenda: Agenda,
    /// Whom to wake once the table is unlocked.
    pub(super) wakes: Vec<Waker>,
    pub(super) random: StdRng,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    pub(super) listeners: BTreeMap<SocketAddr, Listener>,
    pub(super) processes: BTreeMap<ProcessId, NodeId>,
    pub(super) dark: BTreeSet<NodeId>,
    pub(super) next_port: BTreeMap<NodeId, u16>,
    pub(super) links: Links,
    joined: u64,
    pub(super) dialled: u64,
    pub(super) faults: Arc<Faults>,
    pub(super) history: Arc<History>,
}

impl Table {
    pub(super) fn new(seed: u64, faults: Arc<Faults>, history: Arc<History>) -> Self {
        Self {
            agenda: Agenda::default(),
            wakes: Vec::new(),
            random: StdRng::seed_from_u64(seed ^ 0x6e65_7477),
            connections: BTreeMap::new(),
            listeners: BTreeMap::new(),
            processes: BTreeMap::new(),
            dark: BTreeSet::new(),
            next_port: BTreeMap::new(),
            links: Links::new(faults.clone()),
            joined: 0,
            dialled: 0,
            faults,
            history,
        }
    }

    /// Performs everything that is due; says when the next action is.
    pub(super) fn perform_due(&mut self, now: Instant) -> Option<Instant> {
        while let Some(action) = self.agenda.take_due(now) {
            match action {
                Action::Request(id) => self.request(id, now),
                Action::Accepted(id) => self.accepted(id, now),
                Action::Refused(id) => self.refused(id, io::ErrorKind::ConnectionRefused),
                Action::Deliver(direction) => self.deliver(direction, now),
                Action::GiveUp(direction, since) => self.give_up(direction, since),
            }
        }
        self.agenda.next_at()
    }

    pub(super) fn join(&mut self, node: NodeId) -> ProcessId {
        self.joined += 1;
        let process = ProcessId(self.joined);
        self.processes.insert(process, node);
        self.dark.remove(&node);
        process
    }

    pub(super) fn leave(&mut self, process: ProcessId, silently: bool) {
        let Some(node) = self.processes.remove(&process) else { return };
        if silently {
            self.dark.insert(node);
        }
        let listening: Vec<_> = self.listeners.iter().filter(|(_, it)| it.process == process).map(|(at, _)| *at).collect();
        for at in listening {
            self.unlisten(process, at, silently);
        }
        let held: Vec<_> = self.connections.iter().flat_map(|(id, it)| it.sides_of(process).map(|side| (*id, side))).collect();
        for (connection, side) in held {
            self.abandon(Direction { connection, side }, silently);
        }
    }

    /// Breaks every open connection of a node at both of its ends; what was on its way is lost.
    pub(super) fn reset(&mut self, node: NodeId) {
        self.history.record("reset", node);
        let is_of_node = |it: &Connection| it.progress == Progress::Open && (it.caller.node == node || it.callee.node == node);
        let broken: Vec<_> = self.connections.iter().filter(|(_, it)| is_of_node(it)).map(|(id, _)| *id).collect();
        for connection in broken {
            for side in [Side::Caller, Side::Callee] {
                if let Some(connection) = self.connections.get_mut(&connection) {
                    connection.pipe(side).lose_transit();
                }
                self.break_end(Direction { connection, side }, io::ErrorKind::ConnectionReset);
            }
        }
    }

    /// An end whose process died. Of what it had written, a part or all may still be on its way.
    pub(super) fn abandon(&mut self, end: Direction, silently: bool) {
        let loses_transit = self.random.random_bool(0.5);
        let Some(connection) = self.connections.get_mut(&end.connection) else { return };
        connection.end(end.side).holder = if silently { Holder::Dark } else { Holder::Gone };
        if silently || loses_transit {
            connection.pipe(end.side).lose_transit();
        }
        if !silently {
            self.send(end, Payload::Reset);
        }
        self.forget_if_over(end.connection);
    }

    pub(super) fn arrival(&mut self, link: Link) -> Instant {
        Instant::now() + self.links.latency(link, &mut self.random)
    }

    /// Everything on this end fails from now on.
    pub(super) fn break_end(&mut self, end: Direction, why: io::ErrorKind) {
        let Some(connection) = self.connections.get_mut(&end.connection) else { return };
        let end = connection.end(end.side);
        end.broken.get_or_insert(why);
        self.wakes.extend([end.reader.take(), end.writer.take()].into_iter().flatten());
    }

    /// Sends `payload` in this direction.
    pub(super) fn send(&mut self, direction: Direction, payload: Payload) {
        let Some(connection) = self.connections.get_mut(&direction.connection) else { return };
        let link = connection.link(direction.side);
        let due = Instant::now() + self.links.latency(link, &mut self.random);
        let pipe = connection.pipe(direction.side);
        let due = pipe.send(due, payload);
        if pipe.stalled_since.is_none() {
            self.agenda.plan(due, Action::Deliver(direction));
        }
    }

    fn deliver(&mut self, direction: Direction, now: Instant) {
        let Some(connection) = self.connections.get_mut(&direction.connection) else { return };
        let link = connection.link(direction.side);
        let pipe = connection.pipe(direction.side);
        if pipe.stalled_since.is_some() || !pipe.is_due(now) {
            return;
        }
        if self.links.is_cut(link) {
            pipe.stalled_since = Some(now);
            let patience = Duration::from_millis(self.random.random_range(GIVE_UP_MILLIS));
            return self.agenda.plan(now + patience, Action::GiveUp(direction, now));
        }
        while let Some(payload) = self.take_due(direction, now) {
            self.arrive(direction, payload);
        }
    }

    fn take_due(&mut self, direction: Direction, now: Instant) -> Option<Payload> {
        self.connections.get_mut(&direction.connection)?.pipe(direction.side).take_due(now)
    }

    fn arrive(&mut self, direction: Direction, payload: Payload) {
        let Some(connection) = self.connections.get_mut(&direction.connection) else { return };
        let receiver = connection.end(direction.side.other());
        let (holder, node) = (receiver.holder, receiver.node);
        if holder == Holder::Dark && self.dark.contains(&node) {
            return;
        }
        match payload {
            Payload::Reset => self.break_end(direction.reverse(), io::ErrorKind::ConnectionReset),
            _ if holder != Holder::Present => self.send(direction.reverse(), Payload::Reset),
            Payload::End => {
                connection.pipe(direction.side).is_ended = true;
                self.wake_reader(direction.reverse());
            }
            Payload::Bytes(bytes) => {
                self.history.record("bytes", format_args!("{} {:?}", direction.connection.0, direction.side));
                self.history.record_bytes("content", &bytes);
                connection.pipe(direction.side).arrive(bytes);
                self.wake_reader(direction.reverse());
            }
        }
    }

    fn wake_reader(&mut self, end: Direction) {
        if let Some(connection) = self.connections.get_mut(&end.connection) {
            self.wakes.extend(connection.end(end.side).reader.take());
        }
    }

    fn give_up(&mut self, direction: Direction, since: Instant) {
        let Some(connection) = self.connections.get_mut(&direction.connection) else { return };
        let pipe = connection.pipe(direction.side);
        if pipe.stalled_since != Some(since) {
            return;
        }
        pipe.lose_transit();
        self.faults.count("connection_gave_up");
        self.break_end(direction, io::ErrorKind::TimedOut);
        self.send(direction, Payload::Reset);
    }

    /// The socket of this end is dropped.
    pub(super) fn close(&mut self, end: Direction) {
        let Some(connection) = self.connections.get_mut(&end.connection) else { return };
        if !connection.end(end.side).is_present() {
            return;
        }
        let has_unread = connection.pipe(end.side.other()).has_arrived();
        let is_dialling = connection.progress != Progress::Open && end.side == Side::Caller;
        let is_closing = connection.pipe(end.side).is_closing;
        connection.end(end.side).holder = Holder::Gone;
        match (has_unread || is_dialling, is_closing) {
            (true, _) => self.send(end, Payload::Reset),
            (false, false) => self.send(end, Payload::End),
            (false, true) => {}
        }
        self.forget_if_over(end.connection);
    }

    fn forget_if_over(&mut self, id: ConnectionId) {
        if self.connections.get(&id).is_some_and(Connection::is_over) {
            self.connections.remove(&id);
        }
    }

    pub(super) fn cut(&mut self, link: Link) {
        self.history.record("cut", format_args!("{} {}", link.0, link.1));
        self.links.cut(link);
    }

    pub(super) fn rejoin(&mut self, link: Link) {
        if self.links.rejoin(link) {
            self.unstall(link);
        }
    }

    pub(super) fn heal(&mut self) {
        for link in self.links.take_cuts() {
            self.unstall(link);
        }
    }

    fn unstall(&mut self, link: Link) {
        self.history.record("joined", format_args!("{} {}", link.0, link.1));
        for (id, connection) in &mut self.connections {
            for side in [Side::Caller, Side::Callee] {
                if connection.link(side) == link && connection.pipe(side).stalled_since.take().is_some() {
                    let at = Instant::now() + self.links.latency(link, &mut self.random);
                    self.agenda.plan(at, Action::Deliver(Direction { connection: *id, side }));
                }
            }
        }
    }
}
