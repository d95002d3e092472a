//! What the absence of a record proves (P6): "never begun" only if it cannot have been forgotten.

use crate::id::{Generation, Xid};

/// What it means that there is no record of an xid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It was never begun and never decided: it may be presumed aborted.
    NeverBegun,
    /// Records of its age have been deleted, or lost by a restore: nothing may be presumed.
    MayBeForgotten,
}

impl Absence {
    /// Judges an xid without a record, by the present `generation` of the store and the shard's forgetting mark: the highest
    /// counter of a transaction whose records were deleted.
    #[must_use]
    pub fn judge(xid: Xid, generation: Generation, forgotten_to: Option<u64>) -> Self {
        let is_current = xid.generation() == generation;
        let is_above_mark = forgotten_to.is_none_or(|mark| xid.counter() > mark);
        if is_current && is_above_mark { Self::NeverBegun } else { Self::MayBeForgotten }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ShardId;

    #[test]
    fn nothing_is_presumed_aborted_that_a_restore_or_the_sweeper_may_have_forgotten() {
        let xid = |generation, counter| Xid::new(ShardId(1), Generation(generation), counter, 9);
        let cases = [
            (xid(2, 0), None, Absence::NeverBegun),
            (xid(2, 6), Some(5), Absence::NeverBegun),
            (xid(2, 5), Some(5), Absence::MayBeForgotten),
            (xid(1, 6), Some(5), Absence::MayBeForgotten),
            (xid(3, 6), None, Absence::MayBeForgotten),
        ];
        for (xid, mark, expected) in cases {
            assert_eq!(Absence::judge(xid, Generation(2), mark), expected, "{xid} above {mark:?}");
        }
    }
}
