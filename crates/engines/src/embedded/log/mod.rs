//! The embedded [`Log`]: all streams in one physical log of segment files, durable when it answers.
//!
//! ```text
//! append --+                 one sync for all          log-00000000000000000001.seg
//! append --+--> queue --> | group | group | group |    log-00000000000000004711.seg   <- appended to
//! append --+              chained by crc                log-next.tmp                   <- zeroes, written ahead
//! ```
//!
//! - **One writer, one sync for all streams.** Appends that arrive while a sync runs become the next group: one write, one crc, one
//!   sync. A group is the unit of tearing: after a crash it is there as a whole or not at all (`layout` draws the bytes).
//! - **Detected**: any changed byte of a group that has another group behind it, any missing or foreign file between the first and
//!   the last segment, records that vanished with a removed first segment. Then the log refuses to open and names the place; a
//!   read names it too, and never returns a record that is not what was written.
//! - **Not detected**: damage to the very last group, at rest, when the process died before one idle second had sealed it: that is
//!   what a torn tail looks like, it is cut off and reported ([`TornTail`]). And files removed by hand at the end of the log.
//! - **Left out**: compression, encryption, replication, an index on disk. Opening reads everything (`recovery`).

mod committer;
mod entry;
mod index;
mod layout;
mod plan;
mod read;
mod recovery;
mod segment;
mod writer;

#[cfg(all(test, feature = "memory"))]
mod crash_test;
#[cfg(all(test, feature = "memory"))]
mod fault_test;
#[cfg(all(test, feature = "memory"))]
mod log_test;
#[cfg(all(test, feature = "memory"))]
mod rot_test;
#[cfg(test)]
mod short_write_test;

use std::sync::Arc;

use parking_lot::Mutex;
use settee_core::env;
use settee_core::id::Offset;
use settee_core::port::{Append, Appended, BoxFuture, Disk, Log, ReadLimit, Record, StoreError, StoreErrorKind, StreamName};
use tokio::sync::oneshot;

use super::Folder;
use committer::{Committer, Shared};
use plan::{Request, weight};
use recovery::Recovered;

pub use recovery::TornTail;

/// Bytes of one record: what etcd and JetStream take too, so that a message fits every engine (`PROTOCOLS.md` P3).
pub const RECORD_MAX_BYTES: usize = 1 << 20;

/// Bytes of all records of one batch: a frame's limit.
pub const BATCH_MAX_BYTES: usize = 4 << 20;

/// Records of one batch: bounds what their lengths add to [`BATCH_MAX_BYTES`].
pub const BATCH_MAX_RECORDS: usize = 65_536;

/// A group takes no further batch above this: beyond it a larger write does not make a sync cheaper.
const GROUP_TARGET_BYTES: usize = 4 << 20;

/// The largest group that is written, or believed when read: a full one and one whole batch with its lengths, and to spare.
const GROUP_MAX_BYTES: usize = 16 << 20;

/// How a log keeps its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes of a segment file; a segment is made longer where its first group does not fit. Default 64 MiB.
    pub segment_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20 }
    }
}

/// A log in one data folder.
///
/// Dropping it ends it after what was appended before; [`EmbeddedLog::close`] waits for that.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use std::sync::Arc;
/// use settee_core::{id::Offset, port::{Append, Appended, Log, StreamName}};
/// use settee_engines::embedded::{EmbeddedLog, FileDisk, LogOptions};
///
/// let place = tempfile::tempdir()?;
/// let disk = Arc::new(FileDisk::open(place.path())?);
/// let log = EmbeddedLog::open(disk, LogOptions { segment_bytes: 1 << 20 }).await?;
/// let stream = StreamName::new("orders").unwrap();
/// let append = Append { stream, batch: vec!["pay 5".into()], expected_tail: Some(Offset(0)) };
/// assert_eq!(log.append(append).await?, Appended::At(Offset(0)));
/// log.close().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    torn: Option<TornTail>,
    committer: Mutex<Option<env::JoinHandle<()>>>,
}

impl EmbeddedLog {
    /// Takes the folder under `disk` for this log alone, and opens the log in it, or makes one. Needs a tokio runtime with time.
    ///
    /// # Errors
    /// Those of [`Folder::open`]; `Damaged` when something acknowledged is not what was written, with file and position.
    ///
    /// # Cancel safety
    /// The folder is let go when the work that was begun has ended.
    pub async fn open(disk: Arc<dyn Disk>, options: LogOptions) -> Result<Self, StoreError> {
        let folder = env::blocking(move || Folder::open(disk)).await?;
        Self::open_in(folder, options).await
    }

