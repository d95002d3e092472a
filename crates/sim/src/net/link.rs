//! Links: how long a direction between two nodes takes, and whether it is cut.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use crate::faults::{Fault, Faults};
use crate::node::NodeId;

/// One direction between two nodes.
pub(super) type Link = (NodeId, NodeId);

/// Latencies of a healthy link, in milliseconds: the paused clock has no finer step. Local ones take none.
const BASE_MILLIS: std::ops::RangeInclusive<u64> = 1..=3;

/// What one chunk in eight takes on top.
const JITTER_MILLIS: std::ops::RangeInclusive<u64> = 1..=4;

/// What a delayed chunk takes on top.
const DELAY_MILLIS: std::ops::RangeInclusive<u64> = 20..=1_500;

/// The most of it.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_millis(*DELAY_MILLIS.end());

pub(super) struct Links {
    faults: Arc<Faults>,
    bases: BTreeMap<Link, u64>,
    cuts: BTreeMap<Link, u32>,
}

impl Links {
    pub(super) fn new(faults: Arc<Faults>) -> Self {
        Self { faults, bases: BTreeMap::new(), cuts: BTreeMap::new() }
    }

    /// How long the next chunk of this link takes.
    pub(super) fn latency(&mut self, link: Link, random: &mut StdRng) -> Duration {
        if link.0 == link.1 {
            return Duration::ZERO;
        }
        let base = *self.bases.entry(link).or_insert_with(|| random.random_range(BASE_MILLIS));
        let jitter = if random.random_ratio(1, 8) { random.random_range(JITTER_MILLIS) } else { 0 };
        let delay = if self.faults.strikes(Fault::Delay) { random.random_range(DELAY_MILLIS) } else { 0 };
        Duration::from_millis(base + jitter + delay)
    }

    pub(super) fn is_cut(&self, link: Link) -> bool {
        self.cuts.contains_key(&link)
    }

    /// Cuts may overlap: each is undone by itself.
    pub(super) fn cut(&mut self, link: Link) {
        if link.0 != link.1 {
            *self.cuts.entry(link).or_default() += 1;
        }
    }

    /// Whether the link works again.
    pub(super) fn rejoin(&mut self, link: Link) -> bool {
        let Some(count) = self.cuts.get_mut(&link) else { return false };
        *count -= 1;
        let is_joined = *count == 0;
        if is_joined {
            self.cuts.remove(&link);
        }
        is_joined
    }

    pub(super) fn take_cuts(&mut self) -> Vec<Link> {
        std::mem::take(&mut self.cuts).into_keys().collect()
    }
}
