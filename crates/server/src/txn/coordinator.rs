//! The handle of the coordinator: looks a transaction up, applies an event under the lock, and answers once it is durable.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee::txn::answers;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::Xid;
use settee_core::planted::Bug;
use settee_core::port::Kv;
use settee_core::shard::{LANES, lane_of};
use settee_core::shutdown::Shutdown;
use settee_core::txn::{Answer, Event, Transaction};
use settee_core::{Error, Timestamp, env};
use tokio::sync::{Notify, watch};

use super::drive;
use super::memory::{Memory, Tally};
use super::participants::Participants;
use super::recent::Recent;
use super::store::Store;
use super::sweep;
use crate::gauge::Gauge;
use crate::shard::{Shards, Ticket, spawn_owned};

/// How the coordinator is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a transaction that ended stays readable. At least as long as participants keep their fence rows. Default: 7 days.
    pub retention: Duration,
    /// How often history past its retention is looked for. Default: 10 minutes.
    pub sweep_every: Duration,
    /// How long leased counters may be used; far less than `retention`, see P6. Default: 1 hour.
    pub lease_valid: Duration,
    /// Transactions in memory at most; a begin beyond is refused for the moment. Default: 500,000, about 500 MB.
    pub max_open: usize,
    /// Transactions that are listed by their begin, the newest first; older ones follow by xid. Default: 65,536, about 3 MB.
    pub newest: usize,
    /// Whether transactions that an earlier owner left open are driven on. Without it they are known and stay as they are, which
    /// shows what recovery carries. Default: true.
    pub recovers: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(7 * 24 * 60 * 60),
            sweep_every: Duration::from_secs(10 * 60),
            lease_valid: Duration::from_secs(60 * 60),
            max_open: 500_000,
            newest: 65_536,
            recovers: true,
        }
    }
}

/// The coordinator of global transactions. Cheap to clone; implements [`TransactionControl`](settee::txn::TransactionControl).
#[derive(Clone)]
pub struct Coordinator(Arc<Inner>);

pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) shards: Shards,
    pub(super) store: Store,
    pub(super) participants: Arc<dyn Participants>,
    pub(super) memory: Mutex<Memory>,
    pub(super) wake_driver: Notify,
    pub(super) wake_timer: Notify,
    pub(super) wake_settlers: [Notify; LANES],
    /// Decisions of earlier owners, once they are counted.
    pub(super) earlier: watch::Sender<Option<Tally>>,
    /// When this owner began.
    pub(super) since: Timestamp,
    /// Whether the newest transactions of earlier owners are among [`Memory::recent`].
    pub(super) history_is_known: watch::Sender<bool>,
}

impl Coordinator {
    /// Loads every open transaction and, if it recovers, takes it over: deadlines run on, and phase two that is unfinished is
    /// sent again.
    /// Runs until the ownership of the shards is lost or `shutdown` is asked for.
    ///
    /// # Errors
    /// What the store reports; nothing is answered then.
    ///
    /// # Cancel safety
    /// Dropped, it was not started.
    pub async fn start(
        config: Config,
        shards: Shards,
        kv: Arc<dyn Kv>,
        participants: Arc<dyn Participants>,
        shutdown: Shutdown,
    ) -> Result<Self, Error> {
        let recent = Recent::new(config.newest);
        let inner = Inner {
            config,
            store: Store::new(kv),
            participants,
            memory: Mutex::new(Memory::new(shards.clone(), recent)),
            shards,
            wake_driver: Notify::new(),
            wake_timer: Notify::new(),
            wake_settlers: std::array::from_fn(|_| Notify::new()),
            earlier: watch::Sender::new(None),
            since: env::wall_clock(),
            history_is_known: watch::Sender::new(false),
        };
        let coordinator = Self(Arc::new(inner));
        coordinator.load().await?;
        coordinator.spawn_tasks(&shutdown);
        Ok(coordinator)
    }

    async fn load(&self) -> Result<(), Error> {
        let shards = self.0.store.load().await?;
        let mut memory = self.0.memory.lock();
        let now = env::wall_clock();
        for loaded in shards {
            memory.load_marks(loaded.shard, loaded.lease, loaded.forgotten);
            for transaction in loaded.open.into_iter().filter(|_| !Bug::ForgetsRecovery.is_planted()) {
                let xid = transaction.xid();
                match self.0.config.recovers {
                    true => memory.load(transaction, now).map_err(|illegal| answers::illegal(xid, &illegal))?,
                    false => memory.insert(transaction),
                }
            }
        }
        let open = memory.len();
        tracing::info!(open, recovers = self.0.config.recovers, "took over global transactions");
        Ok(())
    }

    fn spawn_tasks(&self, shutdown: &Shutdown) {
        for lane in 0..LANES {
            self.spawn(shutdown, |inner| async move { drive::settle(&inner, lane).await });
        }
        self.spawn(shutdown, |inner| async move { drive::send(&inner).await });
        self.spawn(shutdown, |inner| async move { drive::fire_timers(&inner).await });
        self.spawn(shutdown, |inner| async move {
            sweep::look_at_earlier(&inner).await;
            sweep::forget_old(&inner).await;
        });
    }

