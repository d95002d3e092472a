//! Putting an application together.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde::de::DeserializeOwned;
use settee_core::shutdown::Shutdown;
use settee_core::{Error, env};

use super::pages::{CountCalls, Metrics};
use super::process::{announce, command_line, stop_signal};
use super::ready::Condition;
use super::running::{Background, Running, WhenStopped};
use crate::config::Settings;
use crate::flow::control::FlowControlClient;
use crate::flow::{Flow, ServerFlow, follow};
use crate::job::{Job, JobControlClient, Worker};
use crate::mq::{Consumer, ConsumerOptions, MessageControlClient, MessageHandler, Messages, OutboxSource, Relay};
use crate::registry::control::RegistryControlClient;
use crate::registry::{FolderCache, ListCache, RegistryClient, RegistryOptions};
use crate::rpc::{ChannelOptions, Channels, Filter, HttpPages, Service, ServiceClient, Services, StaticInstances};
use crate::trace::control::TraceControlClient;
use crate::trace::{FinishedSpans, ServerSpans, Tracer, export};
use crate::txn::{Participant, TransactionControlClient, Transactions};

/// An application on its way to becoming a process.
///
/// ```no_run
/// # use settee::app::App;
/// # async fn start() -> settee::Result<()> {
/// #[derive(serde::Deserialize)]
/// struct Config {
///     greeting: String,
/// }
/// let (app, config) = App::from_command_line::<Config>("greeter")?;
/// println!("{}", config.greeting);
/// app.run().await
/// # }
/// ```
pub struct App {
    pub(super) name: Arc<str>,
    pub(super) settings: Settings,
    pub(super) parts: Parts,
    pub(super) registry: RegistryClient,
    pub(super) metrics: Arc<Metrics>,
    pub(super) pages: Arc<dyn HttpPages>,
    channels: Channels,
    control: Channels,
    tracer: Tracer,
    flow: Flow,
    messages: Messages,
}

/// What the application is made of, in the order of its start.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) services: Services,
    pub(super) background: Vec<Background>,
    pub(super) conditions: Vec<Condition>,
    pub(super) published: Vec<&'static str>,
    pub(super) jobs: Vec<Job>,
    pub(super) when_stopped: Vec<WhenStopped>,
}

impl App {
    /// An application called `name`, with nothing to serve yet. Must be called on a runtime.
    ///
    /// # Errors
    /// `Invalid` (`APP0002`) for settings that make no sense.
    pub fn new(name: &str, settings: Settings) -> Result<Self, Error> {
        settings.parsed_share()?;
        let server = || Arc::new(StaticInstances::new().otherwise([settings.server]));
        let untraced = Channels::new(server(), Tracer::off());
        let process = format!("{name}@{:08x}", env::random_u64() >> 32);
        let (tracer, finished) = if settings.trace { traced(name, &process) } else { (Tracer::off(), None) };
        let control = Channels::new(server(), tracer.clone());
        let registry = RegistryClient::start(untraced.client::<RegistryControlClient>(), registry_options(&settings));
        let flow = Flow::new();
        let options = ChannelOptions { flow: flow.clone(), balancer: settings.balancer };
        let channels = Channels::with_options(Arc::new(registry.clone()), tracer.clone(), options);
        let messages = Messages::new(control.client::<MessageControlClient>(), tracer.clone());
        let (name, parts, metrics, pages) = (name.into(), Parts::default(), Arc::default(), Arc::new(()));
        let mut app = Self { name, settings, parts, registry, metrics, pages, channels, control, tracer, flow, messages };
        app.add_filters();
        app.follow_flow_rules(&untraced);
        if let Some(finished) = finished {
            app.export_spans(&untraced, finished);
        }
        Ok(app)
    }

