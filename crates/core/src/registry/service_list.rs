//! By which evidence an instance enters and leaves the list of its service (`PROTOCOLS.md` P7).
//!
//! ```text
//!              published                     its last session closed, by the peer
//!   (absent) ------------> Held ------------------------------------------------> (absent)
//!       ^                   | ^
//!       |  close not by the | | published again
//!       |  peer, many close | |
//!       |  at once, server  v |
//!       +---------------- Orphan       withdrawn | 2 failed probes of a server that reached it before | 10 minutes
//! ```
//! Many at once: more than one instance and more than a fifth of the service within two seconds. The first of them has left the
//! list by then, and comes back as an orphan. Left out: who probes, who pushes, and where lists are kept.

mod entry;
mod event;

pub use entry::{ORPHAN_LIFE, PROBE_AGAIN, PROBE_PAUSE, PROBES_TO_LEAVE};
pub use event::{Effect, Event, Holder};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::entry::{Entry, Left};
use super::instance::{Instance, PublicationId};
use super::list::{Change, Delta, InstanceList, ListVersion};
use crate::planted::Bug;
use crate::time::Instant;

/// Within this time closes count together: a dying switch or server ends its sessions faster than that.
pub const CLOSE_WINDOW: Duration = Duration::from_secs(2);

/// One in so many instances of a service may close within the window and be believed.
const BELIEVED_SHARE: usize = 5;

/// How long a withdrawal stands against a repeat of its own publication that is still on its way: far above any call's timeout.
pub const WITHDRAWN_KEPT: Duration = Duration::from_secs(60);

/// Withdrawals remembered at most: a whole service of the largest size.
const WITHDRAWALS: usize = 4_096;

/// The list of one service, with the evidence behind it.
#[derive(Clone, Debug)]
pub struct ServiceList {
    version: ListVersion,
    complete: bool,
    grace_ends: Option<Instant>,
    inherited: bool,
    checksum: u64,
    entries: BTreeMap<SocketAddr, Entry>,
    closed: BTreeMap<SocketAddr, Closed>,
    withdrawn: BTreeMap<SocketAddr, Withdrawal>,
    timer: Option<Instant>,
}

/// An address whose last session closed within the window; with what was removed, unless it is back or withdrawn.
#[derive(Clone, Debug)]
struct Closed {
    at: Instant,
    removed: Option<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Withdrawal {
    publication: PublicationId,
    at: Instant,
}

/// What one event came to.
#[derive(Default)]
struct Step {
    changes: Vec<Change>,
    superseded: Option<PublicationId>,
}

impl ServiceList {
    /// An empty list behind `version`. It is incomplete until `grace_ends`, when every publisher has had the time to come back,
    /// or until everything that was inherited is accounted for. `None` while no publisher can reach the registry: then
    /// [`Event::Opened`] tells when the grace ends.
    #[must_use]
    pub fn new(version: ListVersion, grace_ends: impl Into<Option<Instant>>, now: Instant) -> Self {
        let grace_ends = grace_ends.into();
        Self {
            version,
            complete: grace_ends.is_some_and(|ends| now >= ends),
            grace_ends,
            inherited: false,
            checksum: 0,
            entries: BTreeMap::new(),
            closed: BTreeMap::new(),
            withdrawn: BTreeMap::new(),
            timer: grace_ends.filter(|ends| *ends > now),
        }
    }

    /// The version of the list.
    #[must_use]
    pub fn version(&self) -> ListVersion {
        self.version
    }

    /// The list as subscribers see it; orphans are in it.
    #[must_use]
    pub fn list(&self) -> InstanceList {
        let instances = self.entries.values().map(|entry| entry.instance.clone()).collect();
        InstanceList { version: self.version, instances, complete: self.complete }
    }

    /// How many instances there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is published.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether someone is published at `address`.
    #[must_use]
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.entries.contains_key(&address)
    }

    /// The addresses that nobody speaks for.
    pub fn orphans(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.entries.iter().filter(|(_, entry)| entry.is_orphan()).map(|(address, _)| *address)
    }

    /// Whether forgetting this list would forget nothing.
    #[must_use]
    pub fn is_forgettable(&self, now: Instant) -> bool {
        let withdrawals_are_old = self.withdrawn.values().all(|withdrawal| withdrawal.is_old(now));
        let closes_are_old = self.closed.values().all(|closed| closed.is_old(now));
        self.entries.is_empty() && self.complete && withdrawals_are_old && closes_are_old
    }

