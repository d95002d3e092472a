//! What the tests share: a database in a folder of its own with a table of effects, scripted faults, a simulated machine.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::Timestamp;
use settee_core::env::{Accept, Host, Io, on_host};
use sqlx::{query, query_scalar, raw_sql};
use tempfile::TempDir;
use tokio::task::AbortHandle;

use crate::{CommitFault, Database, DatabaseOptions, SqlFaults, StatementFault, Tx};

const EFFECTS: &str = "CREATE TABLE IF NOT EXISTS effect (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)";

/// A database file in a folder that goes with it.
pub(crate) struct Home(pub(crate) TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.0.path().join("service.db")
    }

    pub(crate) async fn open(&self) -> Database {
        self.open_with(DatabaseOptions::default()).await
    }

    pub(crate) async fn open_with(&self, options: DatabaseOptions) -> Database {
        let database = Database::open(self.file(), options).await.unwrap();
        let mut tx = database.begin().await.unwrap();
        raw_sql(EFFECTS).execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        database
    }
}

pub(crate) async fn effect(tx: &mut Tx, name: &str) -> Result<(), sqlx::Error> {
    query("INSERT INTO effect (name) VALUES (?)").bind(name).execute(tx).await.map(drop)
}

pub(crate) async fn effects(database: &Database) -> Vec<String> {
    query_scalar("SELECT name FROM effect ORDER BY id").fetch_all(&mut database.read().await.unwrap()).await.unwrap()
}

/// Faults in the order in which they strike; none before the first is pushed and after the last.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) statements: Mutex<VecDeque<Option<StatementFault>>>,
    pub(crate) commits: Mutex<VecDeque<CommitFault>>,
}

impl SqlFaults for Script {
    fn before_statement(&self) -> Option<StatementFault> {
        self.statements.lock().pop_front().flatten()
    }

    fn at_commit(&self) -> Option<CommitFault> {
        self.commits.lock().pop_front()
    }
}

impl Script {
    pub(crate) fn options(self: &Arc<Self>) -> DatabaseOptions {
        DatabaseOptions { faults: Some(self.clone()), ..DatabaseOptions::default() }
    }
}

/// A machine on which every piece of blocking work takes a millisecond.
pub(crate) struct Machine;

impl Host for Machine {
    fn poll_gate(&self, _waker: &Waker) -> bool {
        true
    }

    fn connect(&self, _to: SocketAddr) -> std::pin::Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>> {
        Box::pin(async { Err(io::ErrorKind::NetworkDown.into()) })
    }

    fn listen(&self, _at: SocketAddr) -> io::Result<Box<dyn Accept>> {
        Err(io::ErrorKind::NetworkDown.into())
    }

    fn spawned(&self, _task: AbortHandle) {}

    fn charge(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(Duration::from_millis(1)))
    }

    fn wall_clock(&self) -> Timestamp {
        Timestamp::from_millis(1_000)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// Runs `work` on a simulated machine.
pub(crate) async fn simulated<F: Future>(work: F) -> F::Output {
    let host: Arc<dyn Host> = Arc::new(Machine);
    let mut work = pin!(work);
    poll_fn(|context| on_host(&host, || work.as_mut().poll(context))).await
}
