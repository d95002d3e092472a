//! How a call comes to its place in the window, and what becomes of the place when its caller has gone: its time is up, or it was
//! dropped.
//!
//! A frame that still waits here is then taken back, and its place is free. One that may have reached the peer keeps its place: the
//! peer works on it, and a window that forgot it would fill the peer with calls that nobody waits for. A peer of settee drops the
//! handler at the deadline and answers; so the answer, late as it is, frees the place, and [`GRACE`] bounds how long a peer that
//! never answers can keep it.

use std::time::Duration;

use settee_core::{Error, Instant};
use tokio::sync::oneshot;

use super::{Ended, LinkHandle, Outbox, Outgoing, Waiting, name};
use crate::rpc::link::window::Permit;

/// How long after the deadline a place is kept for a call that is not answered. Longer than a silent peer is taken for alive
/// (`pulse`), after which the connection is closed; so it matters only for a peer that lives and leaves calls unanswered.
pub(in crate::rpc::link) const GRACE: Duration = Duration::from_secs(5);

/// The place of a call that nobody waits for any more.
pub(super) struct GivenUp {
    until: Instant,
    permit: Permit,
}

impl Outbox {
    /// The caller of `id` has gone. Returns whom to tell, and the place in the window if the call was never sent: to be dropped
    /// outside of the lock, because it wakes the next in line.
    pub(super) fn give_up(&mut self, id: i32, waiting: Waiting, now: Instant) -> (oneshot::Sender<Ended>, Option<Permit>) {
        let Waiting { answer, place, deadline, permit, .. } = waiting;
        if self.queue.make_void(place) {
            return (answer, Some(permit));
        }
        let until = deadline.map_or(now, |deadline| deadline.max(now)) + GRACE;
        self.deadlines.insert((until, id));
        self.given_up.insert(id, GivenUp { until, permit });
        (answer, None)
    }

    /// Frees the place of a call that was given up: the peer has answered it, or had time enough.
    pub(super) fn settle(&mut self, id: i32) -> Option<Permit> {
        let GivenUp { until, permit } = self.given_up.remove(&id)?;
        self.deadlines.remove(&(until, id));
        Some(permit)
    }
}

impl LinkHandle {
    /// Whether an ordinary call would have to wait before it is sent.
    pub(crate) fn is_full(&self) -> bool {
        self.0.window.is_full()
    }

    /// A place in the window.
    pub(super) async fn permit(&self, outgoing: &Outgoing<'_>) -> Result<Permit, Error> {
        let (window, context) = (&self.0.window, outgoing.context);
        if let Some(permit) = window.enter(context.criticality) {
            return Ok(permit);
        }
        // Boxed, so that the calls that need not wait stay small.
        let waited = Box::pin(window.wait(context.criticality, context.remaining())).await;
        waited.map_err(|why| why.error(&name(outgoing), self.0.session.peer()))
    }

    /// Forgets a call that was dropped; one whose frame still waits is not sent at all.
    fn forget(&self, id: i32) {
        let mut outbox = self.0.outbox.lock();
        let Some(waiting) = outbox.forget(id) else { return };
        let (_nobody_listens, _place) = outbox.give_up(id, waiting, Instant::now());
        drop(outbox);
        // It may have been the last thing that a connection which goes away was waiting for.
        self.0.driver.wake();
    }
}

/// Forgets a call whose caller left before it ended.
pub(super) struct ForgetOnDrop<'a> {
    /// `None`: it has ended.
    pub(super) link: Option<&'a LinkHandle>,
    pub(super) id: i32,
}

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.link {
            link.forget(self.id);
        }
    }
}
