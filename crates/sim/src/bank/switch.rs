//! A switch that dies: every connection of one node breaks at once, and its process lives.
//!
//! At the server that is many sessions that close together, which must not empty a list (P7). At an application it loses answers of
//! calls that were carried out, so that the repeat has to find out. Left out: a switch that is away for long, which is a partition.

use std::sync::Arc;

use settee_core::env;

use super::stage::{Stage, sleep_between};
use crate::faults::SAFETY;
use crate::node::Boot;

/// One seed in so many has one.
const SEEDS_WITH: u64 = 4;

/// Between two of its deaths, in milliseconds.
const PAUSE: (usize, usize) = (500, 6_000);

/// The program of the switch: now and then, while faults strike, the server's connections break, or those of any node.
pub(super) async fn fail(stage: Arc<Stage>, _: Boot) {
    while stage.world.seed().is_multiple_of(SEEDS_WITH) && stage.world.elapsed() < SAFETY {
        sleep_between(PAUSE.0, PAUSE.1).await;
        let nodes = stage.world.nodes();
        let any = nodes.get(env::random_below(nodes.len())).cloned();
        let Some(victim) = (if env::random_below(2) == 0 { stage.server_node() } else { any }) else { return };
        if stage.world.elapsed() < SAFETY {
            stage.views.loses_connections(&stage, victim.id());
            stage.world.reset_connections(&victim);
            stage.world.reached("connections of a node broken");
        }
    }
}
