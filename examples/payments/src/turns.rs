//! One call at a time for each order: the same order again, sent while it is being made, must neither make it a second time nor
//! abort what the first call is about to commit. Left out: several processes, for which the book is the judge.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Baton, OwnedMutexGuard};

type Batons = BTreeMap<String, Arc<Baton<()>>>;

/// Which orders are being made. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<Batons>>);

/// The right to make one order, until it is dropped.
pub(crate) struct Turn {
    turns: Turns,
    id: String,
    held: Option<OwnedMutexGuard<()>>,
    /// Always there, until the drop counts who else has it.
    baton: Option<Arc<Baton<()>>>,
}

impl Turns {
    /// Waits until nobody else makes the order.
    pub(crate) async fn wait(&self, id: &str) -> Turn {
        let (mut turn, baton) = self.queue(id);
        turn.held = Some(baton.lock_owned().await);
        turn
    }

    /// `None` while somebody makes the order.
    pub(crate) fn try_take(&self, id: &str) -> Option<Turn> {
        let (mut turn, baton) = self.queue(id);
        turn.held = Some(baton.try_lock_owned().ok()?);
        Some(turn)
    }

    fn queue(&self, id: &str) -> (Turn, Arc<Baton<()>>) {
        let baton = self.batons().entry(id.to_owned()).or_default().clone();
        (Turn { turns: self.clone(), id: id.to_owned(), held: None, baton: Some(baton.clone()) }, baton)
    }

    fn batons(&self) -> MutexGuard<'_, Batons> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last one of an order takes its baton along, also one that gave up waiting.
impl Drop for Turn {
    fn drop(&mut self) {
        self.held = None;
        let mut batons = self.turns.batons();
        self.baton = None;
        if batons.get(&self.id).is_some_and(|baton| Arc::strong_count(baton) == 1) {
            batons.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_for_one_order_take_turns_and_leave_nothing_behind() {
        let turns = Turns::default();
        let first = turns.wait("t-1").await;
        assert!(turns.try_take("t-1").is_none());
        assert!(turns.try_take("t-2").is_some(), "another order does not wait");
        let mut second = Box::pin(turns.wait("t-1"));
        assert!(waits(&mut second).await, "it waits");
        drop(first);
        let second = second.await;
        let mut gives_up = Box::pin(turns.wait("t-1"));
        assert!(waits(&mut gives_up).await);
        drop(second);
        drop(gives_up);
        assert!(turns.batons().is_empty());
    }

    async fn waits<F: Future + Unpin>(future: &mut F) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = std::future::ready(()) => true,
        }
    }
}
