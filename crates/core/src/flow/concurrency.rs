//! How many calls may be under way at once.
//!
//! A permit is a count and no value: a call holds permits of several rules, and whoever admitted it gives all of them back when it
//! ends, however it ends (`settee::flow`).

use std::sync::atomic::{AtomicU32, Ordering};

/// A limit of calls under way.
///
/// ```
/// let limit = settee_core::flow::Concurrency::new(1);
/// assert!(limit.enter() && !limit.enter());
/// limit.leave();
/// assert!(limit.enter());
/// ```
#[derive(Debug)]
pub struct Concurrency {
    limit: u32,
    under_way: AtomicU32,
}

impl Concurrency {
    /// At most `limit` at once.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { limit, under_way: AtomicU32::new(0) }
    }

    /// Takes a permit; `false` when none is free. Each is to be given back with [`Concurrency::leave`], once.
    #[must_use]
    pub fn enter(&self) -> bool {
        let more = |under_way: u32| (under_way < self.limit).then_some(under_way + 1);
        self.under_way.fetch_update(Ordering::Acquire, Ordering::Relaxed, more).is_ok()
    }

    /// Gives a permit back that [`Concurrency::enter`] took.
    pub fn leave(&self) {
        self.under_way.fetch_sub(1, Ordering::Release);
    }

    /// Calls that are under way now.
    #[must_use]
    pub fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_are_ever_under_way_and_a_permit_given_back_is_free() {
        let limit = Concurrency::new(2);
        assert_eq!([limit.enter(), limit.enter(), limit.enter()], [true, true, false]);
        assert_eq!(limit.under_way(), 2);
        limit.leave();
        assert_eq!([limit.enter(), limit.enter()], [true, false]);
    }
}
