//! An application that runs, and how it starts and stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use settee_core::registry::Instance;
use settee_core::shutdown::{Shutdown, ShutdownTrigger, pair};
use settee_core::{Error, env};
use std::net::SocketAddr;

use super::builder::{App, Parts};
use super::pages::ProcessPages;
use super::process::stop_signal;
use super::ready::all_hold;
use super::register::register;
use crate::expand::BoxFuture;
use crate::registry::PublicationGuard;
use crate::rpc::{Listening, ServerConfig};

/// Something that runs beside the services until the shutdown.
pub(super) type Background = Box<dyn FnOnce(Shutdown) -> BoxFuture<'static, ()> + Send>;

/// What is run last in a stop.
pub(super) type WhenStopped = Box<dyn FnOnce() -> BoxFuture<'static, Result<(), Error>> + Send>;

/// How long a start waits for the registry to take what is published. One that is there does within milliseconds, and one that was
/// started again within a second, the longest pause of the publisher; whoever waits longer waits for one that is away.
const PUBLISHED: Duration = Duration::from_secs(2);

/// How long parts that run beside the services may take to end, and each thing that is closed after them.
const STOP: Duration = Duration::from_secs(5);

/// A started application. Dropping it stops it without a drain.
pub struct Running {
    listening: Listening,
    published: Vec<PublicationGuard>,
    ready: Arc<AtomicBool>,
    stop: ShutdownTrigger,
    background: Vec<env::JoinHandle<()>>,
    when_stopped: Vec<WhenStopped>,
}

impl Running {
    pub(super) async fn start(app: App) -> Result<Self, Error> {
        let ready = Arc::new(AtomicBool::new(false));
        let mut names = app.parts.published.clone();
        names.sort_unstable();
        let pages = ProcessPages::new(&app.name, names, ready.clone(), app.metrics.clone(), app.pages.clone());
        let allowed_hosts = app.settings.allowed_hosts.clone();
        let config = ServerConfig { drain: app.settings.drain(), allowed_hosts, ..ServerConfig::default() };
        let job_control = app.job_control();
        let instance = instance(&app)?;
        let Parts { services, background, conditions, published, jobs, when_stopped } = app.parts;
        let listening = Listening::start(app.settings.listen, Arc::new(services), Arc::new(pages), config).await?;
        let (stop, stopping) = pair();
        let mut background: Vec<_> = background.into_iter().map(|start| env::spawn(start(stopping.clone()))).collect();
        all_hold(conditions).await;
        ready.store(true, Ordering::Release);
        let instance = Instance { address: listening.address(), ..instance };
        let publish = |service: &&'static str| app.registry.publish(service, instance.clone());
        let published = published.iter().map(publish).collect::<Result<Vec<_>, _>>()?;
        let registrations = jobs.iter().map(|job| job.registration(&app.name));
        background.extend(registrations.map(|job| env::spawn(register(job, job_control.clone(), stopping.clone()))));
        taken(&published).await;
        tracing::info!(application = %app.name, address = %listening.address(), "ready");
        Ok(Self { listening, published, ready, stop, background, when_stopped })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Waits for SIGTERM or Ctrl-C, then stops in order.
    ///
    /// # Cancel safety
    /// Dropped, it stops without a drain.
    pub async fn until_signal(self) {
        stop_signal().await;
        self.stop().await;
    }

    /// Stops in order: withdraws, drains calls, ends what runs beside them, closes what they used.
    ///
    /// # Cancel safety
    /// Dropped halfway, the rest stops without a drain.
    pub async fn stop(self) {
        self.ready.store(false, Ordering::Release);
        let withdrawn = futures::future::join_all(self.published.into_iter().map(PublicationGuard::withdraw)).await;
        if let Some(error) = withdrawn.into_iter().find_map(Result::err) {
            tracing::warn!(%error, "stop without the registry's acknowledgement");
        }
        self.listening.drain().await;
        self.stop.stop();
        let all = futures::future::join_all(self.background);
        if tokio::time::timeout(STOP, all).await.is_err() {
            tracing::warn!("a part of the application did not end in time");
        }
        for end in self.when_stopped {
            match tokio::time::timeout(STOP, end()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "close what the application used"),
                Err(_) => tracing::warn!("something that the application used did not close in time"),
            }
        }
    }
}

/// Waits for the registry, as long as it makes sense. A publication that is refused is logged and tried again where it is made.
async fn taken(published: &[PublicationGuard]) {
    let all = futures::future::join_all(published.iter().map(PublicationGuard::published));
    if tokio::time::timeout(PUBLISHED, all).await.is_err() {
        tracing::warn!("the registry is away: this instance is published once it is back");
    }
}

fn instance(app: &App) -> Result<Instance, Error> {
    Ok(Instance {
        address: app.settings.listen,
        application: app.name.to_string(),
        weight: app.settings.weight,
        share: app.settings.parsed_share()?,
        metadata: std::collections::BTreeMap::new(),
        publication: settee_core::registry::PublicationId::default(),
    })
}