    /// When [`Event::Tick`] is due.
    #[must_use]
    pub fn next_timer(&self) -> Option<Instant> {
        self.timer
    }

    /// Takes in what happened; what must be done about it, in order.
    pub fn apply(&mut self, event: Event, now: Instant) -> Vec<Effect> {
        self.closed.retain(|_, closed| !closed.is_old(now));
        self.withdrawn.retain(|_, withdrawal| !withdrawal.is_old(now));
        let mut step = Step::default();
        match event {
            Event::Published { instance, holder } => self.published(instance, holder, now, &mut step),
            Event::Withdrawn { address, publication } => self.withdraw(address, publication, now, &mut step),
            Event::SessionClosed { holder, by_peer } => self.session_closed(holder, by_peer, now, &mut step),
            Event::ServerDied { server } => self.server_died(server, now),
            Event::Opened { grace_ends } => self.grace_ends = Some(grace_ends),
            Event::Inherited { instances } => self.inherit(instances, now, &mut step),
            Event::ProbeSucceeded { address } => self.probe_succeeded(address, now),
            Event::ProbeFailed { address } => self.probe_failed(address, now, &mut step),
            Event::Tick => self.give_up(now, &mut step),
        }
        self.finish(step, now)
    }

    fn published(&mut self, instance: Arc<Instance>, holder: Holder, now: Instant, step: &mut Step) {
        let (address, publication) = (instance.address, instance.publication);
        let withdrawal = self.withdrawn.get(&address).map(|withdrawal| withdrawal.publication);
        if let Some(withdrawn) = withdrawal.filter(|withdrawn| withdrawn.covers(publication)) {
            step.superseded = Some(withdrawn);
            return;
        }
        match self.entries.get_mut(&address) {
            // Numbers are drawn from clocks. A process that started with its clock set back must not be refused for as long as the
            // one before it, of which nobody speaks any more, can be reached at what is now its own address.
            Some(entry) if entry.instance.publication > publication && !entry.is_orphan() => {
                step.superseded = Some(entry.instance.publication);
                return;
            }
            Some(entry) if entry.instance.publication == publication => entry.hold(holder),
            Some(entry) => {
                self.checksum = self.checksum.wrapping_sub(entry.instance.digest()).wrapping_add(instance.digest());
                entry.replace(instance.clone(), holder);
                step.changes.push(Change::Updated(instance));
            }
            None => self.insert(Entry::held(instance, holder, now), step),
        }
        // It is back: many closes at once must not bring back what was there before.
        if let Some(closed) = self.closed.get_mut(&address) {
            closed.removed = None;
        }
    }

    fn withdraw(&mut self, address: SocketAddr, publication: PublicationId, now: Instant, step: &mut Step) {
        if self.entries.get(&address).is_some_and(|entry| entry.instance.publication <= publication) {
            self.remove(address, step);
        }
        // A close that is explained by a deregistration is no sign of an outage.
        self.closed.remove(&address);
        let stands = self.withdrawn.get(&address).is_some_and(|withdrawal| withdrawal.publication.covers(publication));
        if !stands {
            self.withdrawn.insert(address, Withdrawal { publication, at: now });
        }
        if self.withdrawn.len() > WITHDRAWALS
            && let Some(oldest) = self.withdrawn.iter().min_by_key(|(_, withdrawal)| withdrawal.at).map(|(address, _)| *address)
        {
            self.withdrawn.remove(&oldest);
        }
    }

    fn session_closed(&mut self, holder: Holder, by_peer: bool, now: Instant, step: &mut Step) {
        let alone = self.release(|held| *held == holder);
        if by_peer {
            self.closed.extend(alone.iter().map(|address| (*address, Closed { at: now, removed: None })));
        }
        if by_peer && (!self.many_closed() || Bug::BelievesManyCloses.is_planted()) {
            for address in alone {
                let removed = self.remove(address, step);
                self.closed.insert(address, Closed { at: now, removed });
            }
            return;
        }
        self.make_orphans(&alone, now);
        if by_peer && !alone.is_empty() {
            self.bring_back(now, step);
        }
    }

