//! The way to the broker that everything in this module shares.

use std::future::Future;
use std::time::Duration;

use settee_core::backoff::Backoff;
use settee_core::error::ErrorKind;
use settee_core::{Certainty, Context, Error};

use super::control::{MessageControlClient, Publish, Published};
use crate::mq::MessageControl;
use crate::trace::Tracer;

/// How long one call to the broker may take before it is repeated: several of its commits, even while a disk stalls.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The first and the longest wait before a call is repeated; a restarted broker is found within the first.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_LAST: Duration = Duration::from_secs(2);

/// The way to the broker. Cheap to clone.
#[derive(Clone)]
pub struct Messages {
    control: MessageControlClient,
    tracer: Tracer,
}

impl Messages {
    /// Messages through `control`, with spans by `tracer`.
    #[must_use]
    pub fn new(control: MessageControlClient, tracer: Tracer) -> Self {
        Self { control, tracer }
    }

    /// The control calls themselves, for tools.
    #[must_use]
    pub fn control(&self) -> &MessageControlClient {
        &self.control
    }

    pub(super) fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Publishes until it is answered or cannot be, at most for `patience`: the sequences make repeats harmless. That the last
    /// repeat was refused says nothing about those before it, one of which may have been stored.
    pub(super) async fn publish(&self, publish: &Publish, patience: Duration) -> Result<Published, Error> {
        let started = settee_core::Instant::now();
        let mut wait = backoff();
        let mut may_be_stored = false;
        loop {
            let call = self.control.publish(publish.clone());
            let error = match in_call_context(call).await {
                Ok(published) => return Ok(published),
                Err(fault) => Error::from(fault),
            };
            may_be_stored |= error.certainty() != Certainty::NotDone;
            if !may_pass(&error) || started.elapsed() + wait.at_most() > patience {
                return Err(if may_be_stored { error.unknown() } else { error });
            }
            wait.pause().await;
        }
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Messages")
    }
}

/// Runs a call with a context of its own: it outlives the caller whose message started it.
pub(super) async fn in_call_context<F: Future>(call: F) -> F::Output {
    Context::control("settee.mq", CALL_TIMEOUT).scope(call).await
}

/// Whether the same call, repeated, can be answered otherwise. Only for calls that may be repeated.
pub(super) fn may_pass(error: &Error) -> bool {
    use ErrorKind::{Closed, DeadlineExceeded, Full, Limited, NotOwner, Unavailable};
    let passes = matches!(error.kind(), Closed | DeadlineExceeded | Full | Limited | NotOwner | Unavailable);
    passes || (error.certainty() == Certainty::Unknown && error.kind() != ErrorKind::Conflict)
}

/// The waits of a loop that asks the broker.
pub(super) fn backoff() -> Backoff {
    Backoff::new(BACKOFF_FIRST, BACKOFF_LAST)
}
