//! The instances of a list with their endpoints, built once a list.
//!
//! Whoever knows an address holds its endpoint: when no list names it any more it is dropped, and its connection closes. So what
//! a process remembers is bounded by what is published now.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use settee_core::registry::{Instance, InstanceList};

use super::endpoint::Endpoint;

/// Every endpoint of a process that somebody holds: two services at one address share its connection.
#[derive(Default)]
pub(super) struct Endpoints(Mutex<BTreeMap<SocketAddr, Weak<Endpoint>>>);

/// An instance and the way to it.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) instance: Arc<Instance>,
    pub(super) endpoint: Arc<Endpoint>,
}

/// The instances of the newest list.
#[derive(Default)]
pub(super) struct KnownList(Mutex<Option<Snapshot>>);

/// A list, and what is known of it.
type Snapshot = (Arc<InstanceList>, Arc<[Known]>);

impl Endpoints {
    /// The endpoints of `list`.
    fn of(&self, list: &InstanceList) -> Arc<[Known]> {
        let mut endpoints = self.0.lock();
        endpoints.retain(|_, endpoint| endpoint.strong_count() > 0);
        let mut known = |instance: &Arc<Instance>| {
            let address = instance.address;
            let endpoint = endpoints.get(&address).and_then(Weak::upgrade).unwrap_or_else(|| Arc::new(Endpoint::new(address)));
            endpoints.insert(address, Arc::downgrade(&endpoint));
            Known { instance: instance.clone(), endpoint }
        };
        list.instances.iter().map(&mut known).collect()
    }

    /// Those that are held now.
    pub(super) fn held(&self) -> Vec<Arc<Endpoint>> {
        self.0.lock().values().filter_map(Weak::upgrade).collect()
    }
}

impl KnownList {
    /// The endpoints of `list`, those of the last call if it is the same list.
    pub(super) fn of(&self, list: &Arc<InstanceList>, endpoints: &Endpoints) -> Arc<[Known]> {
        let mut known = self.0.lock();
        if let Some((of, known)) = &*known
            && Arc::ptr_eq(of, list)
        {
            return known.clone();
        }
        let fresh = endpoints.of(list);
        let before = known.replace((list.clone(), fresh.clone()));
        drop(known);
        // Outside the lock: endpoints that are gone close their connections.
        drop(before);
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::{Discovery, StaticInstances};

    fn list(ports: impl IntoIterator<Item = u16>) -> Arc<InstanceList> {
        let addresses = ports.into_iter().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        StaticInstances::new().otherwise(addresses).instances("").borrow().clone()
    }

    #[test]
    fn addresses_of_instances_that_are_gone_are_forgotten() {
        let (endpoints, first, second) = (Endpoints::default(), KnownList::default(), KnownList::default());
        let shared = list([1]);
        let kept = second.of(&shared, &endpoints)[0].endpoint.clone();
        for port in 1..1_000 {
            let known = first.of(&list([1, port + 1]), &endpoints);
            assert!(Arc::ptr_eq(&known[0].endpoint, &kept), "two services share what is at one address");
        }
        assert!(endpoints.0.lock().len() <= 3, "{} are remembered", endpoints.0.lock().len());
        assert_eq!(endpoints.held().len(), 2);
    }
}