    /// More than one instance, and more than a fifth of those that there were.
    fn many_closed(&self) -> bool {
        let gone = self.closed.keys().filter(|address| !self.entries.contains_key(address)).count();
        self.closed.len() > 1 && self.closed.len() * BELIEVED_SHARE > self.entries.len() + gone
    }

    /// What the first of many closes removed is an orphan too.
    fn bring_back(&mut self, now: Instant, step: &mut Step) {
        let removed: Vec<_> = self.closed.values_mut().filter_map(|closed| closed.removed.take()).collect();
        for mut entry in removed {
            entry.bring_back(now);
            self.insert(entry, step);
        }
    }

    fn server_died(&mut self, server: u64, now: Instant) {
        let alone = self.release(|held| held.server == server);
        self.make_orphans(&alone, now);
    }

    fn inherit(&mut self, instances: Vec<Arc<Instance>>, now: Instant, step: &mut Step) {
        self.inherited = true;
        for instance in instances {
            let withdrawn = self.withdrawn.get(&instance.address);
            let is_withdrawn = withdrawn.is_some_and(|withdrawal| withdrawal.publication.covers(instance.publication));
            if !is_withdrawn && !self.entries.contains_key(&instance.address) {
                self.insert(Entry::orphan(instance, now), step);
            }
        }
    }

    fn probe_succeeded(&mut self, address: SocketAddr, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.probe_succeeded(now);
        }
    }

    fn probe_failed(&mut self, address: SocketAddr, now: Instant, step: &mut Step) {
        if self.entries.get_mut(&address).is_some_and(|entry| entry.probe_failed(now)) {
            self.remove(address, step);
        }
    }

    fn give_up(&mut self, now: Instant, step: &mut Step) {
        let given_up: Vec<_> =
            self.entries.iter().filter(|(_, entry)| entry.is_given_up(now)).map(|(address, _)| *address).collect();
        for address in given_up {
            self.remove(address, step);
        }
    }

    /// The addresses that nobody holds once the holders that `ended` names are gone.
    fn release(&mut self, ended: impl Fn(&Holder) -> bool) -> Vec<SocketAddr> {
        let alone = |(address, entry): (&SocketAddr, &mut Entry)| (entry.release(&ended) == Left::Alone).then_some(*address);
        self.entries.iter_mut().filter_map(alone).collect()
    }

    fn make_orphans(&mut self, addresses: &[SocketAddr], now: Instant) {
        for address in addresses {
            if let Some(entry) = self.entries.get_mut(address) {
                entry.make_orphan(now);
            }
        }
    }

    fn insert(&mut self, entry: Entry, step: &mut Step) {
        self.checksum = self.checksum.wrapping_add(entry.instance.digest());
        step.changes.push(Change::Added(entry.instance.clone()));
        self.entries.insert(entry.instance.address, entry);
    }

    fn remove(&mut self, address: SocketAddr, step: &mut Step) -> Option<Entry> {
        let entry = self.entries.remove(&address)?;
        self.checksum = self.checksum.wrapping_sub(entry.instance.digest());
        step.changes.push(Change::Removed(address));
        Some(entry)
    }

    fn finish(&mut self, step: Step, now: Instant) -> Vec<Effect> {
        let accounted_for = self.inherited && !self.entries.values().any(Entry::is_orphan);
        let complete = self.complete || accounted_for || self.grace_ends.is_some_and(|ends| now >= ends);
        let mut effects: Vec<_> = step.superseded.map(Effect::Superseded).into_iter().collect();
        if !step.changes.is_empty() || complete != self.complete {
            let (from, to) = (self.version, ListVersion { n: self.version.n + 1, ..self.version });
            (self.version, self.complete) = (to, complete);
            effects.push(Effect::Changed(Delta { from, to, changes: step.changes, complete, checksum: self.checksum }));
        }
        effects.extend(self.entries.values_mut().filter_map(|entry| entry.take_probe(now)).map(Effect::Probe));
        let grace = self.grace_ends.filter(|_| !self.complete);
        self.timer = self.entries.values().filter_map(Entry::next_timer).chain(grace).min();
        effects
    }
}

impl Closed {
    fn is_old(&self, now: Instant) -> bool {
        now > self.at + CLOSE_WINDOW
    }
}

impl Withdrawal {
    fn is_old(&self, now: Instant) -> bool {
        now > self.at + WITHDRAWN_KEPT
    }
}

#[cfg(test)]
#[path = "service_list_test.rs"]
mod tests;
