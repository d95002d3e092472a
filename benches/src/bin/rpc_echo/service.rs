//! settee's side: a registry, an application that serves, and an application that calls.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use futures::future::try_join_all;
use settee::app::App;
use settee::config::Settings;
use settee::{Reply, service};
use settee_benches::command::runtime;
use settee_benches::peer;
use settee_core::env;
use settee_engines::memory::{MemoryKv, MemoryLog};
use settee_server::{Engines, Server, ServerOptions};

use crate::{IN_FLIGHT, PAYLOAD_BYTES, TURN};

/// How long the callee may take to be known.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks for it.
const LOOK: Duration = Duration::from_millis(20);

/// Says what it hears.
#[service("bench.Echo")]
pub(crate) trait Echo {
    /// The payload, unchanged.
    async fn echo(&self, payload: Bytes) -> Reply<Bytes>;
}

struct Parrot;

impl Echo for Parrot {
    async fn echo(&self, payload: Bytes) -> Reply<Bytes> {
        Ok(payload)
    }
}

pub(crate) fn payload() -> Bytes {
    vec![7; PAYLOAD_BYTES].into()
}

pub(crate) fn registry() -> anyhow::Result<()> {
    let runtime = runtime()?;
    let engines = Engines::new(Arc::new(MemoryKv::new()), Arc::new(MemoryLog::new()));
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = ServerOptions { listen, drain: Duration::ZERO, trace: false, ..ServerOptions::default() };
    let server = runtime.block_on(Server::start(engines, options, Arc::new(())))?;
    peer::say(server.address())?;
    peer::serve(|_| None)
}

pub(crate) fn echo(told: &[String]) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let running = runtime.block_on(async {
        let app = App::new("echo", settings(told)?)?;
        anyhow::Ok(app.serve(EchoServer::new(Parrot)).start().await?)
    })?;
    peer::say(running.address())?;
    peer::serve(|_| None)
}

pub(crate) fn caller(told: &[String]) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let (client, _running) = runtime.block_on(async {
        let app = App::new("caller", settings(told)?)?;
        let client: EchoClient = app.client();
        let running = app.start().await?;
        find(&client).await?;
        anyhow::Ok((client, running))
    })?;
    peer::say("ready")?;
    peer::serve(|question| (question == "call").then(|| runtime.block_on(calls(&client)).map(|calls| calls.to_string())))
}

fn settings(told: &[String]) -> anyhow::Result<Settings> {
    let server = told.first().context("the registry is named")?.parse()?;
    Ok(Settings { server, ..Settings::default() })
}

async fn find(client: &EchoClient) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        match client.echo(payload()).await {
            Ok(_) => return Ok(()),
            Err(fault) if started.elapsed() > PATIENCE => anyhow::bail!("find the callee: {fault}"),
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Calls from several tasks for a while.
async fn calls(client: &EchoClient) -> anyhow::Result<u64> {
    let started = Instant::now();
    let callers = (0..IN_FLIGHT).map(|_| {
        let client = client.clone();
        env::spawn(async move {
            let mut count = 0;
            while started.elapsed() < TURN {
                client.echo(payload()).await?;
                count += 1;
            }
            Ok::<u64, settee::Error>(count)
        })
    });
    try_join_all(callers).await?.into_iter().map(|count| Ok(count?)).sum()
}
