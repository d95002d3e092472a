//! From a service's name to its instances, by the registry's own stream; and what is known instead where there are none.

use std::sync::Arc;

use settee::config::nearest;
use settee::error::codes;
use settee::registry::InstanceList;
use settee::registry::control::{ListUpdate, RegistryControl, RegistryControlClient};
use settee::rpc::{Channel, Channels, Discovery};
use settee::trace::Tracer;
use settee::{Context, Error, ErrorKind};
use tokio::sync::watch;

use super::input::Target;
use super::{Args, hint};
use crate::control::Control;
use crate::failure::Failure;

/// A channel to the instances of the target's service.
///
/// A registry that has just started may not have heard of them yet: it is given until it has, for at most half of the time.
pub(super) async fn channel(control: &Control, args: &Args) -> Result<Channel, Failure> {
    let target = &args.target;
    let client: RegistryControlClient = control.client();
    let list = first_list(&client, &target.service).await.map_err(|error| control.failed(error))?;
    if list.instances.is_empty() {
        return Err(nobody(control, &client, args).await);
    }
    let known = Known(watch::Sender::new(Arc::new(list)));
    Ok(Channels::new(Arc::new(known), Tracer::off()).channel(&target.service))
}

/// The instances of one service, as they were when they were asked for.
struct Known(watch::Sender<Arc<InstanceList>>);

impl Discovery for Known {
    fn instances(&self, _the_only_one: &str) -> watch::Receiver<Arc<InstanceList>> {
        self.0.subscribe()
    }
}

/// The first list that names somebody or is complete; what is known by then when neither comes.
async fn first_list(client: &RegistryControlClient, service: &str) -> Result<InstanceList, Error> {
    let mut updates = client.subscribe(service.to_owned()).await?;
    let mut list = InstanceList::default();
    let half = Context::current().remaining().unwrap_or_default() / 2;
    let looking = async {
        while let Some(update) = updates.next().await {
            list = match update? {
                ListUpdate::Snapshot(list) => list,
                ListUpdate::Delta(delta) => list.apply(&delta).map_err(Error::internal)?,
            };
            if list.complete || !list.instances.is_empty() {
                break;
            }
        }
        Ok::<_, Error>(())
    };
    if let Ok(ended) = tokio::time::timeout(half, looking).await {
        ended?;
    }
    Ok(list)
}

async fn nobody(control: &Control, client: &RegistryControlClient, args: &Args) -> Failure {
    let target = &args.target;
    let message = format!("call {target}: the server at {} knows no instance of {}", control.address(), target.service);
    let error = Failure::from(Error::new(ErrorKind::Unavailable, codes::NO_INSTANCE, message));
    let Ok(services) = client.services().await else { return error };
    let served = services.into_iter().filter(|service| !service.instances.is_empty()).map(|service| service.name);
    let served: Vec<_> = served.collect();
    if served.is_empty() {
        let error =
            error.with_note("no service is published there; is its application running, with this server in its settings?");
        return error.with_next(control.typed("settee ls services"));
    }
    let error =
        error.with_note(format!("services that are: {}", served.join(", "))).with_note("the server's own are called settee.*");
    match nearest(&target.service, served.iter().map(String::as_str)) {
        Some(service) => {
            error.with_note(hint::typed(args, &Target { service: service.to_owned(), ..target.clone() }, &args.arguments))
        }
        None => error.with_next(control.typed("settee ls services")),
    }
}
