//! Planted bugs: what a checker must find, or it checks nothing. None of them touches the product; each is armed by name.

use std::fmt;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The credit of a transfer adds a cent too much, now and then.
    MintsMoney,
    /// Participants forget a branch as soon as its try is made, so that phase two finds nothing.
    ForgetsFence,
    /// The server's disk says "synced" and has not synced.
    DropsSyncs,
    /// A service publishes that a transfer is settled before it is.
    PublishesBeforeCommit,
    /// Consumers forget which messages they have processed.
    ForgetsInbox,
    /// A consumer acknowledges a message, and has its effect later.
    AcknowledgesFirst,
    /// A job that must not repeat is declared as one that may.
    RepeatsRuns,
    /// A resource takes writes of a coordinator that was replaced.
    IgnoresTokens,
    /// The registry pushes an empty list now and then.
    PushesEmptyList,
    /// A bit of the server's disk rots while its process is down.
    RotsDisk,
    /// A caller takes an unknown outcome for a failure.
    UnknownIsFailure,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::MintsMoney,
        Self::ForgetsFence,
        Self::DropsSyncs,
        Self::PublishesBeforeCommit,
        Self::ForgetsInbox,
        Self::AcknowledgesFirst,
        Self::RepeatsRuns,
        Self::IgnoresTokens,
        Self::PushesEmptyList,
        Self::RotsDisk,
        Self::UnknownIsFailure,
    ];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MintsMoney => "mints-money",
            Self::ForgetsFence => "forgets-fence",
            Self::DropsSyncs => "drops-syncs",
            Self::PublishesBeforeCommit => "publishes-before-commit",
            Self::ForgetsInbox => "forgets-inbox",
            Self::AcknowledgesFirst => "acknowledges-first",
            Self::RepeatsRuns => "repeats-runs",
            Self::IgnoresTokens => "ignores-tokens",
            Self::PushesEmptyList => "pushes-empty-list",
            Self::RotsDisk => "rots-disk",
            Self::UnknownIsFailure => "unknown-is-failure",
        }
    }

    /// The invariants of which one must not hold with it.
    #[must_use]
    pub const fn breaks(self) -> &'static [&'static str] {
        match self {
            Self::MintsMoney => &["I1"],
            Self::ForgetsFence => &["I2"],
            Self::DropsSyncs => &["I2", "I3", "I15"],
            Self::PublishesBeforeCommit => &["I4"],
            // The service's own key refuses the second effect, so its message is never done, or becomes a dead letter.
            Self::ForgetsInbox => &["I3", "I4"],
            Self::AcknowledgesFirst => &["I3", "I5"],
            Self::RepeatsRuns => &["I6"],
            Self::IgnoresTokens => &["I7"],
            Self::PushesEmptyList => &["I8"],
            Self::RotsDisk => &["I15"],
            Self::UnknownIsFailure => &["I16"],
        }
    }

    /// The bug with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plant| plant.name() == name)
    }
}

impl fmt::Display for Plant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Triggers in a ledger.
pub(super) const MINTING: &str =
    "CREATE TRIGGER IF NOT EXISTS mint AFTER INSERT ON entries WHEN NEW.minor > 0 AND NEW.minor % 3 = 0
    BEGIN UPDATE accounts SET balance_minor = balance_minor + 1 WHERE account = NEW.account; END";
pub(super) const FORGETTING_FENCE: &str =
    "CREATE TRIGGER IF NOT EXISTS forget AFTER UPDATE OF state ON settee_fence WHEN NEW.state = 1
    BEGIN DELETE FROM settee_fence WHERE xid = NEW.xid AND branch = NEW.branch; END";
pub(super) const FORGETTING_INBOX: &str = "CREATE TRIGGER IF NOT EXISTS forget AFTER INSERT ON settee_inbox
    BEGIN DELETE FROM settee_inbox WHERE message_id = NEW.message_id; END";
