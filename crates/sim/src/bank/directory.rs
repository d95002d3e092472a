//! An observer of the registry: what a client that only watches is shown, and whether it may be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee::registry::control::RegistryControlClient;
use settee::registry::{InstanceList, RegistryClient, RegistryOptions};
use settee::rpc::{Channels, Discovery, StaticInstances};
use settee::trace::Tracer;
use settee_core::env;

use super::stage::{PORT, Stage, call_context};
use crate::node::{Boot, Node, NodeId};
use crate::world::World;

/// A process that runs for so long and stays in touch with the registry has no reason to be missing from a list that a watcher is
/// shown, however late: a cut link holds that up for ten seconds, and the stream that breaks then for as long again.
const SETTLED: Duration = Duration::from_secs(20);

/// Between two looks at the registry's own view.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// What watchers saw, and what is true.
#[derive(Default)]
pub(super) struct Views(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    publishers: BTreeMap<&'static str, Vec<Node>>,
    shown: BTreeMap<&'static str, Shown>,
    /// When each node last began a life, as seen by the watcher, left in order, or was out of touch with the registry.
    lives: BTreeMap<NodeId, (u32, Duration)>,
    /// When the last process that left in order was through with its drain.
    drained_at: Duration,
    /// When the registry was last seen paused, or lost its connections.
    registry_disturbed_at: Option<Duration>,
    /// The life of each node in which a service was last seen there.
    seen: BTreeMap<(&'static str, NodeId), u32>,
}

/// What a watcher is shown of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub(super) addresses: BTreeSet<SocketAddr>,
    /// When the list last changed, in virtual time since the start.
    pub(super) changed_at: Duration,
}

impl Views {
    /// `nodes` publish `service`.
    pub(super) fn publishers(&self, service: &'static str, nodes: &[Node]) {
        self.0.lock().publishers.insert(service, nodes.to_vec());
    }

    /// A process leaves in order, or is cut off: from now on it may be missing from lists.
    pub(super) fn leaves(&self, world: &World, node: NodeId) {
        self.0.lock().lives.insert(node, (0, world.elapsed()));
    }

    /// A process that leaves in order has drained: what was under way may have taken longer than the time of faults.
    pub(super) fn has_drained(&self, world: &World) {
        self.0.lock().drained_at = world.elapsed();
    }

    /// When the last process that left in order was through.
    pub(super) fn drained_at(&self) -> Duration {
        self.0.lock().drained_at
    }

    /// All connections of a node break.
    pub(super) fn loses_connections(&self, stage: &Stage, node: NodeId) {
        let now = stage.world.elapsed();
        if stage.server_node().is_some_and(|server| server.id() == node) {
            self.0.lock().registry_disturbed_at = Some(now);
        } else {
            self.leaves(&stage.world, node);
        }
    }

    /// The addresses at which each service is published, and what the watcher was shown last.
    pub(super) fn final_views(&self) -> Vec<(&'static str, BTreeSet<SocketAddr>, Shown)> {
        let inner = self.0.lock();
        let view = |(service, nodes): (&&'static str, &Vec<Node>)| {
            let truth = nodes.iter().map(|node| node.address(PORT)).collect();
            (*service, truth, inner.shown.get(service).cloned().unwrap_or_default())
        };
        inner.publishers.iter().map(view).collect()
    }

    fn services(&self) -> Vec<&'static str> {
        self.0.lock().publishers.keys().copied().collect()
    }

    fn shows(&self, stage: &Stage, service: &'static str, list: &InstanceList) {
        let addresses: BTreeSet<_> = list.instances.iter().map(|instance| instance.address).collect();
        let mut inner = self.0.lock();
        inner.sees(service, &addresses);
        let before = inner.shown.entry(service).or_default();
        let became_empty = addresses.is_empty() && !before.addresses.is_empty();
        if before.addresses != addresses {
            *before = Shown { addresses, changed_at: stage.world.elapsed() };
        }
        let settled = inner.settled(stage.world.elapsed(), service);
        if became_empty && settled.len() > inner.may_have_left(stage.world.elapsed()) {
            stage.violated("I8", format_args!("the list of {service} became empty while {settled:?} lived"));
        }
    }
}

