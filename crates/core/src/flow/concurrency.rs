//! How many calls may be under way at once. A permit comes back when it is dropped, so none is ever lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A limit of calls under way. Cheap to clone; clones share the count.
///
/// ```
/// let limit = settee_core::flow::Concurrency::new(1);
/// let permit = limit.try_acquire();
/// assert!(permit.is_some() && limit.try_acquire().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Concurrency(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: u32,
    under_way: AtomicU32,
}

/// The right of one call to be under way; dropping it gives it back.
#[derive(Debug)]
pub struct Permit(Arc<Inner>);

impl Concurrency {
    /// At most `limit` at once.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self(Arc::new(Inner { limit, under_way: AtomicU32::new(0) }))
    }

    /// A permit, if one is free.
    #[must_use]
    pub fn try_acquire(&self) -> Option<Permit> {
        self.enter().then(|| Permit(self.0.clone()))
    }

    /// Takes a place without a permit; `false` when none is free. For callers that give it back with [`Concurrency::leave`]
    /// however their call ends, and want to hold nothing else.
    #[must_use]
    pub fn enter(&self) -> bool {
        let more = |under_way: u32| (under_way < self.0.limit).then_some(under_way + 1);
        self.0.under_way.fetch_update(Ordering::Acquire, Ordering::Relaxed, more).is_ok()
    }

    /// Gives a place back that [`Concurrency::enter`] took.
    pub fn leave(&self) {
        self.0.leave();
    }

    /// Calls that are under way now.
    #[must_use]
    pub fn under_way(&self) -> u32 {
        self.0.under_way.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn leave(&self) {
        self.under_way.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_call_gives_its_permit_back() {
        let limit = Concurrency::new(1);
        let permit = limit.try_acquire().unwrap();
        assert!(limit.try_acquire().is_none());
        drop(permit);
        assert!(limit.try_acquire().is_some());
        assert_eq!(limit.under_way(), 0);
    }
}
