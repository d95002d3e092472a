//! The streams that this end sends: each a future that moves items from its source into frames as credit allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::{AbortHandle, Abortable};
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use tokio::sync::Semaphore;

use super::driver::WRITE_HIGH_WATER;
use super::outbox::{LinkHandle, failure};
use crate::rpc::service::BoxFuture;
use crate::rpc::stream::{MAX_CREDIT, StreamSource, stopped};

/// Streams that one connection may have open: twice the services that a process follows at most.
const MAX_STREAMS: usize = 8_192;

/// The streams that are being sent, by the id of the call that opened them.
#[derive(Default)]
pub(super) struct StreamsOut {
    credit_of: BTreeMap<i32, usize>,
    running: BTreeMap<i32, Running>,
    fresh: Vec<Fresh>,
    stopped: bool,
}

/// A stream that was opened and has no pump yet.
struct Fresh {
    id: i32,
    source: StreamSource,
    credit: Arc<Semaphore>,
    aborted: Abortable<std::future::Pending<()>>,
}

struct Running {
    credit: Arc<Semaphore>,
    abort: AbortHandle,
}

impl StreamsOut {
    /// Notes the credit that came with call `id`, in case it is answered with a stream.
    pub(super) fn asked(&mut self, id: i32, credit: usize) {
        self.credit_of.insert(id, credit.min(MAX_CREDIT));
    }

    /// Call `id` was answered; without a stream its credit is of no use.
    pub(super) fn answered(&mut self, id: i32) {
        self.credit_of.remove(&id);
    }

    /// Why call `id` cannot be answered with a stream, if it cannot.
    pub(super) fn refusal(&self, id: i32) -> Option<Error> {
        if self.stopped {
            return Some(stopped());
        }
        let (kind, why) = if self.running.len() >= MAX_STREAMS {
            (ErrorKind::Limited, "too many are open on this connection")
        } else if self.running.contains_key(&id) {
            (ErrorKind::Invalid, "one of the same number is open")
        } else {
            return None;
        };
        Some(Error::new(kind, codes::STREAM_BROKEN, format!("open a stream: {why}")).unknown())
    }

    pub(super) fn opened(&mut self, id: i32, source: StreamSource) {
        let credit = Arc::new(Semaphore::new(self.credit_of.remove(&id).unwrap_or(0)));
        let (abort, registration) = AbortHandle::new_pair();
        self.running.insert(id, Running { credit: credit.clone(), abort });
        let aborted = Abortable::new(std::future::pending(), registration);
        self.fresh.push(Fresh { id, source, credit, aborted });
    }

    pub(super) fn give(&mut self, id: i32, credit: usize) {
        if let Some(running) = self.running.get(&id) {
            let room = MAX_CREDIT.saturating_sub(running.credit.available_permits());
            running.credit.add_permits(credit.min(room));
        }
    }

    pub(super) fn cancel(&mut self, id: i32) {
        if let Some(running) = self.running.remove(&id) {
            running.abort.abort();
        }
    }

    /// Whether a stream is being sent.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Ends every stream and opens none any more. Returns the ids, and the sources that have no pump yet: they are the caller's
    /// to drop, outside the lock, because what ends with them is not ours.
    pub(super) fn stop(&mut self) -> (Vec<i32>, Vec<StreamSource>) {
        self.stopped = true;
        let running = std::mem::take(&mut self.running);
        running.values().for_each(|running| running.abort.abort());
        (running.into_keys().collect(), self.fresh.drain(..).map(|fresh| fresh.source).collect())
    }

    /// The pumps of streams that were opened since the last time.
    pub(super) fn take_fresh(&mut self, link: &LinkHandle) -> Vec<BoxFuture<()>> {
        let start = |Fresh { id, source, credit, aborted }: Fresh| -> BoxFuture<()> {
            let link = link.clone();
            Box::pin(async move {
                tokio::select! {
                    biased;
                    _ = aborted => {}
                    () = pump(&link, id, source, &credit) => {}
                }
                link.with_streams_out(|streams| streams.running.remove(&id));
            })
        };
        self.fresh.drain(..).map(start).collect()
    }
}

async fn pump(link: &LinkHandle, id: i32, mut source: StreamSource, credit: &Semaphore) {
    loop {
        let Ok(permit) = credit.acquire().await else { return };
        permit.forget();
        // Credit counts updates, and a few of them can be large: the driver polls no pump while too much waits.
        if link.queued_bytes() > WRITE_HIGH_WATER {
            tokio::task::yield_now().await;
        }
        let sent = match std::future::poll_fn(|context| source.poll_next(context)).await {
            Some(Ok(item)) => link.stream_frame(id, "item", None, &item),
            Some(Err(error)) => return end(link, id, &failure(&error)),
            None => return end(link, id, &[]),
        };
        if let Err(error) = sent {
            let error = Error::new(ErrorKind::Internal, codes::TOO_LARGE, format!("send an update: {error}"));
            return end(link, id, &failure(&error));
        }
    }
}

fn end(link: &LinkHandle, id: i32, body: &[u8]) {
    let _a_failure_is_small = link.stream_frame(id, "end", None, body);
}