impl Inner {
    fn sees(&mut self, service: &'static str, addresses: &BTreeSet<SocketAddr>) {
        let publishers = self.publishers.get(service).into_iter().flatten();
        for node in publishers.filter(|node| addresses.contains(&node.address(PORT))) {
            self.seen.insert((service, node.id()), node.incarnation());
        }
    }

    /// The publishers that were listed in this life, which is a long one, and were in touch with the registry all the time.
    fn settled(&self, now: Duration, service: &'static str) -> Vec<NodeId> {
        let is_settled = |node: &&Node| {
            let since = self.lives.get(&node.id()).map_or(Duration::ZERO, |(_, since)| *since);
            let was_listed = self.seen.get(&(service, node.id())) == Some(&node.incarnation());
            was_listed && node.is_alive() && now.saturating_sub(since) > SETTLED
        };
        self.publishers.get(service).into_iter().flatten().filter(is_settled).map(Node::id).collect()
    }

    /// How many publishers may be missing although they are well: one whose session broke, or to whom the registry seemed dead while
    /// it was paused, so that it closed its session. One close is believed, and many at once are not (P7).
    fn may_have_left(&self, now: Duration) -> usize {
        usize::from(self.registry_disturbed_at.is_some_and(|disturbed_at| now.saturating_sub(disturbed_at) <= SETTLED))
    }

    /// A publisher that cannot speak to the registry, nor the registry to it, leaves the lists by the evidence of P7: its session is
    /// ended by the silence, so it is gone until it is back; or probes fail; or a registry that has restarted does not hear of it
    /// within the grace. A pause of it is such a silence. Nothing else is an excuse, restarts of the registry included.
    fn notes_lives(&mut self, world: &World, registry: &Node) {
        let now = world.elapsed();
        if registry.is_paused() {
            self.registry_disturbed_at = Some(now);
        }
        for node in self.publishers.values().flatten() {
            let is_out_of_touch = node.is_paused() || world.are_apart(node, registry);
            let life = self.lives.entry(node.id()).or_insert((node.incarnation(), now));
            if life.0 != node.incarnation() || !node.is_alive() || is_out_of_touch {
                *life = (node.incarnation(), now);
            }
        }
    }
}

/// The program of the watcher's node.
pub(super) async fn watch(stage: Arc<Stage>, _: Boot) {
    let server = Arc::new(StaticInstances::new().otherwise([stage.server]));
    let control = Channels::new(server, Tracer::off()).client::<RegistryControlClient>();
    let registry_node = stage.server_node();
    env::spawn(count_orphans(stage.clone(), control.clone()));
    let registry = RegistryClient::start(control, RegistryOptions::default());
    for service in stage.views.services() {
        let (stage, mut list) = (stage.clone(), registry.instances(service));
        env::spawn(async move {
            let mut version = list.borrow().version;
            while list.changed().await.is_ok() {
                let shown = list.borrow_and_update().clone();
                if shown.version < version {
                    stage.violated("I8", format_args!("{service} went back from {version:?} to {:?}", shown.version));
                }
                version = shown.version;
                stage.world.record("list", format_args!("{service} {version:?} {}", shown.instances.len()));
                stage.views.shows(&stage, service, &shown);
            }
        });
    }
    loop {
        if let Some(registry) = &registry_node {
            stage.views.0.lock().notes_lives(&stage.world, registry);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Instances that nobody speaks for are listed as long as they can be reached: seen at the registry itself.
async fn count_orphans(stage: Arc<Stage>, control: RegistryControlClient) {
    loop {
        tokio::time::sleep(COUNT_EVERY).await;
        let services = call_context().scope(control.services()).await.unwrap_or_default();
        services.iter().flat_map(|service| &service.orphans).for_each(|_| stage.world.reached("instance orphaned"));
    }
}
