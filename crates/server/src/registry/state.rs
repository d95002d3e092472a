//! Every list of a server, and who is told of its changes. One lock guards it all; nothing here waits.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::Arc;

use settee::registry::control::ServiceView;
use settee::rpc::{Page, SessionId};
use settee_core::error::{ErrorKind, codes};
use settee_core::id::Epoch;
use settee_core::registry::{Effect, Event, InstanceList, ListVersion, PublicationId, ServiceList};
use settee_core::{Error, Instant};
use tokio::sync::watch;

use super::sessions::Held;
use crate::page::PageFilling;

/// Services of one registry at most: a caller that makes names up must not fill the memory.
const SERVICES: usize = 10_000;

/// Instances of one service at most: with the longest texts they still fit one frame of 4 MiB.
const INSTANCES: usize = 4_000;

/// Streams that follow one service at most: as many as a listener has connections.
const SUBSCRIBERS: usize = 10_000;

/// Bytes of a service's name at most.
const NAME_BYTES: usize = 200;

/// All lists.
pub(super) struct State {
    epoch: Epoch,
    /// `None` until publishers can reach the registry.
    grace_ends: Option<Instant>,
    services: BTreeMap<String, Served>,
    pub(super) sessions: BTreeMap<SessionId, Held>,
    /// The highest count of a list that was forgotten: one that is made anew goes on behind it, so no version is used twice.
    forgotten: u64,
    subscriptions: u64,
}

/// One service.
pub(super) struct Served {
    list: ServiceList,
    shown: watch::Sender<Arc<InstanceList>>,
    subscribers: BTreeMap<u64, watch::Receiver<ListVersion>>,
}

/// What is left to be done after an event.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) probes: Vec<SocketAddr>,
    pub(super) superseded: Option<PublicationId>,
}

/// What a new subscriber gets: its number, the lists to follow, and where it notes what it has sent.
pub(super) struct Subscription {
    pub(super) id: u64,
    pub(super) lists: watch::Receiver<Arc<InstanceList>>,
    pub(super) sent: watch::Sender<ListVersion>,
}

