//! Whether somebody listens at an address: one TCP connection, closed at once.

use std::net::SocketAddr;
use std::time::Duration;

use settee_core::env;
use settee_core::registry::Event;

use super::Registry;

/// A host that does not answer within this time counts as not reached: far above any round trip between data centres.
const TIMEOUT: Duration = Duration::from_secs(1);

impl Registry {
    /// Probes `address` and reports. The rule has at most one probe of an address under way, so there are no more tasks than
    /// instances.
    pub(super) fn start_probe(&self, service: &str, address: SocketAddr) {
        let (registry, service) = (self.clone(), service.to_owned());
        env::spawn(async move { registry.0.shutdown.or(registry.probe(&service, address)).await });
    }

    async fn probe(&self, service: &str, address: SocketAddr) {
        let Ok(_one_of_few) = self.0.probes.acquire().await else { return };
        let reached = matches!(tokio::time::timeout(TIMEOUT, env::connect(address)).await, Ok(Ok(_)));
        let event = if reached { Event::ProbeSucceeded { address } } else { Event::ProbeFailed { address } };
        if let Err(error) = self.apply(&mut self.0.state.lock(), service, event) {
            tracing::debug!(service, %error, "report a probe");
        }
    }
}
