//! One process that coordinates: engines, shards, components and the listener, started in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use settee::app::{Metrics, ProcessPages};
use settee::flow::control::FlowControlServer;
use settee::job::JobControlServer;
use settee::mq::MessageControlServer;
use settee::registry::control::RegistryControlServer;
use settee::rpc::{AllowedHosts, Channels, HttpPages, Listening, ServerConfig, Service, Services};
use settee::trace::control::{TraceControlClient, TraceControlServer};
use settee::trace::{ServerSpans, Tracer, export};
use settee::txn::TransactionControlServer;
use settee_core::id::{FencingToken, ShardId};
use settee_core::port::{Disk, Kv, Log};
use settee_core::shutdown::{ShutdownTrigger, pair};
use settee_core::{Error, env};
use settee_engines::embedded::{EmbeddedKv, EmbeddedLog, FileDisk, Folder, LogOptions};

use crate::console::{Console, Sources};
use crate::flow::FlowRules;
use crate::gauge::Gauge;
use crate::job::Jobs;
use crate::mq::Broker;
use crate::registry::{Registry, RegistryConfig};
use crate::shard::Shards;
use crate::trace::Traces;
use crate::txn::{ChannelParticipants, Coordinator};

/// The application name of a server, in traces and `/info`.
const NAME: &str = "settee-server";

/// Where a server keeps what it remembers.
pub struct Engines {
    /// The state.
    pub kv: Arc<dyn Kv>,
    /// The log.
    pub log: Arc<dyn Log>,
    embedded: Option<Embedded>,
}

/// Engines that this server opened, and closes when it stops.
struct Embedded {
    kv: Arc<EmbeddedKv>,
    log: Arc<EmbeddedLog>,
    /// Held as long as the engines are used.
    _folder: Folder,
}

impl Engines {
    /// Engines that are open already.
    #[must_use]
    pub fn new(kv: Arc<dyn Kv>, log: Arc<dyn Log>) -> Self {
        Self { kv, log, embedded: None }
    }

    /// The embedded engines in the folder at `path`, made if it is missing.
    ///
    /// # Errors
    /// Coded, each with the path and what to do: `STO0003` newer data, `STO0004` another process, `STO0005` a read-only folder,
    /// `STO0001` no room, `STO0002` damage.
    ///
    /// # Cancel safety
    /// The folder is let go when the work that was begun has ended.
    pub async fn embedded(path: &Path) -> Result<Self, Error> {
        let place = path.to_owned();
        let disk =
            env::blocking(move || FileDisk::open(&place).map_err(|error| crate::folder::cannot_open(&place, &error))).await?;
        let opened = Self::on_disk(Arc::new(disk), LogOptions::default()).await;
        opened.map_err(|error| crate::folder::cannot_use(path, &error))
    }

    /// The embedded engines on a disk, whose log keeps its files as `log` says.
    ///
    /// # Errors
    /// As [`Engines::embedded`].
    ///
    /// # Cancel safety
    /// As [`Engines::embedded`].
    pub async fn on_disk(disk: Arc<dyn Disk>, log: LogOptions) -> Result<Self, Error> {
        let folder = env::blocking(move || Folder::open(disk)).await?;
        let kv = Arc::new(EmbeddedKv::open(folder.disk().clone()).await?);
        let log = Arc::new(EmbeddedLog::open_in(folder.clone(), log).await?);
        Ok(Self { kv: kv.clone(), log: log.clone(), embedded: Some(Embedded { kv, log, _folder: folder }) })
    }
}

impl Embedded {
    /// Lets go of the folder: another server may take it, also one in this process.
    async fn close(self) {
        self.log.close().await;
        self.kv.close().await;
    }
}

/// How a server serves.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where it listens; port 0 takes a free one. Default `127.0.0.1:7400`.
    pub listen: SocketAddr,
    /// The names under which browsers reach it, beside addresses and `localhost`. Default: none.
    pub allowed_hosts: AllowedHosts,
    /// How long calls under way may take to end at a stop. Default 10 s.
    pub drain: Duration,
    /// Whether its own spans are recorded. Default `true`.
    pub trace: bool,
    /// What it leaves out, for seeing what each part carries. It takes over the data of a part that it does not serve. Default:
    /// nothing.
    pub without: Vec<Part>,
    /// How topics and their groups work.
    pub messages: crate::mq::Config,
}

impl Default for ServerOptions {
    /// On `127.0.0.1:7400`, with ten seconds to drain, recording spans, serving everything.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], settee::config::Settings::SERVER_PORT)),
            allowed_hosts: AllowedHosts::default(),
            drain: Duration::from_secs(10),
            trace: true,
            without: Vec::new(),
            messages: crate::mq::Config::default(),
        }
    }
}

/// Something that a server can be started without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Who serves what.
    Registry,
    /// Transactions.
    Transactions,
    /// The driving of transactions that an earlier process left open.
    Recovery,
    /// Topics.
    Messages,
    /// Jobs.
    Jobs,
    /// Flow rules.
    Flow,
    /// Traces.
    Traces,
}

/// A running server. Dropping it stops it without a drain.
pub struct Server {
    listening: Listening,
    shards: Shards,
    coordinator: Coordinator,
    broker: Broker,
    jobs: Jobs,
    ready: Arc<AtomicBool>,
    stop: ShutdownTrigger,
    embedded: Option<Embedded>,
    _ending: EndsOwnership,
}

