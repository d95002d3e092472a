//! Callers that do one kind of thing again and again while the door is open, and finish what they began when it closes.

use std::sync::Arc;

use futures::future::BoxFuture;
use settee_core::env;
use tokio::sync::watch;

/// A crowd of callers. Dropping it ends them.
pub(crate) struct Crowd {
    state: Arc<watch::Sender<State>>,
    callers: Vec<env::JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Operations that may still begin; 0 when the door is closed.
    may_begin: u64,
    under_way: u64,
    acknowledged: u64,
}

impl Crowd {
    /// `callers` callers of `operation`, which says whether it was acknowledged. The door is closed.
    pub(crate) fn of<F>(callers: usize, operation: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, bool> + Send + Sync + 'static,
    {
        let (state, operation) = (Arc::new(watch::Sender::new(State::default())), Arc::new(operation));
        let caller = |_| env::spawn(call(state.clone(), operation.clone()));
        Self { callers: (0..callers).map(caller).collect(), state }
    }

    /// Lets at most so many operations begin.
    pub(crate) fn open(&self, at_most: u64) {
        self.state.send_modify(|state| state.may_begin = at_most);
    }

    /// Lets nobody begin anything more.
    pub(crate) fn close(&self) {
        self.state.send_modify(|state| state.may_begin = 0);
    }

    /// Operations that were acknowledged since the beginning.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.state.borrow().acknowledged
    }

    /// Waits until so many were.
    pub(crate) async fn acknowledges(&self, total: u64) {
        let mut state = self.state.subscribe();
        let _its_sender_is_ours = state.wait_for(|state| state.acknowledged >= total).await;
    }

    /// Waits until nothing is under way.
    pub(crate) async fn rests(&self) {
        let mut state = self.state.subscribe();
        let _its_sender_is_ours = state.wait_for(|state| state.under_way == 0).await;
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.callers.iter().for_each(env::JoinHandle::abort);
    }
}

async fn call(state: Arc<watch::Sender<State>>, operation: Arc<impl Fn() -> BoxFuture<'static, bool>>) {
    let mut door = state.subscribe();
    while door.wait_for(|state| state.may_begin > 0).await.is_ok() {
        if !state.send_if_modified(State::begin) {
            continue;
        }
        let is_acknowledged = operation().await;
        state.send_modify(|state| {
            state.under_way -= 1;
            state.acknowledged += u64::from(is_acknowledged);
        });
    }
}

impl State {
    /// Whether there was room for one more: another caller may have been faster.
    fn begin(&mut self) -> bool {
        let has_room = self.may_begin > 0;
        if has_room {
            self.may_begin -= 1;
            self.under_way += 1;
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test]
    async fn nobody_begins_behind_a_closed_door_and_what_was_begun_ends() {
        let begun = Arc::new(AtomicU64::new(0));
        let counting = begun.clone();
        let crowd = Crowd::of(3, move || {
            let number = counting.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                tokio::task::yield_now().await;
                number.is_multiple_of(2)
            })
        });
        crowd.open(9);
        crowd.acknowledges(5).await;
        crowd.rests().await;
        assert_eq!((begun.load(Ordering::Relaxed), crowd.acknowledged()), (9, 5));
        crowd.open(1_000_000);
        crowd.acknowledges(20).await;
        crowd.close();
        crowd.rests().await;
        let ended = begun.load(Ordering::Relaxed);
        tokio::task::yield_now().await;
        assert_eq!(begun.load(Ordering::Relaxed), ended);
    }
}
