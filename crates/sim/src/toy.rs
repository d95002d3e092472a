//! A toy system that tests the harness itself: servers that count, clients that add, and one planted bug.
//!
//! A request is an operation's number, eight bytes; the answer repeats it once the operation is durable. The invariants are the
//! real ones in small: nothing acknowledged is lost (`I3`), nothing is invented (`I4`), a healed system serves again (`liveness`).

use std::collections::BTreeSet;
use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::env::{self, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::{Boot, Checks, Phase, Violation, Workload, World};

const SERVERS: u16 = 3;
const CLIENTS: u16 = 3;
const PORT: u16 = 7_000;

/// Between two operations of a client.
const PAUSE_MILLIS: usize = 400;

/// How long a client waits for an answer; afterwards it does not know.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// How much later than its answer a write becomes durable with the planted bug.
const LAZY_SYNC: Duration = Duration::from_millis(20);

/// The toy system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// The planted bug: the answer leaves before the operation is durable, as engines do that sync now and then.
    pub acknowledges_early: bool,
}

impl Workload for Counters {
    fn build(&self, world: &World) -> Box<dyn Checks> {
        let cells: Vec<Arc<Cell>> = (0..SERVERS).map(|_| Arc::default()).collect();
        let early = self.acknowledges_early;
        let servers = cells.iter().map(|cell| {
            let cell = cell.clone();
            world.server("counter", move |boot| serve(cell.clone(), boot, early)).address(PORT)
        });
        let servers: Arc<[SocketAddr]> = servers.collect();
        let journal = Arc::new(Journal::default());
        for client in 0..CLIENTS {
            let (world_of_client, servers, journal) = (world.clone(), servers.clone(), journal.clone());
            world.client("adder", move |_| add(world_of_client.clone(), client, servers.clone(), journal.clone()));
        }
        Box::new(Expected { cells, journal })
    }
}

/// What a server's disk holds: the page cache is lost at a power cut, the rest is not.
#[derive(Default)]
struct Cell(Mutex<Stored>);

#[derive(Default)]
struct Stored {
    /// Written, but not yet synced.
    cached: BTreeSet<u64>,
    durable: BTreeSet<u64>,
}

impl Cell {
    fn write(&self, operation: u64) {
        self.0.lock().cached.insert(operation);
    }

    fn sync(&self) {
        let mut stored = self.0.lock();
        let cached = std::mem::take(&mut stored.cached);
        stored.durable.extend(cached);
    }

    fn lose_cache(&self) {
        self.0.lock().cached.clear();
    }
}

async fn serve(cell: Arc<Cell>, boot: Boot, early: bool) {
    if boot.after_power_cut {
        cell.lose_cache();
    }
    let at = SocketAddr::new(boot.node.ip(), PORT);
    let mut listener = env::listen(at).await.expect("a process that starts finds its port free");
    while let Ok((connection, _)) = listener.accept().await {
        let cell = cell.clone();
        env::spawn(async move {
            // A broken connection is the client's to notice.
            let _ = answer(connection, cell, early).await;
        });
    }
}

async fn answer(mut connection: Connection, cell: Arc<Cell>, early: bool) -> io::Result<()> {
    loop {
        let operation = connection.read_u64().await?;
        let (written, synced) = (cell.clone(), cell.clone());
        env::blocking(move || written.write(operation)).await;
        if early {
            connection.write_u64(operation).await?;
            sleep(LAZY_SYNC).await;
        }
        env::blocking(move || synced.sync()).await;
        if !early {
            connection.write_u64(operation).await?;
        }
    }
}

/// What the clients know.
#[derive(Default)]
struct Journal(Mutex<Known>);

#[derive(Default)]
struct Known {
    attempted: BTreeSet<u64>,
    acknowledged: BTreeSet<(usize, u64)>,
    served_since_healed: BTreeSet<u16>,
}

async fn add(world: World, client: u16, servers: Arc<[SocketAddr]>, journal: Arc<Journal>) {
    let mut connections: Vec<Option<Connection>> = servers.iter().map(|_| None).collect();
    loop {
        sleep(Duration::from_millis(env::random_below(PAUSE_MILLIS) as u64)).await;
        let server = pick(servers.len()).await;
        let operation = env::random_u64();
        journal.0.lock().attempted.insert(operation);
        let called = timeout(CALL_TIMEOUT, call(&mut connections[server], servers[server], operation)).await;
        if matches!(called, Ok(Ok(()))) {
            acknowledged(&world, &journal, client, (server, operation));
        } else {
            connections[server] = None;
            world.reached("unknown");
            world.record("unknown", operation);
        }
    }
}

/// One of two that are both ready: tokio's own dice decide, and they must follow the seed as well.
async fn pick(servers: usize) -> usize {
    let (one, other) = (env::random_below(servers), env::random_below(servers));
    tokio::select! {
        () = ready(()) => one,
        () = ready(()) => other,
    }
}

async fn call(connection: &mut Option<Connection>, server: SocketAddr, operation: u64) -> io::Result<()> {
    let open = match connection.take() {
        Some(open) => connection.insert(open),
        None => connection.insert(env::connect(server).await?),
    };
    open.write_u64(operation).await?;
    let answer = open.read_u64().await?;
    if answer == operation { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn acknowledged(world: &World, journal: &Journal, client: u16, operation: (usize, u64)) {
    let mut known = journal.0.lock();
    known.acknowledged.insert(operation);
    if world.phase() == Phase::Liveness {
        known.served_since_healed.insert(client);
    }
    world.reached("acknowledged");
    world.record("acknowledged", operation.1);
}

struct Expected {
    cells: Vec<Arc<Cell>>,
    journal: Arc<Journal>,
}

impl Checks for Expected {
    fn invariants<'a>(&'a mut self, _world: &'a World) -> Pin<Box<dyn Future<Output = Vec<Violation>> + 'a>> {
        Box::pin(async move {
            let known = self.journal.0.lock();
            let lost = known.acknowledged.iter().filter(|(server, it)| !self.cells[*server].0.lock().durable.contains(it));
            let lost = lost.map(|(server, it)| Violation::new("I3", format_args!("server {server} lost acknowledged {it:x}")));
            let stored = self.cells.iter().flat_map(|cell| cell.0.lock().durable.clone());
            let invented = stored.filter(|it| !known.attempted.contains(it));
            let invented = invented.map(|it| Violation::new("I4", format_args!("nobody asked for {it:x}")));
            let silent = (0..CLIENTS).filter(|client| !known.served_since_healed.contains(client));
            let silent =
                silent.map(|client| Violation::new("liveness", format_args!("client {client} is not served after healing")));
            lost.chain(invented).chain(silent).collect()
        })
    }
}
