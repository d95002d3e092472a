//! Connection slots: a bounded number of connections, opened when first needed, lent one at a time and taken back clean.
//!
//! One writer and a few readers. Our own tasks queue for the writer here, in order and until their deadline, and so never meet
//! SQLite's `BUSY` among themselves. sqlx's pool is not used: its tasks and timers run outside of a simulation.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::{ErrorKind, codes};
use settee_core::{Context, Error, env};
use sqlx::{ConnectOptions, Connection};
use sqlx_core::transaction::TransactionManager;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::failure::of_statement;
use crate::faults::SqlFaults;

/// How long a task without a nearer deadline waits for a connection: longer than any sound local transaction, and short enough
/// that one which waits for itself (a second transaction inside of the first) is found.
pub const SLOT_WAIT: Duration = Duration::from_secs(10);

type OptionsOf<Db> = <<Db as sqlx::Database>::Connection as Connection>::Options;

/// The connections of one kind, all with the same options.
pub(crate) struct Slots<Db: sqlx::Database> {
    pub(crate) place: PathBuf,
    pub(crate) faults: Option<Arc<dyn SqlFaults>>,
    /// Whether this database was opened on a simulated machine. Asked once: a drop at a kill runs on no machine.
    pub(crate) simulated: bool,
    options: OptionsOf<Db>,
    size: usize,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Db::Connection>>,
}

/// A lent connection, and what is known of its transaction. Dropping it rolls back what is open and gives the slot back.
pub(crate) struct Lease<Db: sqlx::Database> {
    pub(crate) slots: Arc<Slots<Db>>,
    /// `None` only while it is dropped.
    connection: Option<Db::Connection>,
    /// Whether a transaction is open.
    pub(crate) open: bool,
    /// A statement failed or was left halfway: the database may have rolled back by itself.
    pub(crate) in_doubt: bool,
    /// The database has rolled back by itself: nothing may run any more, it would be committed statement by statement.
    pub(crate) ended: bool,
    /// After the connection, so that the next one in the queue finds it.
    _permit: OwnedSemaphorePermit,
}

impl<Db: sqlx::Database> Slots<Db> {
    pub(crate) fn new(place: PathBuf, options: OptionsOf<Db>, size: usize, faults: Option<Arc<dyn SqlFaults>>) -> Arc<Self> {
        let (permits, idle) = (Arc::new(Semaphore::new(size)), Mutex::default());
        Arc::new(Self { place, faults, simulated: env::is_simulated(), options, size, permits, idle })
    }

    /// A connection, as soon as one is free.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease<Db>, Error> {
        let limit = Context::try_current().and_then(|context| context.remaining()).map_or(SLOT_WAIT, |left| left.min(SLOT_WAIT));
        let permit = match tokio::time::timeout(limit, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_closed)) => return Err(self.is_closed()),
            Err(_) => return Err(self.none_free(limit)),
        };
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().await.map_err(|error| crate::failure::of_opening(&self.place, error))?,
        };
        Ok(Lease {
            slots: self.clone(),
            connection: Some(connection),
            open: false,
            in_doubt: false,
            ended: false,
            _permit: permit,
        })
    }

    async fn connect(&self) -> Result<Db::Connection, sqlx::Error> {
        self.run(self.options.connect()).await
    }

    /// Awaits work of the database's thread. In simulation it is run to its end at once, and then virtual time passes: if the
    /// runtime waited for that thread, its paused clock would jump.
    pub(crate) async fn run<F: Future>(&self, work: F) -> F::Output {
        if !self.simulated {
            return work.await;
        }
        let done = futures::executor::block_on(work);
        env::blocking(|| ()).await;
        done
    }

    fn none_free(&self, waited: Duration) -> Error {
        let message = format!(
            "take a connection to {}: none became free within {waited:?}; end transactions sooner, open none inside of another",
            self.place.display()
        );
        Error::new(ErrorKind::Limited, codes::DATABASE_FAILED, message).of_step()
    }

    /// Lends nothing more, waits until what is lent has come back, and closes it.
    pub(crate) async fn close_all(&self) -> Result<(), Error> {
        let all = u32::try_from(self.size).unwrap_or(u32::MAX);
        let back = tokio::time::timeout(SLOT_WAIT, self.permits.acquire_many(all)).await;
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle.lock());
        for connection in idle {
            self.run(connection.close()).await.map_err(|error| of_statement("close", &self.place, error))?;
        }
        match back {
            Err(_) => Err(self.still_lent()),
            Ok(_closed_now_or_before) => Ok(()),
        }
    }

    fn is_closed(&self) -> Error {
        let message = format!("take a connection to {}: the database was closed, as a stop does last", self.place.display());
        Error::new(ErrorKind::Closed, codes::DATABASE_FAILED, message).of_step()
    }

    fn still_lent(&self) -> Error {
        let message = format!(
            "close {}: a transaction or a read is still open after {SLOT_WAIT:?}; end it before, or copy the `-wal` file too",
            self.place.display()
        );
        Error::new(ErrorKind::Limited, codes::DATABASE_FAILED, message).of_step()
    }

    /// Closing rolls back. In simulation it has happened when this returns.
    fn close(&self, connection: Db::Connection) {
        if self.simulated {
            let _closed_either_way = futures::executor::block_on(connection.close());
        }
    }
}

impl<Db: sqlx::Database> Lease<Db> {
    pub(crate) fn connection(&mut self) -> &mut Db::Connection {
        self.connection.as_mut().expect("a lease has its connection until it is dropped")
    }

    /// The connection, and [`Lease::in_doubt`] beside it.
    pub(crate) fn connection_and_doubt(&mut self) -> (&mut Db::Connection, &mut bool) {
        let connection = self.connection.as_mut().expect("a lease has its connection until it is dropped");
        (connection, &mut self.in_doubt)
    }

    /// Puts a new connection into the place of one that is of no use any more.
    pub(crate) async fn reconnect(&mut self) -> Result<(), sqlx::Error> {
        if let Some(connection) = self.connection.take() {
            self.slots.close(connection);
        }
        self.connection = Some(self.slots.connect().await?);
        (self.open, self.in_doubt, self.ended) = (false, false, false);
        Ok(())
    }

    /// Takes back what is open, without waiting for it in production: what is sent to the connection next runs after it.
    fn clean(&self, connection: &mut Db::Connection) -> bool {
        if self.in_doubt {
            return false;
        }
        if self.open && self.slots.simulated {
            return futures::executor::block_on(Db::TransactionManager::rollback(connection)).is_ok();
        }
        if self.open {
            Db::TransactionManager::start_rollback(connection);
        }
        true
    }
}

impl<Db: sqlx::Database> fmt::Debug for Lease<Db> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Lease({})", self.slots.place.display())
    }
}

impl<Db: sqlx::Database> Drop for Lease<Db> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match self.clean(&mut connection) {
            true if !self.slots.permits.is_closed() => self.slots.idle.lock().push(connection),
            _ => self.slots.close(connection),
        }
    }
}

impl<Db: sqlx::Database> Drop for Slots<Db> {
    fn drop(&mut self) {
        let idle = std::mem::take(self.idle.get_mut());
        idle.into_iter().for_each(|connection| self.close(connection));
    }
}
