//! A second server on the engines of the first: somebody started it by mistake, and it takes the shards.
//!
//! In some of the seeds whose engines are beside the nodes. It promises to run a job, which its successor has to keep; the first
//! server has to find out that it was replaced, and to write nothing any more. Its clients never learn of the second one.

use std::sync::Arc;
use std::time::Duration;

use settee::job::control::Trigger;
use settee::job::{JobControl, JobControlClient};
use settee::rpc::{Channels, StaticInstances};
use settee::trace::Tracer;
use settee_engines::memory::{MemoryKv, MemoryLog};
use settee_server::{Engines, Server, ServerOptions};

use super::customers::due_in;
use super::runs::ONCE;
use super::server::{DRAIN, SEEDS_BESIDE};
use super::stage::{SERVER_PORT, Stage, call_context, sleep_between};
use crate::node::Boot;

/// One seed in so many has a rival.
const SEEDS: u64 = 2 * SEEDS_BESIDE;

/// When it starts, and how long it lives once it has promised something, in milliseconds. Shorter than the time after which it would
/// believe that workers which it never met are dead.
const STARTS_MILLIS: (usize, usize) = (5_000, 32_000);
const LIVES_MILLIS: (usize, usize) = (100, 2_000);

/// When the job falls due that it promises to run: later than it lives.
const DUE_IN: Duration = Duration::from_secs(4);

/// Adds the rival, if this seed has one.
pub(super) fn add(stage: &Arc<Stage>, engines: Option<(MemoryKv, MemoryLog)>) {
    let Some((kv, log)) = engines.filter(|_| stage.world.seed().is_multiple_of(SEEDS)) else { return };
    let world = stage.world.clone();
    let stage = stage.clone();
    world.client("rival", move |boot| live(stage.clone(), boot, kv.clone(), log.clone()));
}

async fn live(stage: Arc<Stage>, boot: Boot, kv: MemoryKv, log: MemoryLog) {
    sleep_between(STARTS_MILLIS.0, STARTS_MILLIS.1).await;
    let listen = (boot.node.ip(), SERVER_PORT).into();
    let options = ServerOptions { listen, drain: DRAIN, trace: false, ..ServerOptions::default() };
    let Ok(server) = Server::start(Engines::new(Arc::new(kv), Arc::new(log)), options, Arc::new(())).await else { return };
    stage.world.reached("server replaced");
    stage.world.record("rival", server.token());
    let channels = Channels::new(Arc::new(StaticInstances::new().otherwise([listen])), Tracer::off());
    let trigger = Trigger { job: ONCE.to_owned(), due: due_in(DUE_IN), reference: None };
    let due = trigger.due;
    if call_context().scope(channels.client::<JobControlClient>().trigger(trigger)).await.is_ok() {
        stage.world.reached("run triggered at the rival");
        stage.firings.triggered(ONCE, due);
        sleep_between(LIVES_MILLIS.0, LIVES_MILLIS.1).await;
    }
}
