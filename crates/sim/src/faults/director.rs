//! Strikes the timed faults during the safety phase, undoes each after a while, and heals everything at its end.
//!
//! Only servers are killed, paused and given wrong clocks; any link may be cut. Clients are what observes the system, so a
//! workload ends them by itself where that is part of what it tests.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep_until};

use super::{Fault, Rate, SAFETY};
use crate::node::{Node, NodeId};
use crate::world::World;

/// A step of the director's plan.
enum Step {
    Strike(Fault),
    Restart(NodeId),
    Resume(NodeId),
    Rejoin(Vec<(NodeId, NodeId)>),
}

/// Directs one seed.
pub(crate) struct Director {
    world: World,
    random: StdRng,
    plan: BTreeMap<(Instant, u64), Step>,
    planned: u64,
}

impl Director {
    pub(crate) fn new(world: &World) -> Self {
        let random = StdRng::seed_from_u64(world.seed() ^ 0xd1ec_7042);
        Self { world: world.clone(), random, plan: BTreeMap::new(), planned: 0 }
    }

    /// The whole safety phase. When it returns, nothing is broken any more.
    pub(crate) async fn safety_phase(mut self) {
        let end = Instant::now() + SAFETY;
        for fault in Fault::ALL {
            self.plan_next(fault);
        }
        while let Some(((at, _), step)) = self.plan.pop_first() {
            if at >= end {
                break;
            }
            sleep_until(at).await;
            self.perform(step);
        }
        sleep_until(end).await;
        self.world.heal();
    }

    fn plan_next(&mut self, fault: Fault) {
        let Some(Rate::Every(mean)) = self.world.swarm().rates.get(&fault).copied() else { return };
        // The waiting time of a memoryless process, so that two strikes may also come close together.
        let wait = mean.mul_f64(-(1.0 - self.random.random_range(0.0..1.0_f64)).ln());
        self.plan_in(wait, Step::Strike(fault));
    }

    fn plan_in(&mut self, wait: Duration, step: Step) {
        self.planned += 1;
        self.plan.insert((Instant::now() + wait, self.planned), step);
    }

    fn perform(&mut self, step: Step) {
        match step {
            Step::Strike(fault) => {
                self.strike(fault);
                self.plan_next(fault);
            }
            Step::Restart(node) => self.on_node(node, Node::restart),
            Step::Resume(node) => {
                self.on_node(node, Node::resume);
                self.world.hold_ups().end(Fault::Pause, self.world.elapsed());
            }
            Step::Rejoin(links) => {
                links.iter().for_each(|link| self.world.network().rejoin(*link));
                self.world.hold_ups().end(Fault::Partition, self.world.elapsed());
            }
        }
    }

    fn on_node(&self, node: NodeId, act: impl FnOnce(&Node)) {
        if let Some(node) = self.world.node(node) {
            act(&node);
        }
    }

    fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Partition => self.cut(),
            _ => {
                let Some(node) = self.pick(&self.world.servers()) else { return };
                self.strike_node(fault, &node);
            }
        }
    }

    fn strike_node(&mut self, fault: Fault, node: &Node) {
        let struck = match fault {
            Fault::Kill => node.kill(),
            Fault::PowerCut => node.cut_power(),
            Fault::Pause => node.pause(),
            Fault::ClockSkew => {
                self.skew(node);
                true
            }
            _ => false,
        };
        if struck {
            self.world.faults().count(fault.name());
            self.plan_undoing(fault, node.id());
        }
    }

    /// A wrong clock stays wrong until everything is healed.
    fn plan_undoing(&mut self, fault: Fault, node: NodeId) {
        match fault {
            Fault::Kill | Fault::PowerCut => {
                let wait = self.spread(100, 5_000);
                self.plan_in(wait, Step::Restart(node));
            }
            Fault::Pause => {
                self.world.hold_ups().begin(fault, self.world.elapsed());
                let wait = self.spread(50, 8_000);
                self.plan_in(wait, Step::Resume(node));
            }
            _ => {}
        }
    }

    /// Mostly within half a second, now and then by hours; and a drift that a bad crystal has.
    fn skew(&mut self, node: &Node) {
        let reach = if self.random.random_ratio(1, 8) { 6 * 3_600_000_000 } else { 500_000 };
        let offset_micros = self.random.random_range(-reach..=reach);
        node.set_clock(offset_micros, self.random.random_range(-200..=200));
    }

    fn cut(&mut self) {
        let nodes = self.world.nodes();
        let Some(victim) = self.pick(&nodes) else { return };
        let others: Vec<_> = nodes.iter().filter(|node| node.id() != victim.id()).cloned().collect();
        let peers = if self.random.random_bool(0.5) { self.pick(&others).into_iter().collect() } else { others };
        let (out, back) = [(true, true), (true, false), (false, true)][self.random.random_range(0..3)];
        let links: Vec<_> = peers
            .iter()
            .flat_map(|peer| [out.then_some((victim.id(), peer.id())), back.then_some((peer.id(), victim.id()))])
            .flatten()
            .collect();
        if links.is_empty() {
            return;
        }
        links.iter().for_each(|link| self.world.network().cut(*link));
        self.world.hold_ups().begin(Fault::Partition, self.world.elapsed());
        self.world.faults().count(if out && back { "partition" } else { "partition_one_way" });
        let wait = self.spread(200, 10_000);
        self.plan_in(wait, Step::Rejoin(links));
    }

    fn pick(&mut self, nodes: &[Node]) -> Option<Node> {
        (!nodes.is_empty()).then(|| nodes[self.random.random_range(0..nodes.len())].clone())
    }

    /// Log-uniform between two numbers of milliseconds.
    fn spread(&mut self, from: u32, to: u32) -> Duration {
        let level = self.random.random_range(0.0..1.0_f64);
        Duration::from_secs_f64(f64::from(from) / 1_000.0 * (f64::from(to) / f64::from(from)).powf(level))
    }
}
