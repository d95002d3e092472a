//! Randomness of the operating system, fetched ahead: every call draws several ids, and a system call for each of them would
//! cost more than all the rest of tracing.
//!
//! Each thread has a little of its own. What was given is wiped, so that memory never tells an id that was drawn before.

use std::cell::RefCell;

/// Fetched at once: some hundred calls' worth of ids, because what the system call costs by itself is as much as drawing many bytes.
const AHEAD_BYTES: usize = 2_048;

/// More than this is fetched for itself.
const LARGEST_TAKEN: usize = 64;

thread_local! {
    static AHEAD: RefCell<Ahead> = const { RefCell::new(Ahead { bytes: [0; AHEAD_BYTES], left: 0 }) };
}

struct Ahead {
    bytes: [u8; AHEAD_BYTES],
    /// How many of them, from the front, were not given yet.
    left: usize,
}

pub(super) fn fill(bytes: &mut [u8]) {
    if bytes.len() > LARGEST_TAKEN {
        return fetch(bytes);
    }
    AHEAD.with_borrow_mut(|ahead| ahead.give(bytes));
}

impl Ahead {
    fn give(&mut self, bytes: &mut [u8]) {
        if self.left < bytes.len() {
            fetch(&mut self.bytes);
            self.left = AHEAD_BYTES;
        }
        let from = self.left - bytes.len();
        bytes.copy_from_slice(&self.bytes[from..self.left]);
        self.bytes[from..self.left].fill(0);
        self.left = from;
    }
}

fn fetch(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives randomness");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn drawn<const N: usize>() -> [u8; N] {
        let mut bytes = [0; N];
        fill(&mut bytes);
        bytes
    }

    #[test]
    fn nothing_is_given_twice_whatever_sizes_are_drawn() {
        let mut seen = BTreeSet::new();
        for _ in 0..1_000 {
            assert!(seen.insert(drawn::<16>().to_vec()) && seen.insert(drawn::<7>().to_vec()));
            assert!(seen.insert(drawn::<LARGEST_TAKEN>().to_vec()) && seen.insert(drawn::<100>().to_vec()));
        }
    }

    #[test]
    fn what_was_given_is_gone_from_memory() {
        let mut ahead = Ahead { bytes: [7; AHEAD_BYTES], left: 8 };
        let mut bytes = [0; 6];
        ahead.give(&mut bytes);
        assert_eq!((bytes, ahead.left, &ahead.bytes[..8]), ([7; 6], 2, &[7, 7, 0, 0, 0, 0, 0, 0][..]));
    }
}