impl State {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { epoch, grace_ends: None, services: BTreeMap::new(), sessions: BTreeMap::new(), forgotten: 0, subscriptions: 0 }
    }

    /// Publishers can reach the registry from now on.
    pub(super) fn opened(&mut self, grace_ends: Instant, now: Instant) {
        self.grace_ends = Some(grace_ends);
        for served in self.services.values_mut() {
            let _nothing_is_published_here = served.apply(Event::Opened { grace_ends }, now);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.services.len()
    }

    /// The service of this name, empty if it was not known.
    pub(super) fn served(&mut self, service: &str, now: Instant) -> Result<&mut Served, Error> {
        if !self.services.contains_key(service) {
            self.check_new(service)?;
            let version = ListVersion { epoch: self.epoch, n: self.forgotten };
            self.services.insert(service.to_owned(), Served::new(ServiceList::new(version, self.grace_ends, now)));
        }
        self.services.get_mut(service).ok_or_else(|| full(service, "services", SERVICES))
    }

    fn check_new(&self, service: &str) -> Result<(), Error> {
        if service.is_empty() || service.len() > NAME_BYTES {
            let message = format!("look up a service: its name has {} bytes, 1 to {NAME_BYTES} are allowed", service.len());
            return Err(Error::new(ErrorKind::Invalid, codes::BAD_PUBLICATION, message));
        }
        if self.services.len() >= SERVICES { Err(full(service, "services", SERVICES)) } else { Ok(()) }
    }

    pub(super) fn apply(&mut self, service: &str, event: Event, now: Instant) -> Result<Outcome, Error> {
        let served = self.served(service, now)?;
        if let Event::Published { instance, .. } = &event
            && served.list.len() >= INSTANCES
            && !served.list.contains(instance.address)
        {
            return Err(full(service, "instances", INSTANCES));
        }
        Ok(served.apply(event, now))
    }

    pub(super) fn version(&self, service: &str) -> ListVersion {
        self.services.get(service).map(|served| served.list.version()).unwrap_or_default()
    }

    pub(super) fn subscribe(&mut self, service: &str, now: Instant) -> Result<Subscription, Error> {
        let id = self.subscriptions;
        let served = self.served(service, now)?;
        if served.subscribers.len() >= SUBSCRIBERS {
            return Err(full(service, "subscribers", SUBSCRIBERS));
        }
        let (sent, seen) = watch::channel(ListVersion::default());
        served.subscribers.insert(id, seen);
        let lists = served.follow();
        self.subscriptions += 1;
        Ok(Subscription { id, lists, sent })
    }

    pub(super) fn unsubscribe(&mut self, service: &str, id: u64) {
        if let Some(served) = self.services.get_mut(service) {
            served.subscribers.remove(&id);
        }
    }

    /// What each subscriber of `service` has been sent so far.
    pub(super) fn subscribers(&self, service: &str) -> Vec<watch::Receiver<ListVersion>> {
        self.services.get(service).map(|served| served.subscribers.values().cloned().collect()).unwrap_or_default()
    }

    /// The services that time alone changes now.
    pub(super) fn due(&self, now: Instant) -> Vec<String> {
        let is_due = |served: &Served| served.list.next_timer().is_some_and(|timer| timer <= now);
        self.services.iter().filter(|(_, served)| is_due(served)).map(|(name, _)| name.clone()).collect()
    }

    /// Forgets services that nobody serves or follows.
    pub(super) fn forget_unused(&mut self, now: Instant) {
        let Self { services, forgotten, .. } = self;
        services.retain(|_, served| {
            let used = served.followers() > 0 || !served.list.is_forgettable(now);
            if !used {
                *forgotten = (*forgotten).max(served.list.version().n + 1);
            }
            used
        });
    }

    /// The services behind the name `after`.
    pub(super) fn page(&self, after: Option<String>) -> Page<ServiceView> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut services, mut filling) = (self.services.range((from, Bound::Unbounded)), PageFilling::new());
        while services.next().is_some_and(|(name, served)| filling.takes(name.clone(), served.view(name))) {}
        filling.page()
    }
}

impl Served {
    fn new(list: ServiceList) -> Self {
        Self { shown: watch::Sender::new(Arc::new(list.list())), list, subscribers: BTreeMap::new() }
    }

    pub(super) fn follow(&self) -> watch::Receiver<Arc<InstanceList>> {
        self.shown.subscribe()
    }

    /// Streams and callers in this process.
    fn followers(&self) -> usize {
        self.shown.receiver_count()
    }

    fn apply(&mut self, event: Event, now: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        for effect in self.list.apply(event, now) {
            match effect {
                Effect::Changed(delta) => {
                    let applied = self.shown.borrow().apply(&delta);
                    // A subscriber that gets this delta must come to the truth, so we come to it the same way.
                    debug_assert_eq!(applied.as_ref(), Ok(&self.list.list()));
                    self.shown.send_replace(Arc::new(applied.unwrap_or_else(|_| self.list.list())));
                }
                Effect::Probe(address) => outcome.probes.push(address),
                Effect::Superseded(by) => outcome.superseded = Some(by),
            }
        }
        outcome
    }

    fn view(&self, name: &str) -> ServiceView {
        let list = self.shown.borrow();
        ServiceView {
            name: name.to_owned(),
            instances: list.instances.clone(),
            version: list.version,
            complete: list.complete,
            subscribers: self.followers(),
            orphans: self.list.orphans().collect(),
        }
    }
}

fn full(service: &str, what: &str, limit: usize) -> Error {
    Error::new(ErrorKind::Limited, codes::REGISTRY_FULL, format!("look up {service}: the registry has {limit} {what} already"))
}
