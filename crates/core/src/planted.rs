//! Planted bugs: one line each in the code whose promise it breaks, so that the simulator can show that its checkers fail.
//!
//! ```text
//! if Bug::SkipsLogSync.is_planted() { .. }       without the feature `faults`: constantly false, and compiled away
//!                                                with it: true on a thread that has armed that bug
//! ```
//! Only `settee-sim` enables the feature (`cargo xtask check --only tidy` holds it), and compiling a bug in does not arm it. Which invariant
//! each must break stands in `crates/sim/src/bank/plant.rs`. Left out: bugs in the code of users, which the simulator plants in
//! its own services.

use std::fmt;

macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident = $name:literal;)+) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bug {
            $($(#[$doc])* $bug,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$bug),+];

            /// The name that arms it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)+
                }
            }
        }
    };
}

bugs! {
    /// The log writes a group and does not sync it.
    SkipsLogSync = "skips-log-sync";
    /// The state store calls its file synced when it is not.
    SkipsStoreSync = "skips-store-sync";
    /// The log answers appends before it has written them.
    AcknowledgesBeforeSync = "acknowledges-before-sync";
    /// An opened log believes its last group although its checksum does not hold.
    TrustsTornTail = "trusts-torn-tail";

    /// An answer leaves before what it observed is durable (P4).
    AnswersBeforeItsGroup = "answers-before-its-group";
    /// A lane does not wait for the group in flight before it sends the next (P1).
    SecondGroupInFlight = "second-group-in-flight";
    /// A lane takes a group of unknown outcome for committed and goes on (P1).
    ForgetsUnknownGroup = "forgets-unknown-group";
    /// A group compares neither the owner's incarnation nor the lane's stamp (P1).
    DropsIncarnation = "drops-incarnation";
    /// A start takes the epoch of the owner before it again (P2).
    ReusesEpoch = "reuses-epoch";

    /// A coordinator starts without the transactions that are open.
    ForgetsRecovery = "forgets-recovery";
    /// Phase two leaves before its decision is durable.
    SendsBeforeDecision = "sends-before-decision";
    /// A commit whose answers were lost says that it did not happen.
    CommitCallsUnknownFailed = "commit-calls-unknown-failed";
    /// A repeated try runs again, also after a cancel.
    RepeatsTries = "repeats-tries";
    /// A repeated cancel runs again.
    RepeatsCancels = "repeats-cancels";
    /// A cancel that meets no row leaves none.
    ForgetsEmptyCancels = "forgets-empty-cancels";
    /// A repeated try answers without the branches that the first one joined (P5).
    ForgetsJoins = "forgets-joins";

    /// A row of the outbox is committed by itself, before the rest of its transaction.
    CommitsOutboxAlone = "commits-outbox-alone";
    /// A relay removes rows before they are published.
    ForgetsBeforePublishing = "forgets-before-publishing";
    /// Every message is new to the inbox.
    ForgetsInbox = "forgets-inbox";
    /// A consumer acknowledges a message while its handler runs.
    AcknowledgesFirst = "acknowledges-first";
    /// A partition stores a repeated message again.
    StoresRepeats = "stores-repeats";
    /// An append does not say which tail it expects (P3).
    ForgetsExpectedTail = "forgets-expected-tail";
    /// The stored cursor of a group passes over messages that are not done (P9).
    CursorRunsAhead = "cursor-runs-ahead";
    /// Messages of one key are delivered side by side.
    MixesKeys = "mixes-keys";
    /// A consumer is sent more than its credit.
    ExceedsCredit = "exceeds-credit";
    /// The task of a delivery never ends.
    LeaksTasks = "leaks-tasks";

    /// A new follower of a service is sent an empty list first (P7).
    PushesEmptyList = "pushes-empty-list";
    /// Many sessions that close at once are believed (P7).
    BelievesManyCloses = "believes-many-closes";

    /// A run is known by the moment at which it is planned, not by its due time (P8).
    RunsByNow = "runs-by-now";
    /// A new owner takes a run that may have been offered for one that was not (P8).
    ForgetsDoubt = "forgets-doubt";
    /// A run that may happen once is tried again when its worker dies.
    RepeatsRuns = "repeats-runs";
    /// A worker does not remember what it was asked (P8).
    WorkerForgetsRuns = "worker-forgets-runs";

    /// A rate lets one call more through than it may.
    AdmitsOverRate = "admits-over-rate";
    /// A breaker that has opened stays open.
    BreakerNeverProbes = "breaker-never-probes";
    /// A breaker that is half open lets every call through.
    ProbesWithoutLimit = "probes-without-limit";

    /// A call of unknown outcome is sent again although its method may not be repeated.
    RetriesUnknown = "retries-unknown";
    /// A call is retried until its deadline, whatever the budget.
    RetriesWithoutEnd = "retries-without-end";
    /// A call whose outcome is unknown is reported as not done.
    CallsUnknownFailed = "calls-unknown-failed";
    /// A deadline crosses the wire as a moment of the wall clock.
    WallClockDeadline = "wall-clock-deadline";
    /// An answer goes to the oldest call that waits on the connection.
    AnswersTheOldestCall = "answers-the-oldest-call";
}

impl Bug {
    /// The bug with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| bug.name() == name)
    }

    /// Whether the code that asks must misbehave.
    #[cfg(not(feature = "faults"))]
    #[inline]
    #[must_use]
    pub const fn is_planted(self) -> bool {
        false
    }

    /// Whether the code that asks must misbehave: this thread has armed this bug.
    #[cfg(feature = "faults")]
    #[inline]
    #[must_use]
    pub fn is_planted(self) -> bool {
        armed::ARMED.get() == Some(self)
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

#[cfg(feature = "faults")]
pub use armed::arm;

#[cfg(feature = "faults")]
mod armed {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        /// Of the thread and not of the process: a simulated seed is one thread, and others run beside it in tests.
        pub(super) static ARMED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Arms `bug`, or none, on this thread from here on.
    pub fn arm(bug: Option<Bug>) {
        ARMED.set(bug);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_bug_is_found_by_its_own_name_and_none_is_armed_by_itself() {
        let names: BTreeSet<_> = Bug::ALL.iter().map(|bug| bug.name()).collect();
        assert_eq!(names.len(), Bug::ALL.len());
        for bug in Bug::ALL {
            assert_eq!(Bug::named(bug.name()), Some(*bug));
            assert!(!bug.is_planted(), "{bug}");
        }
    }

    #[cfg(feature = "faults")]
    #[test]
    #[expect(clippy::disallowed_methods, reason = "that another thread is not affected is what is tested")]
    fn a_bug_is_armed_on_its_own_thread_and_on_no_other() {
        let armed = std::thread::spawn(|| {
            arm(Some(Bug::SkipsLogSync));
            let both = (Bug::SkipsLogSync.is_planted(), Bug::SkipsStoreSync.is_planted());
            arm(None);
            (both, Bug::SkipsLogSync.is_planted())
        });
        assert_eq!(armed.join().unwrap(), ((true, false), false));
        assert!(!Bug::SkipsLogSync.is_planted());
    }
}
