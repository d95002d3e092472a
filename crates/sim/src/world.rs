//! A world: the nodes, the network, the dice and the history of one seed.
//!
//! It lives on one thread with a paused runtime of its own; everything random in it follows from the seed. Handles are cheap
//! clones. The world's own tasks (network, director) run on no node.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::faults::{Fault, Faults, Swarm};
use crate::history::{History, Records, Violation};
use crate::hold_ups::HoldUps;
use crate::net::Network;
use crate::node::{Boot, Node, NodeId, Role};

/// What the world is doing to the system now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Faults strike; what was acknowledged must survive.
    Safety,
    /// Everything is healed; the system must converge.
    Liveness,
}

/// A handle to the world of one seed.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    seed: u64,
    faults: Arc<Faults>,
    history: Arc<History>,
    hold_ups: HoldUps,
    network: Arc<Network>,
    nodes: Mutex<BTreeMap<NodeId, Node>>,
}

impl World {
    pub(crate) fn new(seed: u64, swarm: Swarm, traced: bool) -> Self {
        let faults = Arc::new(Faults::new(seed, swarm));
        let history = Arc::new(History::new(traced));
        let network = Network::new(seed, faults.clone(), history.clone());
        Self(Arc::new(Inner { seed, faults, history, hold_ups: HoldUps::default(), network, nodes: Mutex::default() }))
    }

    /// The seed that decides everything here.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// The faults that exist in this world.
    #[must_use]
    pub fn swarm(&self) -> &Swarm {
        self.0.faults.swarm()
    }

    /// Virtual time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.history.elapsed()
    }

    /// Which phase this is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.0.faults.is_active() { Phase::Safety } else { Phase::Liveness }
    }

    /// Adds a server and starts it: `main` runs at every start of its process, and the process exits when it returns or
    /// panics; a second later a supervisor starts it again.
    ///
    /// Servers are killed, lose power, are paused and get wrong clocks, as the seed drew.
    pub fn server<F>(&self, name: &str, main: impl Fn(Boot) -> F + Send + Sync + 'static) -> Node
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.add(name, Role::Server, main)
    }

    /// Adds a client and starts it: like a server, but only its links suffer, and nobody restarts it.
    pub fn client<F>(&self, name: &str, main: impl Fn(Boot) -> F + Send + Sync + 'static) -> Node
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.add(name, Role::Client, main)
    }

    fn add<F>(&self, name: &str, role: Role, main: impl Fn(Boot) -> F + Send + Sync + 'static) -> Node
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let id = NodeId::nth(self.0.nodes.lock().len());
        let node = Node::new(self.clone(), id, name, role, Box::new(move |boot| Box::pin(main(boot))));
        self.0.nodes.lock().insert(id, node.clone());
        node.restart();
        node
    }

    /// The node `id`, if there is one.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<Node> {
        self.0.nodes.lock().get(&id).cloned()
    }

    /// All nodes, in the order in which they were added.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.0.nodes.lock().values().cloned().collect()
    }

    pub(crate) fn servers(&self) -> Vec<Node> {
        self.nodes().into_iter().filter(|node| node.role() == Role::Server).collect()
    }

    /// Whether the link between two nodes is cut, in either direction.
    #[must_use]
    pub fn are_apart(&self, one: &Node, other: &Node) -> bool {
        self.0.network.are_apart(one.id(), other.id())
    }

    /// Breaks every open connection of a node at once, as a switch does that dies. Its process lives and may connect again.
    pub fn reset_connections(&self, node: &Node) {
        self.0.network.reset(node.id());
    }

    /// Folds an event into the history: whatever the system shows to the outside. `fields` name what identifies it.
    pub fn record(&self, event: &'static str, fields: impl fmt::Display) {
        self.0.history.record(event, fields);
    }

    /// Counts an end state, so that a report can show that the seeds reach what they are meant to test.
    pub fn reached(&self, state: &'static str) {
        self.0.history.reached(state);
    }

    /// Reports a violation that is seen while the system runs.
    pub fn violated(&self, violation: Violation) {
        self.0.history.violated(violation);
    }

    /// Whether `fault` strikes at this operation; it is counted if so, and the caller makes it happen.
    ///
    /// For models of engines, disks and databases. Always `false` for a class that the seed did not draw, for timed classes,
    /// and in the liveness phase.
    #[must_use]
    pub fn strikes(&self, fault: Fault) -> bool {
        self.0.faults.strikes(fault)
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// When links were cut and processes stood still.
    pub(crate) fn hold_ups(&self) -> &HoldUps {
        &self.0.hold_ups
    }

    pub(crate) fn network(&self) -> &Arc<Network> {
        &self.0.network
    }

    /// Ends the safety phase: links work, processes run, clocks are right.
    pub(crate) fn heal(&self) {
        self.0.faults.stop();
        self.0.network.heal();
        for node in self.servers() {
            node.set_clock(0, 0);
            node.resume();
            node.restart();
        }
        self.0.hold_ups.end_all(self.elapsed());
        self.record("healed", "");
    }

    /// Ends every process and forgets the nodes, whose programs hold the world.
    pub(crate) fn end(&self) -> Records {
        let records = self.0.history.take();
        let nodes = std::mem::take(&mut *self.0.nodes.lock());
        nodes.values().for_each(Node::end);
        records
    }
}
