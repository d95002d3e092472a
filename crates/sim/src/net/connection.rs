//! Connections: two ends and a pipe in each direction.

use std::io;
use std::net::SocketAddr;
use std::task::Waker;

use super::ProcessId;
use super::link::Link;
use super::pipe::Pipe;
use crate::node::NodeId;

/// Which connection, in the order of dialling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub(super) u64);

/// Which of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    /// Who dialled.
    Caller,
    /// Who listened.
    Callee,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// One end of one connection; also the direction that this end writes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Direction {
    pub(super) connection: ConnectionId,
    pub(super) side: Side,
}

impl Direction {
    pub(super) fn reverse(self) -> Self {
        Self { side: self.side.other(), ..self }
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Dialling { until: tokio::time::Instant },
    Open,
}

pub(super) struct Connection {
    pub(super) progress: Progress,
    pub(super) caller: End,
    pub(super) callee: End,
    outward: Pipe,
    inward: Pipe,
}

pub(super) struct End {
    pub(super) node: NodeId,
    pub(super) address: SocketAddr,
    /// Who holds the socket; `None` before it is accepted.
    pub(super) process: Option<ProcessId>,
    pub(super) holder: Holder,
    /// Why everything on this end fails.
    pub(super) broken: Option<io::ErrorKind>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// What became of whoever holds an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// It is there.
    Present,
    /// It closed the socket or was killed: what still arrives is answered with a reset.
    Gone,
    /// Its machine lost power: what still arrives is answered with a reset only when the machine is up again.
    Dark,
}

impl End {
    pub(super) fn new(node: NodeId, address: SocketAddr, process: Option<ProcessId>) -> Self {
        Self { node, address, process, holder: Holder::Present, broken: None, reader: None, writer: None }
    }

    pub(super) fn is_present(&self) -> bool {
        self.holder == Holder::Present
    }

    /// Why nothing works here any more; a process that was killed may still be in the middle of a poll.
    pub(super) fn failure(&self) -> Option<io::Error> {
        let is_gone = !self.is_present();
        self.broken.or(is_gone.then_some(io::ErrorKind::BrokenPipe)).map(io::Error::from)
    }
}

impl Connection {
    /// A wish to connect: nobody is at the other end yet.
    pub(super) fn new(until: tokio::time::Instant, caller: End, mut callee: End) -> Self {
        callee.holder = Holder::Gone;
        Self { progress: Progress::Dialling { until }, caller, callee, outward: Pipe::default(), inward: Pipe::default() }
    }

    pub(super) fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    /// The pipe that `side` writes to.
    pub(super) fn pipe(&mut self, side: Side) -> &mut Pipe {
        match side {
            Side::Caller => &mut self.outward,
            Side::Callee => &mut self.inward,
        }
    }

    /// The link that `side` writes over.
    pub(super) fn link(&self, side: Side) -> Link {
        match side {
            Side::Caller => (self.caller.node, self.callee.node),
            Side::Callee => (self.callee.node, self.caller.node),
        }
    }

    /// The side that `process` holds; both of a connection to itself.
    pub(super) fn sides_of(&self, process: ProcessId) -> impl Iterator<Item = Side> + use<> {
        let holds = |end: &End| end.is_present() && end.process == Some(process);
        let sides = [holds(&self.caller).then_some(Side::Caller), holds(&self.callee).then_some(Side::Callee)];
        sides.into_iter().flatten()
    }

    /// Whether nobody will ever look at it again.
    pub(super) fn is_over(&self) -> bool {
        !self.caller.is_present() && !self.callee.is_present()
    }
}