    /// Reads the command line, the environment and the configuration file, and builds the application.
    ///
    /// # Errors
    /// `Invalid`: `APP0001` for a key or flag that nobody knows, `APP0002` for a value that cannot be read.
    pub fn from_command_line<C: DeserializeOwned>(name: &str) -> Result<(Self, C), Error> {
        let (settings, config) = command_line(name)?;
        Ok((Self::new(name, settings)?, config))
    }

    /// Serves `service`, and publishes it once the process is ready.
    #[must_use]
    pub fn serve(mut self, service: impl Service) -> Self {
        self.add(Arc::new(service));
        self
    }

    /// Takes part in global transactions: serves the branch, and asks about tries that nobody finished.
    #[must_use]
    pub fn participate(mut self, participant: impl Participant) -> Self {
        let participant = Arc::new(participant);
        self.add(participant.clone());
        let control = self.control.client::<TransactionControlClient>();
        self.in_background(move |shutdown| participant.sweep(control, shutdown));
        self
    }

    /// Runs `handler` for the messages of `topic`, as a member of `group`.
    #[must_use]
    pub fn consume(mut self, topic: &str, group: &str, handler: impl MessageHandler) -> Self {
        let (messages, topic, group) = (self.messages.clone(), topic.to_owned(), group.to_owned());
        self.in_background(move |shutdown| {
            Box::pin(async move {
                let consumer = Consumer::subscribe(&messages, &topic, &group, handler, ConsumerOptions::default());
                shutdown.requested().await;
                consumer.stop().await;
            })
        });
        self
    }

    /// Publishes what this application's own commits leave in the outbox of its database.
    #[must_use]
    pub fn outbox(mut self, source: impl OutboxSource) -> Self {
        // A database that belongs to one share belongs to one producer: its name must survive restarts.
        let name = match &self.settings.share {
            Some(share) => format!("{}.{}.outbox", self.name, share.replace('/', "-of-")),
            None => format!("{}.outbox", self.name),
        };
        let relay = Relay::new(&self.messages, source, &name);
        self.in_background(move |shutdown| Box::pin(async move { relay.run(shutdown).await }));
        self
    }

    /// Runs `job` when it is due.
    #[must_use]
    pub fn job(mut self, job: Job) -> Self {
        self.add(Arc::new(Worker::new(&job).publisher(self.registry.publisher())));
        self.parts.jobs.push(job);
        self
    }

    /// Adds a filter behind tracing, metrics and flow rules.
    #[must_use]
    pub fn filter(mut self, filter: impl Filter) -> Self {
        self.parts.services.filter(Arc::new(filter));
        self
    }

    /// Shows `pages` beside `/health/live`, `/health/ready`, `/info` and `/metrics`.
    #[must_use]
    pub fn pages(mut self, pages: impl HttpPages) -> Self {
        self.pages = Arc::new(pages);
        self
    }

    /// A client of any service that the registry knows.
    #[must_use]
    pub fn client<C: ServiceClient>(&self) -> C {
        self.channels.client()
    }

    /// A client of a control service, such as [`JobControlClient`], at the server that the settings name.
    #[must_use]
    pub fn control<C: ServiceClient>(&self) -> C {
        self.control.client()
    }

    /// Begins global transactions.
    #[must_use]
    pub fn transactions(&self) -> Transactions {
        Transactions::new(self.control(), &self.name)
    }

    /// Sends and consumes messages.
    #[must_use]
    pub fn messages(&self) -> Messages {
        self.messages.clone()
    }