    /// Opens the log in a folder that is held already, or makes one; for a process that has a `Kv` there too.
    ///
    /// # Errors
    /// As for [`EmbeddedLog::open`].
    ///
    /// # Cancel safety
    /// As for [`EmbeddedLog::open`].
    pub async fn open_in(folder: Folder, options: LogOptions) -> Result<Self, StoreError> {
        let recovered = env::blocking(move || recovery::recover(folder, options.segment_bytes)).await?;
        let Recovered { index, writer, torn } = recovered;
        let shared = Arc::new(Shared::new(index));
        let committer = env::spawn(Committer::new(shared.clone(), writer).run());
        Ok(Self { shared, torn, committer: Mutex::new(Some(committer)) })
    }

    /// What opening cut off at the end of the log; `None` when its last group was whole.
    #[must_use]
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// Ends the log: what was appended before is answered, the last group is sealed, the folder is let go. Safe to repeat.
    ///
    /// # Cancel safety
    /// The log ends all the same.
    pub async fn close(&self) {
        self.stop();
        let committer = self.committer.lock().take();
        if let Some(committer) = committer {
            // It fails only if the runtime ends or the task panicked; either way the log has ended.
            let _ = committer.await;
        }
    }

    fn stop(&self) {
        self.shared.stop(StoreError::not_done(StoreErrorKind::Unavailable, "the log is closed"));
    }

    fn submit<T>(
        &self,
        bytes: usize,
        request: impl FnOnce(plan::Reply<T>) -> Request,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.shared.submit(bytes, request(reply))?;
        Ok(answer)
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Log for EmbeddedLog {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, StoreError>> {
        // Queued here and not when first polled: calls take effect in the order in which they are made.
        let bytes = weight(&append.stream, &append.batch);
        let queued = check(&append).and_then(|()| self.submit(bytes, |reply| Request::Append(append, reply)));
        Box::pin(async move { answered(queued?).await })
    }

    fn read(&self, stream: &StreamName, from: Offset, limit: ReadLimit) -> BoxFuture<'_, Result<Vec<Record>, StoreError>> {
        let stream = stream.clone();
        Box::pin(async move {
            let reading = {
                let state = self.shared.state.lock();
                state.running()?;
                read::prepare(&state.index, &stream, from, limit)
            };
            match reading {
                Some(reading) => env::blocking(move || reading.run()).await,
                None => Ok(Vec::new()),
            }
        })
    }

    fn tail(&self, stream: &StreamName) -> BoxFuture<'_, Result<Offset, StoreError>> {
        let stream = stream.clone();
        Box::pin(async move {
            let state = self.shared.state.lock();
            state.running()?;
            Ok(Offset(state.index.named(&stream).map_or(0, |stream| stream.tail)))
        })
    }

    fn trim(&self, stream: &StreamName, before: Offset) -> BoxFuture<'_, Result<(), StoreError>> {
        let stream = stream.clone();
        let queued = self.submit(weight(&stream, &[]), |reply| Request::Trim(stream, before, reply));
        Box::pin(async move { answered(queued?).await })
    }

    fn streams(&self) -> BoxFuture<'_, Result<Vec<StreamName>, StoreError>> {
        Box::pin(async move {
            let state = self.shared.state.lock();
            state.running()?;
            Ok(state.index.names().cloned().collect())
        })
    }
}

async fn answered<T>(answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    let gone = || StoreError::unknown(StoreErrorKind::Unavailable, "the log stopped before it answered");
    answer.await.unwrap_or_else(|_| Err(gone()))
}

/// The limits, before anything is copied.
fn check(append: &Append) -> Result<(), StoreError> {
    let largest = append.batch.iter().map(bytes::Bytes::len).max();
    let total: usize = append.batch.iter().map(bytes::Bytes::len).sum();
    let message = match largest {
        None => "a batch without records cannot be appended".to_owned(),
        Some(bytes) if bytes > RECORD_MAX_BYTES => format!("a record of {bytes} bytes is over the limit of {RECORD_MAX_BYTES}"),
        Some(_) if total > BATCH_MAX_BYTES => format!("a batch of {total} bytes is over the limit of {BATCH_MAX_BYTES}"),
        Some(_) if append.batch.len() > BATCH_MAX_RECORDS => {
            format!("a batch of {} records is over the limit of {BATCH_MAX_RECORDS}", append.batch.len())
        }
        Some(_) => return Ok(()),
    };
    Err(StoreError::not_done(StoreErrorKind::Limit, format!("{message} (stream {})", append.stream)))
}
