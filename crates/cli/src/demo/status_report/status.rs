//! The words of ISO 20022 for how a transfer, and a group of them, ended.

use super::super::driver::Answer;

/// A status as ISO 20022 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// The money moved.
    Settled,
    /// It did not, and will not.
    Rejected,
    /// Nobody could tell; it may have moved.
    Pending,
    /// Of a group: some of its transfers were settled, and others not.
    Partly,
}

impl Status {
    /// Of one transfer.
    pub(super) fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Accepted(_) => Self::Settled,
            Answer::Refused(_) => Self::Rejected,
            Answer::Unknown => Self::Pending,
        }
    }

    /// Its code.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Settled => "ACSC",
            Self::Rejected => "RJCT",
            Self::Pending => "PDNG",
            Self::Partly => "PART",
        }
    }
}

/// How many transfers of a group ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    settled: usize,
    rejected: usize,
    pending: usize,
}

impl Counts {
    /// Of these transfers.
    pub(super) fn of(answers: &[Answer]) -> Self {
        let count = |status: Status| answers.iter().filter(|answer| Status::of(answer) == status).count();
        Self { settled: count(Status::Settled), rejected: count(Status::Rejected), pending: count(Status::Pending) }
    }

    /// The status of the group. "Partly" says that something was settled, so a group of which nothing is known is pending.
    pub(super) fn status(self) -> Status {
        match self {
            Self { rejected: 0, pending: 0, .. } => Status::Settled,
            Self { settled: 0, pending: 0, .. } => Status::Rejected,
            Self { settled: 0, .. } => Status::Pending,
            _ => Status::Partly,
        }
    }

    /// Each status that occurs, and how often.
    pub(super) fn each(self) -> impl Iterator<Item = (Status, usize)> {
        let all = [(Status::Settled, self.settled), (Status::Rejected, self.rejected), (Status::Pending, self.pending)];
        all.into_iter().filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_never_says_more_than_its_transfers() {
        let (settled, rejected, unknown) = (Answer::Accepted(None), Answer::Refused("AM04".into()), Answer::Unknown);
        for (answers, code) in [
            (vec![&settled, &settled], "ACSC"),
            (vec![&rejected, &rejected], "RJCT"),
            (vec![&settled, &rejected], "PART"),
            (vec![&settled, &unknown], "PART"),
            (vec![&settled, &rejected, &unknown], "PART"),
            (vec![&unknown, &unknown], "PDNG"),
            (vec![&rejected, &unknown], "PDNG"),
        ] {
            let answers: Vec<_> = answers.into_iter().cloned().collect();
            assert_eq!(Counts::of(&answers).status().code(), code, "{answers:?}");
        }
    }
}
