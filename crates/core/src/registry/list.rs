//! Lists of instances as they travel: a snapshot first, then deltas, each with the versions it joins and a checksum of what
//! comes out. Whoever cannot apply a delta asks for a snapshot again; nothing is guessed.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::instance::Instance;
use crate::id::Epoch;

/// The version of a list: the epoch of the owner that made it, and its count there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ListVersion {
    /// The owner's epoch.
    pub epoch: Epoch,
    /// Counts the changes within it.
    pub n: u64,
}

/// The instances of one service, in the order of their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceList {
    /// Which list this is.
    pub version: ListVersion,
    /// The instances.
    pub instances: Vec<Arc<Instance>>,
    /// Whether the registry knows that nobody is missing. A caller merges an incomplete list into its last good one.
    pub complete: bool,
}

/// What one address of a list became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It was not there before.
    Added(Arc<Instance>),
    /// It is published anew.
    Updated(Arc<Instance>),
    /// It left, and there was evidence for it.
    Removed(SocketAddr),
}

/// What turns one version of a list into another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The version it applies to.
    pub from: ListVersion,
    /// The version that comes out.
    pub to: ListVersion,
    /// The changes, at most one an address.
    pub changes: Vec<Change>,
    /// Whether the list that comes out is complete.
    pub complete: bool,
    /// [`InstanceList::checksum`] of the list that comes out.
    pub checksum: u64,
}

/// Why a delta cannot be applied; a snapshot helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// It is made for another version.
    #[error("the delta is for version {from:?}, the list is at {have:?}")]
    Version {
        /// The version of the list.
        have: ListVersion,
        /// The version that the delta is for.
        from: ListVersion,
    },
    /// The list that came out is not the one that its maker has.
    #[error("the list that came out is not the one that was meant: version {to:?}")]
    Checksum {
        /// The version that was to come out.
        to: ListVersion,
    },
}

impl InstanceList {
    /// The instance at `address`.
    #[must_use]
    pub fn find(&self, address: SocketAddr) -> Option<&Arc<Instance>> {
        let at = self.instances.binary_search_by_key(&address, |instance| instance.address).ok()?;
        self.instances.get(at)
    }

    /// A number that differs when the instances do. It is a sum, so whoever keeps a list can keep its checksum beside it.
    #[must_use]
    pub fn checksum(&self) -> u64 {
        self.instances.iter().fold(0, |sum, instance| sum.wrapping_add(instance.digest()))
    }

    /// What turns this list into `newer`.
    #[must_use]
    pub fn delta_to(&self, newer: &Self) -> Delta {
        let entered = newer.instances.iter().filter_map(|instance| match self.find(instance.address) {
            None => Some(Change::Added(instance.clone())),
            Some(old) if Arc::ptr_eq(old, instance) || old == instance => None,
            Some(_) => Some(Change::Updated(instance.clone())),
        });
        let left = self.instances.iter().map(|instance| instance.address).filter(|address| newer.find(*address).is_none());
        let changes = entered.chain(left.map(Change::Removed)).collect();
        Delta { from: self.version, to: newer.version, changes, complete: newer.complete, checksum: newer.checksum() }
    }

    /// The list after `delta`.
    ///
    /// # Errors
    /// [`Gap`] when the delta was made for another list; this one is unchanged.
    pub fn apply(&self, delta: &Delta) -> Result<Self, Gap> {
        if delta.from != self.version {
            return Err(Gap::Version { have: self.version, from: delta.from });
        }
        let after = Self { version: delta.to, complete: delta.complete, ..self.with(&delta.changes) };
        if after.checksum() != delta.checksum {
            return Err(Gap::Checksum { to: delta.to });
        }
        Ok(after)
    }

    /// The list with `changes` made, whatever version they are for.
    #[must_use]
    pub fn with(&self, changes: &[Change]) -> Self {
        let mut list = self.clone();
        for change in changes {
            match change {
                Change::Added(instance) | Change::Updated(instance) => list.put(instance.clone()),
                Change::Removed(address) => list.instances.retain(|instance| instance.address != *address),
            }
        }
        list
    }

    /// This list, which is incomplete, filled up with what a caller last knew: of two publications the newer one. Nobody is lost.
    #[must_use]
    pub fn merged_over(&self, last_good: &Self) -> Self {
        let mut list = self.clone();
        for known in &last_good.instances {
            if list.find(known.address).is_none_or(|instance| instance.publication < known.publication) {
                list.put(known.clone());
            }
        }
        list
    }

    fn put(&mut self, instance: Arc<Instance>) {
        match self.instances.binary_search_by_key(&instance.address, |known| known.address) {
            Ok(at) => self.instances[at] = instance,
            Err(at) => self.instances.insert(at, instance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::PublicationId;

    fn list(n: u64, ports: &[u16]) -> InstanceList {
        let instance = |port: &u16| Arc::new(Instance::new(([10, 0, 0, 1], *port).into(), "account"));
        let version = ListVersion { epoch: Epoch(1), n };
        InstanceList { version, instances: ports.iter().map(instance).collect(), complete: true }
    }

    #[test]
    fn a_delta_turns_one_list_into_the_other() {
        for (old, new) in [(&[][..], &[1][..]), (&[1, 2, 3], &[2, 4]), (&[1], &[]), (&[1], &[1])] {
            let (old, new) = (list(1, old), list(2, new));
            assert_eq!(old.apply(&old.delta_to(&new)), Ok(new));
        }
    }

    #[test]
    fn a_delta_for_another_version_or_another_list_is_a_gap_and_never_a_guess() {
        let (old, new) = (list(1, &[1, 2]), list(2, &[2]));
        let delta = old.delta_to(&new);
        assert_eq!(new.apply(&delta), Err(Gap::Version { have: new.version, from: old.version }));
        assert_eq!(list(1, &[1, 2, 3]).apply(&delta), Err(Gap::Checksum { to: new.version }));
    }

    #[test]
    fn the_checksum_sees_every_field() {
        let address = ([10, 0, 0, 1], 1).into();
        let plain = Instance::new(address, "account");
        let others = [
            Instance { weight: 1, ..plain.clone() },
            Instance { application: "accounts".into(), ..plain.clone() },
            Instance { share: Some(crate::registry::Share { index: 0, of: 2 }), ..plain.clone() },
            Instance { metadata: [("zone".to_owned(), "a".to_owned())].into(), ..plain.clone() },
            Instance { publication: PublicationId { publisher: 0, sequence: 1 }, ..plain.clone() },
            Instance { publication: PublicationId { publisher: 1, sequence: 0 }, ..plain.clone() },
        ];
        let mut digests: Vec<_> = others.iter().chain([&plain]).map(Instance::digest).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 7);
    }

    #[test]
    fn an_incomplete_list_is_filled_up_and_the_newer_publication_stays() {
        let mut known = list(9, &[1, 2]);
        let newer = PublicationId { publisher: 5, sequence: 1 };
        known.put(Arc::new(Instance { publication: newer, ..(*known.instances[1]).clone() }));
        let merged = InstanceList { complete: false, ..list(1, &[2, 3]) }.merged_over(&known);
        assert_eq!(merged.instances.iter().map(|instance| instance.address.port()).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((merged.instances[1].publication, merged.complete, merged.version.n), (newer, false, 1));
    }
}
