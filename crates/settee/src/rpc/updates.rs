//! Server push: a stream of updates, bounded by the credit that its reader gives.
//!
//! In process it is a bounded channel; between settee peers it travels as reverse Bolt requests (see `stream`). A sender waits
//! when the credit is used up, so a slow reader slows its sender and nothing grows.

use std::pin::Pin;
use std::task::{Context, Poll};

use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use tokio::sync::mpsc;

/// Updates that a reader allows ahead of itself, where it does not say otherwise.
pub const DEFAULT_CREDIT: usize = 64;

/// A stream of updates from a server; dropping it ends the stream.
#[derive(Debug)]
pub struct Updates<T> {
    source: Source<T>,
}

#[derive(Debug)]
enum Source<T> {
    Channel(mpsc::Receiver<Result<T, Error>>),
    Decoded(crate::rpc::stream::StreamReader, fn(&[u8]) -> Result<T, Error>),
}

/// The sending side of [`Updates`].
#[derive(Debug)]
pub struct UpdateSender<T> {
    queue: mpsc::Sender<Result<T, Error>>,
}

impl<T> Clone for UpdateSender<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

/// A stream whose sender may be `credit` updates ahead of its reader (at least 1).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (sender, mut updates) = settee::rpc::updates(8);
/// sender.send(5).await.unwrap();
/// drop(sender);
/// assert_eq!(updates.next().await.unwrap().unwrap(), 5);
/// assert!(updates.next().await.is_none());
/// # });
/// ```
#[must_use]
pub fn updates<T>(credit: usize) -> (UpdateSender<T>, Updates<T>) {
    let (queue, receiver) = mpsc::channel(credit.max(1));
    (UpdateSender { queue }, Updates { source: Source::Channel(receiver) })
}

impl<T> Updates<T> {
    pub(crate) fn decoded(reader: crate::rpc::stream::StreamReader, decode: fn(&[u8]) -> Result<T, Error>) -> Self {
        Self { source: Source::Decoded(reader, decode) }
    }

    /// The next update; `None` when the stream ended as it should, an error when it broke.
    ///
    /// # Errors
    /// `Unavailable` when the connection or the server broke: what was sent may not have arrived, so subscribe again.
    ///
    /// # Cancel safety
    /// No update is lost.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        match &mut self.source {
            Source::Channel(receiver) => receiver.poll_recv(context),
            Source::Decoded(reader, decode) => {
                let decode = *decode;
                let item = std::task::ready!(reader.poll_next(context)).map(|item| item.and_then(|bytes| decode(&bytes)));
                // An update that cannot be read leaves a gap: a stream with a gap has ended.
                if matches!(item, Some(Err(_))) {
                    reader.cancel();
                }
                Poll::Ready(item)
            }
        }
    }
}

impl<T> futures::Stream for Updates<T> {
    type Item = Result<T, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Updates::poll_next(self.get_mut(), context)
    }
}

impl<T> UpdateSender<T> {
    /// Sends one update; waits for credit.
    ///
    /// # Errors
    /// `Closed` when nobody reads any more.
    ///
    /// # Cancel safety
    /// Dropped before it is done, the update is not sent.
    pub async fn send(&self, update: T) -> Result<(), Error> {
        self.queue.send(Ok(update)).await.map_err(|_| gone())
    }

    /// Sends one update if there is credit for it.
    ///
    /// # Errors
    /// `Limited` when the reader is behind, `Closed` when nobody reads any more; the update was not sent.
    pub fn try_send(&self, update: T) -> Result<(), Error> {
        self.queue.try_send(Ok(update)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Error::new(ErrorKind::Limited, codes::STREAM_BROKEN, "send an update: the reader has given no more credit")
            }
            mpsc::error::TrySendError::Closed(_) => gone(),
        })
    }

    /// Ends the stream with an error, after what was sent before.
    ///
    /// # Cancel safety
    /// Dropped before it is done, the stream ends without the error.
    pub async fn fail(self, error: Error) {
        let _nobody_reads = self.queue.send(Err(error)).await;
    }

    /// Waits until nobody reads any more.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }

    /// Whether nobody reads any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Closed, codes::STREAM_BROKEN, "send an update: nobody reads the stream any more")
}