/// Ends the tasks of a server with it: they live as long as the ownership of its shards.
struct EndsOwnership(Shards);

impl Drop for EndsOwnership {
    fn drop(&mut self) {
        self.0.lose();
    }
}

impl Server {
    /// Takes over everything that the engines hold, and serves; ready when it returns. `pages` are shown before the console's.
    ///
    /// # Errors
    /// What the engines report, and `APP0003` when the address cannot be listened on; nothing is served then.
    ///
    /// # Cancel safety
    /// Dropped, nothing is served, and what was started ends.
    pub async fn start(engines: Engines, options: ServerOptions, pages: Arc<dyn HttpPages>) -> Result<Self, Error> {
        let Engines { kv, log, embedded } = engines;
        let (stop, stopping) = pair();
        let shards = Shards::open(kv.clone()).await?;
        let ending = EndsOwnership(shards.clone());
        let traces = Traces::new();
        let collector = TraceControlClient::in_process(Arc::new(traces.clone()));
        let tracer = tracer(options.trace, collector, &stop);
        let registry = Registry::start(shards.token(ShardId(0)).epoch, RegistryConfig::default(), stopping.clone());
        let channels = Channels::new(Arc::new(registry.clone()), tracer.clone());
        let participants = Arc::new(ChannelParticipants::new(channels.clone()));
        let recovers = !options.without.contains(&Part::Recovery);
        let transactions = crate::txn::Config { recovers, ..crate::txn::Config::default() };
        let coordinator = Coordinator::start(transactions, shards.clone(), kv.clone(), participants, stopping.clone()).await?;
        let broker = Broker::open(shards.clone(), kv.clone(), log, options.messages).await?;
        let jobs = Jobs::start(crate::job::Config::default(), shards.clone(), kv.clone(), channels, stopping).await?;
        let flow = FlowRules::load(&*kv, shards.clone()).await?;

        let sources = Sources::in_process(registry.clone(), coordinator.clone(), broker.clone(), jobs.clone(), traces.clone());
        let console = Arc::new(Console::new(sources, pages));
        let metrics = Arc::new(Metrics::new());
        let parts: [(Part, Arc<dyn Service>); 6] = [
            (Part::Registry, Arc::new(RegistryControlServer::new(registry.clone()))),
            (Part::Transactions, Arc::new(TransactionControlServer::new(coordinator.clone()))),
            (Part::Messages, Arc::new(MessageControlServer::new(broker.clone()))),
            (Part::Jobs, Arc::new(JobControlServer::new(jobs.clone()))),
            (Part::Flow, Arc::new(FlowControlServer::new(flow))),
            (Part::Traces, Arc::new(TraceControlServer::new(traces))),
        ];
        let mut services = Services::new();
        parts.into_iter().filter(|(part, _)| !options.without.contains(part)).for_each(|(_, service)| services.add(service));
        services.filter(Arc::new(ServerSpans::new(tracer)));
        services.filter(Arc::new(settee::app::CountCalls::new(metrics.clone())));
        let ready = Arc::new(AtomicBool::new(false));
        let pages = ProcessPages::new(NAME, services.names().collect(), ready.clone(), metrics, console);
        let config = ServerConfig { drain: options.drain, allowed_hosts: options.allowed_hosts, ..ServerConfig::default() };
        let listening = Listening::start(options.listen, Arc::new(services), Arc::new(pages), config).await?;
        registry.opened();
        ready.store(true, Ordering::Release);
        tracing::info!(address = %listening.address(), "ready");
        Ok(Self { listening, shards, coordinator, broker, jobs, ready, stop, embedded, _ending: ending })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// What it holds of the things that can grow, each beside its bound.
    #[must_use]
    pub fn gauges(&self) -> Vec<Gauge> {
        let Self { shards, coordinator, broker, jobs, .. } = self;
        [shards.gauge(), jobs.gauge()].into_iter().chain(coordinator.gauges()).chain(broker.gauges()).collect()
    }

    /// The ownership under which it serves.
    #[must_use]
    pub fn token(&self) -> FencingToken {
        self.shards.token(ShardId(0))
    }

    /// Waits until this server may answer nothing more: the store stopped, or another server took the shards.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn lost(&self) {
        self.shards.lost().await;
    }

    /// Stops taking calls, lets those under way end, and stops. Engines that [`Engines::embedded`] opened are closed by then.
    ///
    /// # Cancel safety
    /// Dropped halfway, the rest stops without a drain; what was answered is durable either way.
    pub async fn stop(self) {
        self.ready.store(false, Ordering::Release);
        self.listening.drain().await;
        self.stop.stop();
        self.shards.lose();
        if let Some(embedded) = self.embedded {
            embedded.close().await;
        }
    }
}

/// The tracer of this process, whose spans go straight to its own collector.
fn tracer(record: bool, collector: TraceControlClient, stop: &ShutdownTrigger) -> Tracer {
    if !record {
        return Tracer::off();
    }
    let (tracer, finished) = Tracer::new(NAME, &format!("{NAME}@{:08x}", env::random_u64() >> 32));
    env::spawn(export(finished, collector, Arc::new(AtomicU64::new(0)), stop.token()));
    tracer
}

#[cfg(test)]
#[path = "server_test.rs"]
mod tests;
