//! The registry as a process uses it: one client, its publications, and a list for every service that it calls.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::backoff::Backoff;
use settee_core::registry::{Instance, InstanceList};
use settee_core::shutdown::{Shutdown, ShutdownTrigger, pair};
use settee_core::{Context, Error, env};
use tokio::sync::watch;

use super::cache::ListCache;
use super::control::RegistryControlClient;
use super::follow::{self, Followed};
use super::publisher::{self, PublicationGuard, Publisher};
use crate::rpc::Discovery;

/// Services that one process follows at most: their names come from its code, so more is a fault.
const SERVICES: usize = 4_096;

/// One call to the registry may take so long before it is repeated.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// The first wait before the registry is asked again, at most.
const AGAIN_FIRST: Duration = Duration::from_millis(50);

/// The longest wait: a registry that is back has everything back a second later.
const AGAIN_LAST: Duration = Duration::from_millis(800);

/// The registry, from a process that calls services and serves some. Cheap to clone; needs a running tokio runtime.
///
/// It follows every service that was asked for once, for as long as it lives. While the registry is away, it shows the last good
/// lists and goes on trying; what it publishes is published again as soon as the registry is back. When the last clone and the
/// last [`PublicationGuard`] are dropped, everything is withdrawn.
///
/// ```no_run
/// # async fn example(control: settee::registry::control::RegistryControlClient) -> Result<(), settee::Error> {
/// use settee::registry::{Instance, RegistryClient, RegistryOptions};
/// use settee::rpc::{Channels, Discovery};
///
/// let registry = RegistryClient::start(control, RegistryOptions::default());
/// let guard = registry.publish("pay.Account", Instance::new("10.0.0.7:7401".parse().unwrap(), "account"))?;
/// guard.published().await?;
/// println!("{} instances", registry.instances("pay.Payment").borrow().instances.len());
/// guard.withdraw().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RegistryClient(Arc<Handle>);

/// Ends the tasks with the last user.
pub(super) struct Handle {
    shared: Arc<Shared>,
    _stop: ShutdownTrigger,
}

/// What the tasks hold, too.
pub(super) struct Shared {
    pub(super) control: RegistryControlClient,
    pub(super) cache: Option<Arc<dyn ListCache>>,
    pub(super) publisher: Publisher,
    followed: Mutex<BTreeMap<String, Arc<Followed>>>,
    stopping: Shutdown,
}

/// How a client behaves.
#[derive(Clone, Default)]
pub struct RegistryOptions {
    /// Where last good lists are kept. Default: nowhere, so a process that starts while the registry is away knows nobody.
    pub cache: Option<Arc<dyn ListCache>>,
}

impl RegistryClient {
    /// A client of the registry behind `control`, which is reached at known addresses (`rpc::StaticInstances`) or in process.
    #[must_use]
    pub fn start(control: RegistryControlClient, options: RegistryOptions) -> Self {
        let (stop, stopping) = pair();
        let publisher = Publisher::new(env::wall_clock());
        let shared =
            Arc::new(Shared { control, cache: options.cache, publisher, followed: Mutex::default(), stopping: stopping.clone() });
        env::spawn(publisher::run(shared.clone(), stopping));
        Self(Arc::new(Handle { shared, _stop: stop }))
    }

    /// Registers `instance` as one of `service` and keeps it registered until the guard is withdrawn or dropped. Call it once the
    /// instance listens: the registry may try to connect.
    ///
    /// # Errors
    /// `Invalid` (`REG0001`) when others could not use the instance, `Limited` (`REG0002`) when this client holds too many. That
    /// the registry took it is told by [`PublicationGuard::published`].
    pub fn publish(&self, service: &str, instance: Instance) -> Result<PublicationGuard, Error> {
        let publication = self.0.shared.publisher.add(service, instance)?;
        Ok(PublicationGuard::new(publication, self.0.clone()))
    }

    /// How old the list of `service` is: zero while the registry keeps it complete and up to date, otherwise the time since then,
    /// restarts of this process included. `None` when there never was such a list.
    #[must_use]
    pub fn age(&self, service: &str) -> Option<Duration> {
        self.0.shared.followed.lock().get(service)?.age(env::wall_clock())
    }

    /// The number under which this process publishes: a process that starts later has a larger one.
    #[must_use]
    pub fn publisher(&self) -> u64 {
        self.0.shared.publisher.id()
    }

    /// The control calls themselves, for tools.
    #[must_use]
    pub fn control(&self) -> &RegistryControlClient {
        &self.0.shared.control
    }
}

impl Discovery for RegistryClient {
    fn instances(&self, service: &str) -> watch::Receiver<Arc<InstanceList>> {
        let shared = &self.0.shared;
        let mut followed = shared.followed.lock();
        if let Some(followed) = followed.get(service) {
            return followed.subscribe();
        }
        if followed.len() >= SERVICES {
            tracing::error!(service, limit = SERVICES, "this process follows too many services: this one is not followed");
            return watch::Sender::default().subscribe();
        }
        let fresh = Arc::new(Followed::default());
        let list = fresh.subscribe();
        followed.insert(service.to_owned(), fresh.clone());
        drop(followed);
        let (following, stopping) = (follow::run(shared.clone(), service.to_owned(), fresh), shared.stopping.clone());
        env::spawn(async move { stopping.or(following).await });
        list
    }
}

impl Handle {
    pub(super) fn publisher(&self) -> &Publisher {
        &self.shared.publisher
    }
}

impl fmt::Debug for RegistryClient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let followed = self.0.shared.followed.lock();
        out.debug_struct("RegistryClient").field("follows", &followed.keys()).finish_non_exhaustive()
    }
}

impl fmt::Debug for RegistryOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RegistryOptions").field("cache", &self.cache.is_some()).finish()
    }
}

/// Runs a call as settee's control traffic, whoever's work made it needed.
pub(super) async fn in_call_context<F: Future>(call: F) -> F::Output {
    Context::control("settee.registry", CALL_TIMEOUT).scope(call).await
}

/// The waits of a loop that asks the registry.
pub(super) fn backoff() -> Backoff {
    Backoff::new(AGAIN_FIRST, AGAIN_LAST)
}
