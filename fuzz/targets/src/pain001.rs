//! A file of transfers as ISO 20022 `pain.001`. The format is told by the first character; the checks are the same for all.

use crate::transfers;

/// Checks one input.
///
/// # Panics
/// When something does not hold.
pub fn one(input: &[u8]) {
    transfers::check(input);
}
