//! Phase two that is ready to leave, a queue a service: one that is down must not hold up the others.
//!
//! The queues are bounded by the open transactions: each branch is queued, in flight or waiting for its timer, never twice.

use std::collections::{BTreeMap, VecDeque};

use settee_core::id::{BranchId, Xid};
use settee_core::txn::Decision;

/// Calls to one service at once. Enough to keep its database's group commit busy; few enough not to bury it after an outage.
const IN_FLIGHT: usize = 64;

/// One branch to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sending {
    pub(super) xid: Xid,
    pub(super) branch: BranchId,
    pub(super) decision: Decision,
}

/// What is to be sent, by service.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    services: BTreeMap<String, Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Sending>,
    in_flight: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, service: &str, sending: Sending) {
        match self.services.get_mut(service) {
            Some(queue) => queue.waiting.push_back(sending),
            None => {
                let queue = Queue { waiting: VecDeque::from([sending]), in_flight: 0 };
                self.services.insert(service.to_owned(), queue);
            }
        }
    }

    /// Takes one that may leave now; [`Outbox::landed`] must follow.
    pub(super) fn take(&mut self) -> Option<(String, Sending)> {
        let (service, queue) = self.services.iter_mut().find(|(_, queue)| queue.may_send())?;
        let sending = queue.waiting.pop_front()?;
        queue.in_flight += 1;
        Some((service.clone(), sending))
    }

    /// Calls under way to each service, and how many there may be.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = (usize, usize)> {
        self.services.values().map(|queue| (queue.in_flight, IN_FLIGHT))
    }

    /// The call of one that was taken has ended.
    pub(super) fn landed(&mut self, service: &str) {
        let Some(queue) = self.services.get_mut(service) else { return };
        queue.in_flight = queue.in_flight.saturating_sub(1);
        if queue.in_flight == 0 && queue.waiting.is_empty() {
            self.services.remove(service);
        }
    }
}

impl Queue {
    fn may_send(&self) -> bool {
        self.in_flight < IN_FLIGHT && !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use settee_core::id::{Generation, ShardId};

    use super::*;

    #[test]
    fn a_service_that_does_not_answer_does_not_hold_up_another() {
        let sending = |counter| Sending {
            xid: Xid::new(ShardId(0), Generation(1), counter, 0),
            branch: BranchId::root(1),
            decision: Decision::Commit,
        };
        let mut outbox = Outbox::default();
        (0..1_000).for_each(|counter| outbox.push("a.Silent", sending(counter)));
        outbox.push("b.Alive", sending(0));
        let taken: Vec<_> = std::iter::from_fn(|| outbox.take()).map(|(service, _)| service).collect();
        assert_eq!(taken.len(), IN_FLIGHT + 1);
        assert_eq!(taken.last().map(String::as_str), Some("b.Alive"));
        outbox.landed("a.Silent");
        assert_eq!(outbox.take(), Some(("a.Silent".to_owned(), sending(IN_FLIGHT as u64))));
    }
}
