//! Following the rules of an application: hot reload, and the last good rules while their keeper is away.

use std::time::Duration;

use settee_core::Context;
use settee_core::context::Criticality;
use settee_core::shutdown::Shutdown;

use super::control::{FlowControl, FlowControlClient};
use super::limits::Flow;

/// Between two tries to follow.
const AGAIN: Duration = Duration::from_millis(500);

/// Keeps `flow` at the rules of `application` until the shutdown. Never fails: without their keeper the last rules stay in force.
///
/// # Cancel safety
/// Dropped, the last rules stay in force.
pub async fn follow(flow: Flow, control: FlowControlClient, application: String, shutdown: Shutdown) {
    let following = async {
        loop {
            // The rules are what ends an overload, so they must not wait behind it.
            let context = Context { criticality: Criticality::Control, ..Context::root("settee.flow") };
            match context.scope(control.follow(application.clone())).await {
                Ok(mut updates) => {
                    while let Some(Ok(rules)) = updates.next().await {
                        if let Err(error) = flow.replace(&rules) {
                            tracing::warn!(%error, generation = rules.generation, "the rules before stay in force");
                        }
                    }
                }
                Err(fault) => tracing::debug!(%fault, "follow the flow rules"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    let _stopped: Option<()> = shutdown.or(following).await;
}
