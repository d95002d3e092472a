//! What the registry answers.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use settee_core::registry::{Delta, Instance, InstanceList, ListVersion, PublicationId};

use crate::rpc::{Page, Whole};
use crate::{Reply, Updates, service};

/// The service name of the registry, whose own list anyone may follow: its stream tells whether the registry is there.
pub const SERVICE: &str = "settee.Registry";

/// How long a network session may say nothing before the registry no longer counts on it: what it holds becomes orphans, which
/// stay listed as long as they can be reached. A publisher repeats its publications at least three times within it.
pub const SILENCE_MS: u64 = 15_000;

/// Registers an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// The service that it serves.
    pub service: String,
    /// Where, and which publication this is.
    pub instance: Instance,
}

/// What a publication came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// A version of the list that has it.
    pub version: ListVersion,
}

/// Deregisters an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// The service.
    pub service: String,
    /// Where it was served.
    pub address: SocketAddr,
    /// The publication that ends; older ones of the address end with it.
    pub publication: PublicationId,
}

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListUpdate {
    /// The whole list: first, and whenever it is less to send than the changes.
    Snapshot(InstanceList),
    /// The changes since what was sent before.
    Delta(Delta),
}

/// A service as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// Who serves it.
    pub instances: Vec<Arc<Instance>>,
    /// The version of the list.
    pub version: ListVersion,
    /// Whether the registry knows that nobody is missing.
    pub complete: bool,
    /// Sessions and in-process callers that follow it.
    pub subscribers: usize,
    /// Of the instances, those that no session speaks for: they are being probed.
    pub orphans: Vec<SocketAddr>,
}

/// Knows who serves what. Served by `settee server`.
#[service("settee.Registry")]
pub trait RegistryControl {
    /// Registers an instance; the session of the call holds it. Repeats change nothing and are what keeps a network session
    /// from being taken as silent.
    ///
    /// `Invalid` (`REG0001`) when others could not use the instance, `Conflict` (`REG0001`) when a newer publication of its
    /// address stands, `Limited` (`REG0002`) when the registry is full. None of them changed anything.
    #[rpc(idempotent)]
    async fn publish(&self, publish: Publish) -> Reply<Published>;

    /// Deregisters an instance, whichever session holds it. Answered once the change was sent to every subscriber of this server,
    /// or once that took a second.
    #[rpc(idempotent)]
    async fn withdraw(&self, withdraw: Withdraw) -> Reply<()>;

    /// The list of a service: a snapshot, then what changes. A reader that is behind gets the newest state in one step.
    async fn subscribe(&self, service: String) -> Reply<Updates<ListUpdate>>;

    /// A page of the services behind the name `after` that someone serves or follows, by name.
    #[rpc(idempotent)]
    async fn service_page(&self, after: Option<String>) -> Reply<Page<ServiceView>>;
}

impl RegistryControlClient {
    /// Every service that someone serves or follows, by name, page after page.
    ///
    /// # Errors
    /// Those of a call; nothing is changed.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn services(&self) -> Reply<Vec<ServiceView>> {
        let mut services = Whole::new();
        while services.add(self.service_page(services.after()).await?)? {}
        Ok(services.items)
    }
}