    /// Opens spans of this process's own.
    #[must_use]
    pub fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// The flow rules of this process.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.flow.clone()
    }

    /// Holds the process back until `check` says yes for the first time: until then `/health/ready` answers 503 and nothing is
    /// published, so that nobody is sent here by the registry or by a balancer. For what a service must have before its first call,
    /// such as a cache that is filled. Asked five times a second and not any more once it said yes; several must all say yes.
    ///
    /// ```
    /// # use settee::app::App;
    /// # fn warm(app: App) -> App {
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// let is_warm = Arc::new(AtomicBool::new(false));
    /// let check = is_warm.clone();
    /// app.background(|_shutdown| async move { is_warm.store(true, Ordering::Release) })
    ///     .ready_when("the cache is warm", move || std::future::ready(check.load(Ordering::Acquire)))
    /// # }
    /// ```
    #[must_use]
    pub fn ready_when<F>(mut self, condition: &str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        self.parts.conditions.push(Condition::new(condition, check));
        self
    }

    /// Starts everything, in order. When this returns the process is ready, and published if the registry answered: one that is away
    /// is waited for two seconds and no longer, since the services here work without it and are published once it is back.
    ///
    /// # Errors
    /// `APP0003` when the address cannot be listened on, `REG0001` or `REG0002` when it cannot be published; nothing is left running
    /// then.
    ///
    /// # Cancel safety
    /// Dropped, what was started stops without a drain.
    pub async fn start(self) -> Result<Running, Error> {
        Running::start(self).await
    }

    /// Starts, [announces](announce) on stdout where it serves, runs until SIGTERM or Ctrl-C, and stops in order.
    ///
    /// # Errors
    /// As [`App::start`].
    ///
    /// # Cancel safety
    /// Dropped, it stops without a drain.
    pub async fn run(self) -> Result<(), Error> {
        // A signal ends the wait for a condition too.
        let running = tokio::select! {
            started = self.start() => started?,
            () = stop_signal() => return Ok(()),
        };
        announce(running.address());
        running.until_signal().await;
        Ok(())
    }

    pub(super) fn job_control(&self) -> JobControlClient {
        self.control.client()
    }

    fn add(&mut self, service: Arc<dyn Service>) {
        self.parts.published.push(service.descriptor().name);
        self.parts.services.add(service);
    }

    /// The column of every call, those of the user behind them.
    fn add_filters(&mut self) {
        let services = &mut self.parts.services;
        services.filter(Arc::new(ServerSpans::new(self.tracer.clone())));
        services.filter(Arc::new(CountCalls::new(self.metrics.clone())));
        services.filter(Arc::new(ServerFlow::new(self.flow.clone())));
    }

    fn follow_flow_rules(&mut self, untraced: &Channels) {
        let (flow, name) = (self.flow.clone(), self.name.to_string());
        let control = untraced.client::<FlowControlClient>();
        self.in_background(move |shutdown| Box::pin(follow(flow, control, name, shutdown)));
    }

    fn export_spans(&mut self, untraced: &Channels, finished: FinishedSpans) {
        let collector = untraced.client::<TraceControlClient>();
        let lost = Arc::new(AtomicU64::new(0));
        self.in_background(move |shutdown| Box::pin(export(finished, collector, lost, shutdown)));
    }

    /// Runs `start` beside the services, from the start until the shutdown that it is given.
    #[must_use]
    pub fn background<F>(mut self, start: impl FnOnce(Shutdown) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.in_background(move |shutdown| Box::pin(start(shutdown)));
        self
    }

    /// Runs `end` last in a stop, when no call and nothing beside the services runs any more: to close what they used.
    #[must_use]
    pub fn when_stopped<F>(mut self, end: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.parts.when_stopped.push(Box::new(move || Box::pin(end())));
        self
    }

    fn in_background(&mut self, start: impl FnOnce(Shutdown) -> crate::expand::BoxFuture<'static, ()> + Send + 'static) {
        self.parts.background.push(Box::new(start));
    }
}

fn registry_options(settings: &Settings) -> RegistryOptions {
    let cache = settings.cache.as_ref().map(|folder| Arc::new(FolderCache::new(folder)) as Arc<dyn ListCache>);
    RegistryOptions { cache }
}

fn traced(name: &str, process: &str) -> (Tracer, Option<FinishedSpans>) {
    let (tracer, finished) = Tracer::new(name, process);
    (tracer, Some(finished))
}
