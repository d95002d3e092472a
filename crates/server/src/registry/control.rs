//! The calls of `settee.Registry`.

use std::sync::Arc;
use std::time::Duration;

use settee::registry::control::{ListUpdate, Publish, Published, RegistryControl, ServiceView, Withdraw};
use settee::rpc::{Page, Session};
use settee::{Reply, Updates};
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use settee_core::registry::{Event, ListVersion, PublicationId};
use tokio::sync::watch;

use super::Registry;

/// How long a withdrawal waits for slow subscribers: they have callers that find out by themselves, a drain has a deadline.
const WITHDRAW_WAIT: Duration = Duration::from_secs(1);

impl RegistryControl for Registry {
    async fn publish(&self, publish: Publish) -> Reply<Published> {
        let Publish { service, instance } = publish;
        let session = Session::current().ok_or_else(|| refused(&service, "no session holds it"))?;
        instance.check().map_err(|bad| refused(&service, &bad.to_string()))?;
        let event = Event::Published { instance: Arc::new(instance), holder: self.holder(&session) };
        let mut state = self.0.state.lock();
        self.apply(&mut state, &service, event)?;
        self.note_session(&mut state, &session, &service);
        Ok(Published { version: state.version(&service) })
    }

    async fn withdraw(&self, withdraw: Withdraw) -> Reply<()> {
        let Withdraw { service, address, publication } = withdraw;
        let (version, subscribers) = {
            let mut state = self.0.state.lock();
            self.apply(&mut state, &service, Event::Withdrawn { address, publication })?;
            (state.version(&service), state.subscribers(&service))
        };
        if tokio::time::timeout(WITHDRAW_WAIT, all_sent(subscribers, version)).await.is_err() {
            tracing::info!(service, %address, "withdrawn; some subscribers are too slow to be waited for");
        }
        Ok(())
    }

    async fn subscribe(&self, service: String) -> Reply<Updates<ListUpdate>> {
        Ok(self.start_subscriber(service)?)
    }

    async fn service_page(&self, after: Option<String>) -> Reply<Page<ServiceView>> {
        Ok(self.0.state.lock().page(after))
    }
}

/// Waits until every subscriber was sent `version` or is gone.
async fn all_sent(subscribers: Vec<watch::Receiver<ListVersion>>, version: ListVersion) {
    for mut sent in subscribers {
        let _gone_needs_no_update = sent.wait_for(|sent| *sent >= version).await;
    }
}

pub(super) fn superseded(service: &str, by: PublicationId) -> Error {
    let message = format!("publish {service}: publication {by} of the address is newer, or it was withdrawn");
    Error::new(ErrorKind::Conflict, codes::BAD_PUBLICATION, message)
}

fn refused(service: &str, why: &str) -> Error {
    Error::new(ErrorKind::Invalid, codes::BAD_PUBLICATION, format!("publish {service}: {why}"))
}
