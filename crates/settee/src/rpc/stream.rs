//! A stream of updates on the wire.
//!
//! ```text
//! reader                                         sender
//!   | request, header credit=64                    |
//!   |--------------------------------------------->|
//!   | response, header stream=7                    |
//!   |<---------------------------------------------|
//!   | oneway settee.Stream/item, stream=7  (x <=64)|
//!   |<---------------------------------------------|
//!   | oneway settee.Stream/credit, credit=32       |   after half of the credit was read
//!   |--------------------------------------------->|
//!   | oneway settee.Stream/end [failure]           |   or /cancel, the other way
//!   |<---------------------------------------------|
//! ```
//! Reverse Bolt requests, so any Bolt library can follow a capture. A sender that exceeds its credit is cut off.

use std::fmt;
use std::task::{Context, Poll};

use bytes::Bytes;
use serde::Serialize;
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use tokio::sync::mpsc;

use super::expand;
use super::link::LinkHandle;
use super::service::Encoding;
use super::updates::Updates;

/// The name under which stream frames travel.
pub(crate) const SERVICE: &str = "settee.Stream";

/// The most credit a reader may give: what one stream can make its peer hold.
pub(crate) const MAX_CREDIT: usize = 4_096;

/// The sending end: updates, encoded one by one.
pub struct StreamSource(Box<dyn EncodedUpdates>);

/// [`Updates`] with the type erased.
trait EncodedUpdates: Send {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>>;
}

struct Encoded<T>(Updates<T>);

impl StreamSource {
    pub(crate) fn new<T: Serialize + Send + 'static>(updates: Updates<T>) -> Self {
        Self(Box::new(Encoded(updates)))
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        self.0.poll_next(context)
    }
}

impl fmt::Debug for StreamSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("StreamSource")
    }
}

impl<T: Serialize + Send> EncodedUpdates for Encoded<T> {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        self.0.poll_next(context).map(|item| item.map(|item| item.and_then(|item| expand::encode(Encoding::MessagePack, &item))))
    }
}

/// The reading end: encoded updates, and the credit that is given back as they are read.
pub(crate) struct StreamReader {
    items: mpsc::Receiver<Result<Bytes, Error>>,
    link: LinkHandle,
    id: i32,
    credit: usize,
    read: usize,
    ended: bool,
}

impl fmt::Debug for StreamReader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "StreamReader({})", self.id)
    }
}

/// Where the link puts what arrives for a stream.
pub(crate) type StreamQueue = mpsc::Sender<Result<Bytes, Error>>;

/// A reader for stream `id` of `link`, and the queue that feeds it. The queue holds one more than the credit: the end.
pub(crate) fn reader(link: LinkHandle, id: i32, credit: usize) -> (StreamQueue, StreamReader) {
    let (queue, items) = mpsc::channel(credit + 1);
    (queue, StreamReader { items, link, id, credit, read: 0, ended: false })
}

impl StreamReader {
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let item = std::task::ready!(self.items.poll_recv(context));
        match &item {
            Some(Ok(_)) => self.give_credit(),
            Some(Err(_)) | None => self.ended = true,
        }
        Poll::Ready(item)
    }

    fn give_credit(&mut self) {
        self.read += 1;
        if self.read * 2 >= self.credit {
            self.link.give_credit(self.id, self.read);
            self.read = 0;
        }
    }
}

impl StreamReader {
    /// Ends the stream from here; its sender is told.
    pub(crate) fn cancel(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.link.cancel_stream(self.id);
        }
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// The sender's process stops.
pub(crate) fn stopped() -> Error {
    Error::new(ErrorKind::Unavailable, codes::DRAINING, "read a stream: its server stops, subscribe again").unknown()
}

/// The stream broke with its connection.
pub(crate) fn broken() -> Error {
    Error::new(ErrorKind::Unavailable, codes::STREAM_BROKEN, "read a stream: the connection broke, subscribe again").unknown()
}
