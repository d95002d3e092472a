//! The service's database: opened safely, with settee's tables in it, one writer and a few readers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use settee_core::error::{ErrorKind, codes};
use settee_core::{Error, env};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Executor, Row, Sqlite};
use tokio::sync::Notify;

use crate::failure::of_statement;
use crate::faults::SqlFaults;
use crate::read::Read;
use crate::schema;
use crate::slots::{Lease, Slots};
use crate::tx::Tx;

/// Connections that write. SQLite has one writer; a second would only find the database busy.
pub const WRITERS: usize = 1;
/// Connections that read, by default: what a small machine's cores can keep busy.
pub const READERS: usize = 4;
/// How long SQLite waits for the lock of another process. In simulation it does not wait: real time would pass.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long fence and inbox rows are kept after they ended: far above any message's or request's life.
pub const RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How a database is used.
#[derive(Clone)]
pub struct DatabaseOptions {
    /// Connections that read. Default [`READERS`], at least one.
    pub readers: usize,
    /// How long the lock of another process is waited for. Default [`BUSY_TIMEOUT`]; in simulation always zero.
    pub busy_timeout: Duration,
    /// How long ended fence rows and inbox rows are kept. Default [`RETENTION`].
    pub retention: Duration,
    /// What goes wrong. `None` in production.
    pub faults: Option<Arc<dyn SqlFaults>>,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self { readers: READERS, busy_timeout: BUSY_TIMEOUT, retention: RETENTION, faults: None }
    }
}

impl fmt::Debug for DatabaseOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { readers, busy_timeout, retention, faults } = self;
        write!(out, "DatabaseOptions({readers} readers, {busy_timeout:?}, {retention:?}, faults: {})", faults.is_some())
    }
}

/// A service's database. A cheap handle; the connections close when the last one is dropped, or in order by [`Database::close`].
///
/// ```
/// # async fn example() -> settee::Result<()> {
/// use settee_sqlx::{Database, DatabaseOptions};
///
/// let database = Database::open("./account.db", DatabaseOptions::default()).await?;
/// database.begin().await?.commit().await?;
/// # Ok(())
/// # }
/// ```
pub struct Database<Db: sqlx::Database = Sqlite>(Arc<Inner<Db>>);

struct Inner<Db: sqlx::Database> {
    writer: Arc<Slots<Db>>,
    readers: Arc<Slots<Db>>,
    outbox: Arc<Notify>,
    duplicates: AtomicU64,
    retention: Duration,
}

impl<Db: sqlx::Database> Clone for Database<Db> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Db: sqlx::Database> fmt::Debug for Database<Db> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Database({})", self.place().display())
    }
}

impl<Db: sqlx::Database> Database<Db> {
    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.0.writer.place
    }

    /// Messages that consumers of this process had processed before and dropped.
    #[must_use]
    pub fn duplicates_suppressed(&self) -> u64 {
        self.0.duplicates.load(Ordering::Relaxed)
    }

    pub(crate) fn count_duplicate(&self) {
        self.0.duplicates.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn outbox(&self) -> &Arc<Notify> {
        &self.0.outbox
    }

    pub(crate) fn retention(&self) -> Duration {
        self.0.retention
    }
}

impl Database<Sqlite> {
    /// Opens the database file at a path or `sqlite:` URL, made if it is missing, with settee's tables made in it.
    ///
    /// Write-ahead log, `synchronous = FULL` (a commit returns after its sync) and foreign keys are on, and checked to be.
    ///
    /// # Errors
    /// `STO0008` when there is no such folder or a folder stands there, `STO0002` when it is no database, `STO0005` when it is
    /// read-only, `STO0004` when it is locked, `STO0003` when its tables are of a newer version, `APP0002` for a database in
    /// memory. Each says what to do.
    ///
    /// # Cancel safety
    /// An empty file may stay.
    pub async fn open(location: impl AsRef<Path>, options: DatabaseOptions) -> Result<Self, Error> {
        let (place, connect) = locate(location.as_ref(), &options)?;
        let reading = connect.clone().pragma("query_only", "ON");
        let faults = options.faults;
        let inner = Inner {
            writer: Slots::new(place.clone(), connect, WRITERS, faults.clone()),
            readers: Slots::new(place, reading, options.readers.max(1), faults),
            outbox: Arc::default(),
            duplicates: AtomicU64::new(0),
            retention: options.retention,
        };
        let database = Self(Arc::new(inner));
        database.check_durability().await?;
        schema::prepare(&database).await?;
        Ok(database)
    }

