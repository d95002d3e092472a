//! One address of a list: what is published there, who holds it, and what probes say about it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::instance::Instance;
use super::event::Holder;
use crate::time::Instant;

/// How long an orphan stays at most without a session.
pub const ORPHAN_LIFE: Duration = Duration::from_secs(600);

/// Failed probes in a row after which an orphan leaves. Only probes of a server that reached it before count.
pub const PROBES_TO_LEAVE: u8 = 2;

/// Between a failed probe of an orphan and the next one: a dead process leaves within a second.
pub const PROBE_PAUSE: Duration = Duration::from_millis(500);

/// Between probes that say nothing new: of an orphan that answers, or that was never reached, and of one just published.
pub const PROBE_AGAIN: Duration = Duration::from_secs(5);

/// Tries to reach an instance that was just published; afterwards it is taken as out of this server's reach.
const FIRST_PROBES: u8 = 3;

/// Sessions that may hold one publication at once: the one of before a reconnect, the one of after, and repeats on their way.
const HOLDERS: usize = 8;

/// One address.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) instance: Arc<Instance>,
    standing: Standing,
    probing: Probing,
}

#[derive(Clone, Debug)]
enum Standing {
    Held(Vec<Holder>),
    Orphan { since: Instant },
}

/// Whether this server can reach the address, and when it tries next.
#[derive(Clone, Debug, Default)]
struct Probing {
    reached: bool,
    failures: u8,
    under_way: bool,
    due: Option<Instant>,
}

/// What a session's end means for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    NotHeld,
    StillHeld,
    Alone,
}

impl Entry {
    pub(super) fn held(instance: Arc<Instance>, holder: Holder, now: Instant) -> Self {
        Self { instance, standing: Standing::Held(vec![holder]), probing: Probing { due: Some(now), ..Probing::default() } }
    }

    pub(super) fn orphan(instance: Arc<Instance>, now: Instant) -> Self {
        Self { instance, standing: Standing::Orphan { since: now }, probing: Probing { due: Some(now), ..Probing::default() } }
    }

    pub(super) fn is_orphan(&self) -> bool {
        matches!(self.standing, Standing::Orphan { .. })
    }

    /// A newer publication of the same address: only its own session holds it.
    pub(super) fn replace(&mut self, instance: Arc<Instance>, holder: Holder) {
        self.instance = instance;
        self.standing = Standing::Held(vec![holder]);
        self.probing.failures = 0;
    }

    /// The same publication, perhaps over another session: after a reconnect both hold it until the older one's end is seen.
    pub(super) fn hold(&mut self, holder: Holder) {
        match &mut self.standing {
            Standing::Held(holders) => {
                if !holders.contains(&holder) {
                    holders.push(holder);
                    holders.drain(..holders.len().saturating_sub(HOLDERS));
                }
            }
            Standing::Orphan { .. } => {
                self.standing = Standing::Held(vec![holder]);
                self.probing.failures = 0;
            }
        }
    }

    /// Ends the hold of every holder that `ended` names. The caller decides what becomes of an entry that is alone.
    pub(super) fn release(&mut self, ended: impl Fn(&Holder) -> bool) -> Left {
        let Standing::Held(holders) = &mut self.standing else { return Left::NotHeld };
        let before = holders.len();
        holders.retain(|holder| !ended(holder));
        match (before == holders.len(), holders.is_empty()) {
            (true, _) => Left::NotHeld,
            (false, false) => Left::StillHeld,
            (false, true) => Left::Alone,
        }
    }

    pub(super) fn make_orphan(&mut self, now: Instant) {
        self.standing = Standing::Orphan { since: now };
        self.probing.failures = 0;
        self.probing.due = Some(now);
    }

    /// An orphan again after it was removed: a probe that was under way then has nobody to report to.
    pub(super) fn bring_back(&mut self, now: Instant) {
        self.probing.under_way = false;
        self.make_orphan(now);
    }

    /// Whether it has been without a session for too long.
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        matches!(self.standing, Standing::Orphan { since } if now >= since + ORPHAN_LIFE)
    }

    /// The address to probe now, if it is time.
    pub(super) fn take_probe(&mut self, now: Instant) -> Option<SocketAddr> {
        let is_due = self.probing.due.is_some_and(|due| due <= now);
        if !is_due || self.probing.under_way {
            return None;
        }
        self.probing.under_way = true;
        self.probing.due = None;
        Some(self.instance.address)
    }

    pub(super) fn probe_succeeded(&mut self, now: Instant) {
        let due = self.is_orphan().then(|| now + PROBE_AGAIN);
        self.probing = Probing { reached: true, due, ..Probing::default() };
    }

    /// Notes a failed probe; whether it is the one after which an orphan leaves.
    pub(super) fn probe_failed(&mut self, now: Instant) -> bool {
        let orphan = self.is_orphan();
        let probing = &mut self.probing;
        probing.under_way = false;
        probing.failures = probing.failures.saturating_add(1);
        probing.due = match (orphan, probing.reached) {
            (true, true) => Some(now + PROBE_PAUSE),
            (true, false) => Some(now + PROBE_AGAIN),
            (false, false) if probing.failures < FIRST_PROBES => Some(now + PROBE_AGAIN),
            (false, _) => None,
        };
        orphan && probing.reached && probing.failures >= PROBES_TO_LEAVE
    }

    /// When time alone changes something here.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        let probe = self.probing.due.filter(|_| !self.probing.under_way);
        let end = match self.standing {
            Standing::Orphan { since } => Some(since + ORPHAN_LIFE),
            Standing::Held(_) => None,
        };
        probe.into_iter().chain(end).min()
    }
}
