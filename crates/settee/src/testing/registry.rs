//! Who serves what: publications that sessions hold, lists that are pushed.
//!
//! Lists are complete from the start, every push is a whole list, and whoever loses its session is gone at once. Left out: probes
//! and sessions that fall silent, because nothing breaks a connection here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::Epoch;
use settee_core::registry::{Instance, InstanceList, ListVersion};
use settee_core::{Error, env};
use tokio::sync::watch;

use super::not_in_a_test;
use super::system::IDLE;
use crate::registry::control::{ListUpdate, Publish, Published, RegistryControl, ServiceView, Withdraw};
use crate::rpc::{Discovery, Page, Session, UpdateSender, updates};
use crate::{Reply, Updates};

/// Lists that a subscriber may be sent ahead of its reading: one, because a newer list replaces it.
const AHEAD: usize = 1;

/// The registry of a system. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Registry(Arc<Mutex<BTreeMap<String, watch::Sender<Arc<InstanceList>>>>>);

impl Registry {
    fn list<T>(&self, service: &str, look: impl FnOnce(&watch::Sender<Arc<InstanceList>>) -> T) -> T {
        let mut lists = self.0.lock();
        look(lists.entry(service.to_owned()).or_insert_with(|| {
            let version = ListVersion { epoch: Epoch(1), n: 0 };
            watch::Sender::new(Arc::new(InstanceList { version, instances: Vec::new(), complete: true }))
        }))
    }

    /// Takes away what is listed at `address`, puts `instance` in its place, and tells everybody who follows the list.
    fn replace(&self, service: &str, address: SocketAddr, instance: Option<Arc<Instance>>) -> ListVersion {
        self.list(service, |shown| {
            shown.send_modify(|list| {
                let list = Arc::make_mut(list);
                list.instances.retain(|listed| listed.address != address);
                list.instances.extend(instance);
                list.instances.sort_by_key(|listed| listed.address);
                list.version.n += 1;
            });
            shown.borrow().version
        })
    }

    /// What a session holds ends with it.
    async fn remove_after(self, session: Session, service: String, instance: Arc<Instance>) {
        session.closed().await;
        let is_listed = self.instances(&service).borrow().instances.contains(&instance);
        if is_listed {
            self.replace(&service, instance.address, None);
        }
    }
}

impl Discovery for Registry {
    fn instances(&self, service: &str) -> watch::Receiver<Arc<InstanceList>> {
        self.list(service, watch::Sender::subscribe)
    }
}

impl RegistryControl for Registry {
    async fn publish(&self, publish: Publish) -> Reply<Published> {
        let Publish { service, instance } = publish;
        instance.check().map_err(|bad| refused(&service, &bad.to_string()))?;
        let session = Session::current().ok_or_else(|| refused(&service, "no session holds it"))?;
        let list = self.instances(&service).borrow().clone();
        if list.instances.iter().any(|listed| **listed == instance) {
            return Ok(Published { version: list.version });
        }
        let instance = Arc::new(instance);
        let version = self.replace(&service, instance.address, Some(instance.clone()));
        env::spawn(self.clone().remove_after(session, service, instance));
        Ok(Published { version })
    }

    async fn withdraw(&self, withdraw: Withdraw) -> Reply<()> {
        self.replace(&withdraw.service, withdraw.address, None);
        // Answered once every subscriber was told: a drain relies on it.
        tokio::time::sleep(IDLE).await;
        Ok(())
    }

    async fn subscribe(&self, service: String) -> Reply<Updates<ListUpdate>> {
        let (sender, updates) = updates(AHEAD);
        env::spawn(push(self.instances(&service), sender));
        Ok(updates)
    }

    async fn service_page(&self, _: Option<String>) -> Reply<Page<ServiceView>> {
        Err(not_in_a_test("list services").into())
    }
}

async fn push(mut lists: watch::Receiver<Arc<InstanceList>>, sender: UpdateSender<ListUpdate>) {
    lists.mark_changed();
    loop {
        tokio::select! {
            changed = lists.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
        }
        let newest = lists.borrow_and_update().as_ref().clone();
        if sender.send(ListUpdate::Snapshot(newest)).await.is_err() {
            return;
        }
    }
}

fn refused(service: &str, why: &str) -> Error {
    Error::new(ErrorKind::Invalid, codes::BAD_PUBLICATION, format!("publish {service}: {why}"))
}
