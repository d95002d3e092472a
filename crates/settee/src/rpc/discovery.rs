//! Where a channel learns who serves a service.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use settee_core::Instant;
use settee_core::registry::{Instance, InstanceList, PublicationId};
use tokio::sync::watch;
use tokio::time::timeout_at;

/// A source of instance lists. Implemented by the registry's client, by the server's own registry and by [`StaticInstances`].
pub trait Discovery: Send + Sync + 'static {
    /// The list of `service`, now and as it changes. A service that nobody serves has an empty list, of a version or complete;
    /// before anything is known it is [`InstanceList::default()`], and calls wait for the first list as long as they may.
    fn instances(&self, service: &str) -> watch::Receiver<Arc<InstanceList>>;
}

/// Whether nothing was ever heard of the service: that nobody serves it would be said otherwise.
pub(super) fn is_unheard(list: &InstanceList) -> bool {
    *list == InstanceList::default()
}

/// Waits for the first list, where none has come yet. `false`: there was nothing to wait for, or it did not come in time.
pub(super) async fn first_list(mut lists: watch::Receiver<Arc<InstanceList>>, deadline: Option<Instant>) -> bool {
    if !is_unheard(&lists.borrow()) {
        return false;
    }
    let heard = async { lists.wait_for(|list| !is_unheard(list)).await.is_ok() };
    match deadline {
        Some(deadline) => timeout_at(deadline, heard).await.unwrap_or(false),
        None => heard.await,
    }
}

/// Instances at addresses that never change: for tests, tools and the way to the registry itself.
///
/// ```
/// use settee::rpc::{Discovery, StaticInstances};
///
/// let known = StaticInstances::new().with("settee.Registry", ["127.0.0.1:7400".parse().unwrap()]);
/// assert_eq!(known.instances("settee.Registry").borrow().instances.len(), 1);
/// ```
#[derive(Debug)]
pub struct StaticInstances {
    services: BTreeMap<String, watch::Sender<Arc<InstanceList>>>,
    others: watch::Sender<Arc<InstanceList>>,
}

impl StaticInstances {
    /// No instances.
    #[must_use]
    pub fn new() -> Self {
        Self { services: BTreeMap::new(), others: watch::Sender::new(list([])) }
    }

    /// The same, with the instances of one service.
    #[must_use]
    pub fn with(mut self, service: &str, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.services.insert(service.to_owned(), watch::Sender::new(list(addresses)));
        self
    }

    /// The same, with the instances of every service that is not named by [`StaticInstances::with`].
    #[must_use]
    pub fn otherwise(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.others = watch::Sender::new(list(addresses));
        self
    }
}

impl Default for StaticInstances {
    fn default() -> Self {
        Self::new()
    }
}

impl Discovery for StaticInstances {
    fn instances(&self, service: &str) -> watch::Receiver<Arc<InstanceList>> {
        self.services.get(service).unwrap_or(&self.others).subscribe()
    }
}

fn list(addresses: impl IntoIterator<Item = SocketAddr>) -> Arc<InstanceList> {
    let instances = addresses.into_iter().map(|address| {
        Arc::new(Instance {
            address,
            application: String::new(),
            weight: Instance::DEFAULT_WEIGHT,
            share: None,
            metadata: BTreeMap::new(),
            publication: PublicationId::default(),
        })
    });
    Arc::new(InstanceList { instances: instances.collect(), complete: true, ..InstanceList::default() })
}
