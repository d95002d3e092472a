//! The simulated network: TCP as programs see it.
//!
//! ```text
//!  Socket::poll_write ─ chunks ─> Pipe::transit ── agenda: at `due` ──> Pipe::arrived ─> Socket::poll_read
//!                                      │ link cut: stalls until it is joined again, or the writer gives up
//! ```
//!
//! Bytes of one direction arrive in order, each chunk after a latency drawn for it; writes are cut into chunks and reads into
//! pieces at random, so decoders meet every split. A direction holds [`pipe::WINDOW`] bytes, then its writer waits. Half-close,
//! resets, refused and timed-out connections are there. Not simulated: bandwidth, datagrams, and acknowledgements of their own
//! (in a one-way cut the open direction keeps flowing).

mod agenda;
mod connection;
mod dialling;
mod link;
mod pipe;
mod socket;
mod table;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

pub(crate) use link::LONGEST_DELAY;
pub(crate) use socket::{Listening, Socket};
use table::Table;

use crate::faults::Faults;
use crate::history::History;
use crate::node::NodeId;

/// One life of a node's program, as the network knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProcessId(pub(crate) u64);

/// The network of one world.
pub(crate) struct Network {
    table: Mutex<Table>,
    sooner: Notify,
}

impl Network {
    pub(crate) fn new(seed: u64, faults: Arc<Faults>, history: Arc<History>) -> Arc<Self> {
        Arc::new(Self { table: Mutex::new(Table::new(seed, faults, history)), sooner: Notify::new() })
    }

    /// Performs what is due, for ever. The world runs it as a task of its own.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let next = self.with(|table| table.perform_due(Instant::now()));
            match next {
                Some(at) => tokio::select! {
                    biased;
                    () = self.sooner.notified() => {}
                    () = sleep_until(at) => {}
                },
                None => self.sooner.notified().await,
            }
        }
    }

    /// The only way to the table: wakes whom the change concerns after the lock is free.
    fn with<T>(&self, act: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table.lock();
        let done = act(&mut table);
        let wakes = std::mem::take(&mut table.wakes);
        let is_sooner = table.agenda.take_sooner();
        drop(table);
        if is_sooner {
            self.sooner.notify_one();
        }
        wakes.into_iter().for_each(std::task::Waker::wake);
        done
    }

    /// A process starts on `node`.
    pub(crate) fn join(&self, node: NodeId) -> ProcessId {
        self.with(|table| table.join(node))
    }

    /// A process ends. Its peers get resets after the network's delay; silently: only when they talk to the restarted machine.
    pub(crate) fn leave(&self, process: ProcessId, silently: bool) {
        self.with(|table| table.leave(process, silently));
    }

    pub(crate) fn dial(self: &Arc<Self>, process: ProcessId, to: SocketAddr) -> io::Result<Socket> {
        let end = self.with(|table| table.dial(process, to))?;
        Ok(Socket::new(self.clone(), end))
    }

    pub(crate) fn listen(self: &Arc<Self>, process: ProcessId, at: SocketAddr) -> io::Result<Listening> {
        let at = self.with(|table| table.listen(process, at))?;
        Ok(Listening::new(self.clone(), process, at))
    }

    /// Cuts one direction between two nodes.
    pub(crate) fn cut(&self, link: (NodeId, NodeId)) {
        self.with(|table| table.cut(link));
    }

    /// Whether two nodes cannot reach each other, in either direction.
    pub(crate) fn are_apart(&self, one: NodeId, other: NodeId) -> bool {
        self.with(|table| table.links.is_cut((one, other)) || table.links.is_cut((other, one)))
    }

    /// Breaks every open connection of a node.
    pub(crate) fn reset(&self, node: NodeId) {
        self.with(|table| table.reset(node));
    }

    /// Undoes one cut of this direction.
    pub(crate) fn rejoin(&self, link: (NodeId, NodeId)) {
        self.with(|table| table.rejoin(link));
    }

    /// Undoes all cuts.
    pub(crate) fn heal(&self) {
        self.with(Table::heal);
    }
}

#[cfg(test)]
#[path = "net/net_test.rs"]
mod tests;
