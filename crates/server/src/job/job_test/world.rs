//! A store, instances and workers that outlive a coordinator, and how its tests wait.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use settee::job::control::{JobControl, RegisterJob, RunKey, RunView, Trigger};
use settee::job::{Job, Run, Schedule, Worker};
use settee::rpc::{Channels, Discovery, Listening, Reply, ServerConfig, Services};
use settee::trace::Tracer;
use settee_core::registry::{Instance, InstanceList, PublicationId, Share};
use settee_core::shutdown::{ShutdownTrigger, pair};
use settee_core::{Timestamp, env};
use settee_engines::memory::MemoryKv;
use tokio::sync::{mpsc, watch};

use crate::job::{Config, Jobs};
use crate::shard::Shards;

/// Long enough for a machine that is busy with other things.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The store and the instances, which outlive a coordinator.
#[derive(Clone)]
pub(super) struct World {
    pub(super) kv: Arc<MemoryKv>,
    list: watch::Sender<Arc<InstanceList>>,
}

impl Discovery for World {
    fn instances(&self, _: &str) -> watch::Receiver<Arc<InstanceList>> {
        self.list.subscribe()
    }
}

impl World {
    pub(super) fn new() -> Self {
        let nobody = InstanceList { complete: true, ..InstanceList::default() };
        Self { kv: Arc::new(MemoryKv::new()), list: watch::Sender::new(Arc::new(nobody)) }
    }

    pub(super) fn serve(&self, instances: impl IntoIterator<Item = Instance>) {
        let instances = instances.into_iter().map(Arc::new).collect();
        self.list.send_replace(Arc::new(InstanceList { instances, complete: true, ..InstanceList::default() }));
    }

    pub(super) async fn start(&self, horizon: Duration) -> (Jobs, ShutdownTrigger) {
        self.start_on(Shards::open(self.kv.clone()).await.unwrap(), horizon).await
    }

    pub(super) async fn start_on(&self, shards: Shards, horizon: Duration) -> (Jobs, ShutdownTrigger) {
        let (trigger, shutdown) = pair();
        let channels = Channels::new(Arc::new(self.clone()), Tracer::off());
        let config = Config { horizon, start_grace: Duration::ZERO };
        (Jobs::start(config, shards, self.kv.clone(), channels, shutdown).await.unwrap(), trigger)
    }
}

pub(super) fn instance(address: SocketAddr, publisher: u64, share: Option<Share>) -> Instance {
    Instance {
        address,
        application: "account".into(),
        weight: Instance::DEFAULT_WEIGHT,
        share,
        metadata: BTreeMap::new(),
        publication: PublicationId { publisher, sequence: 0 },
    }
}

pub(super) async fn listen(job: &Job) -> Listening {
    let services = Arc::new(Services::new().with(Worker::new(job)));
    let at = "127.0.0.1:0".parse().unwrap();
    Listening::start(at, services, Arc::new(()), ServerConfig::default()).await.unwrap()
}

/// A job that tells of every start.
pub(super) fn telling() -> (Job, mpsc::UnboundedReceiver<Run>) {
    let (sender, starts) = mpsc::unbounded_channel();
    let job = Job::new("reconcile", move |run: Run| {
        let told = sender.send(run.clone());
        async move {
            told?;
            Ok(run.share().to_string())
        }
    });
    (job, starts)
}

/// A job that tells of every start and never ends.
pub(super) fn endless() -> (Job, mpsc::UnboundedReceiver<Run>) {
    let (sender, starts) = mpsc::unbounded_channel();
    let job = Job::new("reconcile", move |run: Run| {
        let told = sender.send(run);
        async move {
            told?;
            std::future::pending::<Reply<()>>().await
        }
    });
    (job, starts)
}

pub(super) fn soon(after: Duration) -> Timestamp {
    env::wall_clock().after(after)
}

pub(super) fn once(job: &Job, due: Timestamp) -> RegisterJob {
    RegisterJob { schedule: Schedule::Once { due }, ..job.registration("account") }
}

pub(super) async fn run_of(jobs: &Jobs, due: Timestamp) -> RunView {
    jobs.run(RunKey { job: "reconcile".into(), due }).await.unwrap()
}

/// Waits until `holds` of the run that is due then.
pub(super) async fn until(jobs: &Jobs, due: Timestamp, holds: impl Fn(&RunView) -> bool) -> RunView {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let found = async {
        loop {
            tick.tick().await;
            match jobs.run(RunKey { job: "reconcile".into(), due }).await {
                Ok(run) if holds(&run) => return run,
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the run gets there in time")
}

pub(super) async fn over(jobs: &Jobs, due: Timestamp) -> RunView {
    until(jobs, due, |run| run.state.is_over()).await
}

pub(super) async fn next(starts: &mut mpsc::UnboundedReceiver<Run>) -> Run {
    tokio::time::timeout(PATIENCE, starts.recv()).await.expect("the job starts in time").unwrap()
}

pub(super) fn ask(due: Timestamp) -> Trigger {
    Trigger { job: "reconcile".into(), due, reference: Some("monday".into()) }
}
