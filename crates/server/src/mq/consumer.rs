//! A consumer as the broker sees it: a stream with credit. One consumer takes from all partitions of its group.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use settee::mq::control::Delivery;
use settee::rpc::UpdateSender;
use settee_core::planted::Bug;

/// Deliveries that one consumer may have unanswered at most: what its stream may hold in memory.
pub(super) const MAX_CREDIT: u32 = 1_024;

/// A connected consumer.
pub(super) struct Consumer {
    pub(super) id: u64,
    sender: UpdateSender<Delivery>,
    credit: u32,
    unanswered: AtomicU32,
    gone: AtomicBool,
}

impl Consumer {
    pub(super) fn new(id: u64, sender: UpdateSender<Delivery>, credit: u32) -> Self {
        Self { id, sender, credit, unanswered: AtomicU32::new(0), gone: AtomicBool::new(false) }
    }

    /// Grants no more credit. Called before a partition gives the consumer's deliveries to others, under whose lock credit is
    /// reserved: so it gets none after that.
    pub(super) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Reserves credit: as much of `wanted` as there is.
    pub(super) fn reserve(&self, wanted: u32) -> u32 {
        if self.gone.load(Ordering::Acquire) {
            return 0;
        }
        let mut granted = 0;
        let grant = |unanswered: u32| {
            granted = wanted.min(if Bug::ExceedsCredit.is_planted() { wanted } else { self.credit.saturating_sub(unanswered) });
            Some(unanswered + granted)
        };
        let _always_some = self.unanswered.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grant);
        granted
    }

    /// Gives back credit of deliveries that are answered, or were never made.
    pub(super) fn release(&self, count: u32) {
        self.unanswered.fetch_sub(count, Ordering::Relaxed);
    }

    /// Deliveries that it has not answered, and how many there may be.
    pub(super) fn unanswered(&self) -> (usize, usize) {
        let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
        (count(self.unanswered.load(Ordering::Relaxed)), count(self.credit))
    }

    /// Sends a delivery that credit was reserved for. One that cannot be sent is redelivered when the consumer's end is noticed.
    pub(super) fn deliver(&self, delivery: Delivery) {
        let _noticed_by_closed = self.sender.try_send(delivery);
    }

    /// Waits until the consumer is gone.
    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_granted_than_the_credit() {
        let (sender, _updates) = settee::rpc::updates(3);
        let consumer = Consumer::new(1, sender, 3);
        assert_eq!([consumer.reserve(2), consumer.reserve(2), consumer.reserve(2)], [2, 1, 0]);
        consumer.release(1);
        assert_eq!(consumer.reserve(9), 1);
        consumer.release(3);
        consumer.leave();
        assert_eq!(consumer.reserve(1), 0, "it is gone");
    }
}
