//! What reading an input may cost in memory: bounded by the input's length, whatever lengths the input claims.
//!
//! Counted by an allocator that comes with the dependency and replaces the system's in every binary that links this crate. Only
//! this thread is counted, so tests may run side by side.

/// The most that may be held at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// In any case, in bytes.
    pub(crate) fixed: u64,
    /// For each byte of the input, in bytes.
    pub(crate) per_byte: u64,
}

impl Budget {
    /// Nothing at all.
    pub(crate) const NOTHING: Self = Self { fixed: 0, per_byte: 0 };

    /// Does `work` on an input of `length` bytes.
    ///
    /// # Panics
    /// When it holds more than this at one time.
    pub(crate) fn spend<T>(self, length: usize, work: impl FnOnce() -> T) -> T {
        let mut done = None;
        let peak = allocation_counter::measure(|| done = Some(work())).bytes_max;
        let allowed = self.fixed + self.per_byte * length as u64;
        assert!(peak <= allowed, "{peak} bytes were held for an input of {length}, and {allowed} are allowed");
        done.expect("the work was done")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_before_more_is_taken_counts_once() {
        let budget = Budget { fixed: 100, per_byte: 10 };
        budget.spend(1, || (0..9).for_each(|_| drop(std::hint::black_box(Vec::<u8>::with_capacity(110)))));
    }

    #[test]
    #[should_panic(expected = "111 bytes were held for an input of 1, and 110 are allowed")]
    fn a_byte_too_many_is_noticed() {
        Budget { fixed: 100, per_byte: 10 }.spend(1, || std::hint::black_box(Vec::<u8>::with_capacity(111)));
    }
}
