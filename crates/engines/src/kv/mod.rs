//! What our two key-value engines share: [`limits`], how a compare is judged, and the history that watches read.

pub(crate) mod changes;
pub mod limits;

use settee_core::id::Revision;
use settee_core::port::Compare;

/// Whether `compare` holds for a key whose value and revision are `present`.
pub(crate) fn holds(compare: &Compare, present: Option<(&[u8], Revision)>) -> bool {
    match (compare, present) {
        (Compare::Absent(_), present) => present.is_none(),
        (Compare::Revision(_, wanted), Some((_, revision))) => revision == *wanted,
        (Compare::Value(_, wanted), Some((value, _))) => value == wanted.as_ref(),
        (Compare::Revision(..) | Compare::Value(..), None) => false,
    }
}

/// The key that `compare` is about.
pub(crate) fn compared_key(compare: &Compare) -> &[u8] {
    match compare {
        Compare::Absent(key) | Compare::Revision(key, _) | Compare::Value(key, _) => key,
    }
}
