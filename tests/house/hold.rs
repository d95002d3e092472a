//! Points at which a process can be stopped for good before it is killed there: calls, commits of its database, decisions.
//!
//! A story arms a point; whoever comes there says so on stdout and goes no further, until the point is released or the process
//! is dead. So a kill hits exactly the moment that the story is about.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use settee::rpc::service::BoxFuture as CallFuture;
use settee::rpc::{Answer, Filter, Incoming, Next};
use settee_core::id::Revision;
use settee_core::port::{BoxFuture, Commit, Kv, Outcome, Page, Range, StoreError, Versioned, Watch, Write};
use settee_sqlx::{CommitFault, SqlFaults, StatementFault};
use tokio::sync::watch;

use crate::role::say;

/// A commit of the service's own database, before it is made.
pub(crate) const SQL_COMMIT: &str = "sql.commit";

/// A decision of the coordinator that is durable, before anybody hears of it.
pub(crate) const DECIDED: &str = "decided";

/// The points of this process. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Points(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Armed points, and how many may still pass before.
    armed: Mutex<BTreeMap<String, u32>>,
    released: Condvar,
    changed: watch::Sender<()>,
}

impl Points {
    /// Holds whoever comes to `point`, after `pass` that may pass.
    pub(crate) fn hold(&self, point: &str, pass: u32) {
        self.armed().insert(point.to_owned(), pass);
    }

    /// Lets everybody go on.
    pub(crate) fn release(&self) {
        self.armed().clear();
        self.0.released.notify_all();
        self.0.changed.send_replace(());
    }

    async fn pass(&self, point: &str) {
        if !self.is_held(point) {
            return;
        }
        let mut changed = self.0.changed.subscribe();
        while self.armed().contains_key(point) {
            let _the_sender_is_ours = changed.changed().await;
        }
    }

    /// The same for callers that cannot wait otherwise than with their thread.
    fn pass_blocking(&self, point: &str) {
        if !self.is_held(point) {
            return;
        }
        let mut armed = self.armed();
        while armed.contains_key(point) {
            armed = self.0.released.wait(armed).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_held(&self, point: &str) -> bool {
        let held = match self.armed().get_mut(point) {
            None => false,
            Some(0) => true,
            Some(pass) => {
                *pass -= 1;
                false
            }
        };
        if held {
            say(&format!("held {point}"));
        }
        held
    }

    fn armed(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.0.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds calls before their service sees them, each at the point of its name, such as `pay.Debit.attempt`.
impl Filter for Points {
    fn call(&self, incoming: Incoming, next: Next) -> CallFuture<Answer> {
        let points = self.clone();
        Box::pin(async move {
            points.pass(&incoming.name()).await;
            next.run(incoming).await
        })
    }
}

impl SqlFaults for Points {
    fn before_statement(&self) -> Option<StatementFault> {
        None
    }

    fn at_commit(&self) -> Option<CommitFault> {
        self.pass_blocking(SQL_COMMIT);
        None
    }
}

/// A store that is silent about a decision that it wrote.
pub(crate) struct SilentKv {
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) points: Points,
}

impl Kv for SilentKv {
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        self.kv.get(key)
    }

    fn range(&self, range: Range) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.kv.range(range)
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        let decides = commit.writes.iter().any(is_decision);
        Box::pin(async move {
            let outcome = self.kv.commit(commit).await;
            if decides {
                self.points.pass(DECIDED).await;
            }
            outcome
        })
    }

    fn watch(&self, prefix: Bytes, after: Revision) -> BoxFuture<'_, Result<Box<dyn Watch>, StoreError>> {
        self.kv.watch(prefix, after)
    }
}

/// `txn/<shard>/d/<xid>`, see `settee_server::txn`.
fn is_decision(write: &Write) -> bool {
    let Write::Put(key, _) = write else { return false };
    key.starts_with(b"txn/") && key.get(6..9) == Some(b"/d/")
}