    fn spawn<F>(&self, shutdown: &Shutdown, task: impl FnOnce(Arc<Inner>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (work, shutdown) = (task(self.0.clone()), shutdown.clone());
        spawn_owned(&self.0.shards, async move {
            shutdown.or(work).await;
        });
    }

    /// What it holds.
    pub(crate) fn gauges(&self) -> [Gauge; 3] {
        let memory = self.0.memory.lock();
        // Questions about what never began make records too.
        let most = self.0.config.max_open.saturating_mul(2);
        [
            Gauge { name: "transactions in memory", value: memory.len(), limit: most },
            Gauge { name: "transactions listed by begin", value: memory.recent.len(), limit: self.0.config.newest },
            Gauge::fullest("phase two calls to one service", memory.outbox.in_flight()),
        ]
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    /// Applies an event to a transaction, wherever it is, and returns what `read` makes of it and of the answer, once all that
    /// it observed is durable (P4).
    pub(super) async fn deliver<T>(
        &self,
        xid: Xid,
        event: Event,
        read: impl FnOnce(&Transaction, Option<Answer>) -> T,
    ) -> Result<T, Error> {
        let looking = Looking::start(self, xid);
        let stored = if looking.in_memory { None } else { self.store.read(xid).await? };
        if !looking.in_memory && stored.is_none() {
            self.shards.admit(xid.shard())?;
        }
        // Questions about what never began make records too; they get as much room again as begins do.
        let most = self.config.max_open.saturating_mul(2);
        let (result, ticket) = self.change(xid, |memory| apply(memory, most, xid, stored, event, read));
        drop(looking);
        ticket.committed().await?;
        result
    }

    /// A transaction as it stands now; `None` if there is no record of it.
    pub(super) async fn find(&self, xid: Xid) -> Result<Option<Transaction>, Error> {
        let looking = Looking::start(self, xid);
        let stored = if looking.in_memory { None } else { self.store.read(xid).await? };
        let (found, ticket) = self.change(xid, |memory| memory.transaction(xid).cloned().or(stored));
        drop(looking);
        ticket.committed().await?;
        Ok(found)
    }

    /// Runs `work` under the lock, and wakes whoever has something to do afterwards. The ticket is for all that it observed.
    pub(super) fn change<T>(&self, xid: Xid, work: impl FnOnce(&mut Memory) -> T) -> (T, Ticket) {
        let mut memory = self.memory.lock();
        let timer = memory.timers.next();
        let done = work(&mut memory);
        let ticket = self.shards.observe(xid.shard());
        if memory.timers.next() != timer {
            self.wake_timer.notify_one();
        }
        self.wake_settlers[lane_of(xid.shard())].notify_one();
        (done, ticket)
    }
}

/// Keeps an xid from leaving memory while the store is read, so that "not here and not there" means that there is no record.
struct Looking<'a> {
    inner: &'a Inner,
    xid: Xid,
    in_memory: bool,
}

impl<'a> Looking<'a> {
    fn start(inner: &'a Inner, xid: Xid) -> Self {
        let mut memory = inner.memory.lock();
        memory.look_for(xid);
        let in_memory = memory.transaction(xid).is_some();
        Self { inner, xid, in_memory }
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.inner.memory.lock().looked_for(self.xid);
    }
}

fn apply<T>(
    memory: &mut Memory,
    most: usize,
    xid: Xid,
    stored: Option<Transaction>,
    event: Event,
    read: impl FnOnce(&Transaction, Option<Answer>) -> T,
) -> Result<T, Error> {
    let now = env::wall_clock();
    match stored.filter(|_| memory.transaction(xid).is_none()) {
        Some(mut ended) => {
            let effects = ended.apply(event, now).map_err(|illegal| answers::illegal(xid, &illegal))?;
            Ok(read(&ended, answers::answer_of(&effects)))
        }
        None => {
            if memory.transaction(xid).is_none() {
                has_room(memory, most)?;
                memory.insert_absent(xid);
            }
            let applied = memory.apply(xid, event, now);
            let result = match (applied, memory.transaction(xid)) {
                (Ok(answer), Some(transaction)) => Ok(read(transaction, answer)),
                (Err(illegal), _) => Err(answers::illegal(xid, &illegal)),
                (Ok(_), None) => Err(answers::no_record(xid)),
            };
            memory.remove_if_absent(xid);
            result
        }
    }
}

fn has_room(memory: &Memory, most: usize) -> Result<(), Error> {
    if memory.len() < most {
        return Ok(());
    }
    let message = format!("remember another transaction: {most} are open");
    Err(Error::new(ErrorKind::Limited, codes::CONCURRENCY_LIMITED, message))
}

impl fmt::Debug for Coordinator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Coordinator").field("config", &self.0.config).finish_non_exhaustive()
    }
}