    /// Begins a local transaction, as soon as those that came before have ended.
    ///
    /// # Errors
    /// `Limited` when none became free in [`SLOT_WAIT`](crate::SLOT_WAIT) or the context's deadline, else what the
    /// database reports. Always `NotDone`.
    ///
    /// # Cancel safety
    /// Nothing stays open.
    pub async fn begin(&self) -> Result<Tx, Error> {
        Tx::begin(self.0.writer.lease().await?, self.0.outbox.clone()).await
    }

    /// A connection for queries outside of transactions.
    ///
    /// # Errors
    /// As [`Database::begin`].
    ///
    /// # Cancel safety
    /// Nothing is taken.
    pub async fn read(&self) -> Result<Read, Error> {
        Ok(Read(self.0.readers.lease().await?))
    }

    /// Closes the database for every handle of it, once what is open in it has ended: the last step of a stop.
    ///
    /// What the write-ahead log holds is brought into the file, and the log goes away with the last connection. Whoever copies the
    /// file alone then has everything; after a crash, or without this, part of it is in the `-wal` file beside it. Safe to repeat.
    ///
    /// # Errors
    /// `Limited` when a transaction or a read is still open after [`SLOT_WAIT`](crate::SLOT_WAIT), else what the database reports.
    /// Whatever was committed is safe in any case: the next open brings it into the file.
    ///
    /// # Cancel safety
    /// What is left closes when the last handle is dropped.
    pub async fn close(&self) -> Result<(), Error> {
        self.0.readers.close_all().await?;
        match self.0.writer.lease().await {
            Ok(mut lease) => self.checkpoint(&mut lease).await?,
            Err(error) if error.kind() == ErrorKind::Closed => return Ok(()),
            Err(error) => return Err(error),
        }
        self.0.writer.close_all().await
    }

    /// Explicit, since the one of the last connection's end reports nothing.
    async fn checkpoint(&self, lease: &mut Lease<Sqlite>) -> Result<(), Error> {
        let failed = |error| of_statement("bring the write-ahead log into the file", self.place(), error);
        lease.fetch_one("PRAGMA wal_checkpoint(TRUNCATE)").await.map_err(failed)?;
        Ok(())
    }

    /// Some file systems cannot share memory, and then SQLite silently keeps another journal.
    async fn check_durability(&self) -> Result<(), Error> {
        let failed = |error| of_statement("read the settings", self.place(), error);
        let mut lease = self.0.writer.lease().await?;
        let journal = (&mut lease).fetch_one("PRAGMA journal_mode").await.map_err(failed)?;
        let synchronous = (&mut lease).fetch_one("PRAGMA synchronous").await.map_err(failed)?;
        let (journal, synchronous): (String, i64) = (journal.get(0), synchronous.get(0));
        if (journal.as_str(), synchronous) == ("wal", FULL) {
            return Ok(());
        }
        let message = format!(
            "open database {}: the write-ahead log or full synchronisation cannot be switched on ({journal}, {synchronous}); \
             put it on a local disk",
            self.place().display()
        );
        Err(Error::new(ErrorKind::Unsupported, codes::DATABASE_FAILED, message))
    }
}

/// The number of `synchronous = FULL`.
const FULL: i64 = 2;

fn locate(location: &Path, options: &DatabaseOptions) -> Result<(PathBuf, SqliteConnectOptions), Error> {
    let text = location.to_string_lossy();
    let connect = match text.starts_with("sqlite:") {
        true => SqliteConnectOptions::from_str(&text).map_err(|error| bad_location(&text, error))?,
        false => SqliteConnectOptions::new().filename(location),
    };
    let place = connect.get_filename().to_owned();
    let shown = place.to_string_lossy();
    if shown.is_empty() || shown.contains(":memory:") || shown.contains("mode=memory") || shown.contains("sqlx-in-memory") {
        return Err(bad_location(&text, "a database in memory forgets; name a file"));
    }
    let busy_timeout = if env::is_simulated() { Duration::ZERO } else { options.busy_timeout };
    let connect = connect
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(busy_timeout);
    // sqlx times its statements by the real clock, which must not reach the log of a simulation.
    let connect = if env::is_simulated() { connect.disable_statement_logging() } else { connect };
    Ok((place, connect))
}

fn bad_location(location: &str, cause: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, codes::BAD_VALUE, format!("open database {location:?}: {cause}"))
}

#[cfg(test)]
#[path = "database_test.rs"]
mod tests;
