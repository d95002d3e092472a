//! Planted bugs, and the invariant that each must break: what a checker must find, or it checks nothing.
//!
//! Nearly all are in the product (`settee_core::planted`) and are armed on the thread of a seed. The others cannot be: what the
//! code of users does wrong, and what becomes of a disk.

use std::fmt;

use settee_core::planted::Bug;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// One line of the product.
    Product(Bug),
    /// The credit of a transfer adds a cent too much, now and then.
    MintsMoney,
    /// A resource takes writes of a coordinator that was replaced.
    IgnoresTokens,
    /// A bit of the server's disk rots while its process is down.
    RotsDisk,
}

/// Those that are not in the product.
const OUTSIDE: [Plant; 3] = [Plant::MintsMoney, Plant::IgnoresTokens, Plant::RotsDisk];

impl Plant {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Bug::ALL.iter().copied().map(Self::Product).chain(OUTSIDE)
    }

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Product(bug) => bug.name(),
            Self::MintsMoney => "mints-money",
            Self::IgnoresTokens => "ignores-tokens",
            Self::RotsDisk => "rots-disk",
        }
    }

    /// The bug with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|plant| plant.name() == name)
    }

    /// What is armed in the product.
    #[must_use]
    pub const fn bug(self) -> Option<Bug> {
        match self {
            Self::Product(bug) => Some(bug),
            _ => None,
        }
    }

    /// The invariant that must not hold with it.
    #[must_use]
    pub const fn breaks(self) -> &'static str {
        match self {
            Self::Product(bug) => broken_by(bug),
            Self::MintsMoney => "I1",
            Self::IgnoresTokens => "I7",
            Self::RotsDisk => "I15",
        }
    }

    /// Whether it is found on the server's own disk only, and not in engines beside the nodes.
    #[must_use]
    pub(super) const fn needs_disk(self) -> bool {
        use Bug::{AcknowledgesBeforeSync, SkipsLogSync, SkipsStoreSync, TrustsTornTail};
        matches!(self, Self::RotsDisk | Self::Product(SkipsLogSync | SkipsStoreSync | AcknowledgesBeforeSync | TrustsTornTail))
    }
}

const fn broken_by(bug: Bug) -> &'static str {
    use Bug::*;
    match bug {
        RepeatsTries | RepeatsCancels => "I1",
        SecondGroupInFlight | ForgetsUnknownGroup | ForgetsRecovery | SendsBeforeDecision | ForgetsEmptyCancels
        | ForgetsJoins | CommitsOutboxAlone => "I2",
        AcknowledgesBeforeSync | TrustsTornTail | AcknowledgesFirst | CursorRunsAhead | ForgetsExpectedTail => "I3",
        ForgetsBeforePublishing | ForgetsInbox | StoresRepeats => "I4",
        MixesKeys => "I5",
        AnswersBeforeItsGroup | DropsIncarnation | RunsByNow | ForgetsDoubt | RepeatsRuns | WorkerForgetsRuns => "I6",
        ReusesEpoch => "I7",
        PushesEmptyList | BelievesManyCloses => "I8",
        AdmitsOverRate | BreakerNeverProbes | ProbesWithoutLimit => "I9",
        RetriesUnknown | RetriesWithoutEnd | CallsUnknownFailed | WallClockDeadline | AnswersTheOldestCall => "I10",
        ExceedsCredit | LeaksTasks => "I13",
        SkipsLogSync | SkipsStoreSync => "I15",
        CommitCallsUnknownFailed => "I16",
    }
}

impl fmt::Display for Plant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// A trigger in a ledger.
pub(super) const MINTING: &str =
    "CREATE TRIGGER IF NOT EXISTS mint AFTER INSERT ON entries WHEN NEW.minor > 0 AND NEW.minor % 3 = 0
    BEGIN UPDATE accounts SET balance_minor = balance_minor + 1 WHERE account = NEW.account; END";
