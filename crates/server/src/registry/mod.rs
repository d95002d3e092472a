//! Who serves what, in memory: publications are soft state, held by sessions and brought back by their publishers.
//!
//! ```text
//! publish, withdraw --> ServiceList (the rule) --Changed--> watch of lists --> subscribers' tasks, in-process callers
//! session closed ---------^        |
//! probe's answer ---------^        +--Probe--> a TCP connection
//! ```
//! Each subscriber's task follows a watch, so one that is behind gets the newest state in one step and nothing queues up. Left
//! out for now: several servers (the rule knows their events), and operators' facts such as offline switches.

mod control;
mod probe;
mod sessions;
mod state;
mod subscriber;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee::rpc::{Discovery, Session};
use settee_core::id::Epoch;
use settee_core::registry::{Event, Holder, InstanceList};
use settee_core::shutdown::Shutdown;
use settee_core::{Error, Instant, env};
use tokio::sync::{Semaphore, watch};

use self::state::State;

/// How often timers are looked at: probes and ends of orphans are this late at most.
const TICK: Duration = Duration::from_millis(100);

/// Connections that probe at once: a mass outage must not use up the file descriptors that clients reconnect with.
const PROBES_AT_ONCE: usize = 64;

/// How a registry behaves.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// For so long after it can be reached the registry calls its lists incomplete: publishers come back within a second, callers
    /// keep who they knew meanwhile. Default 10 s.
    pub grace: Duration,
    /// How long a network session may say nothing before what it holds become orphans. Default 15 s.
    pub silence: Duration,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), silence: Duration::from_millis(settee::registry::control::SILENCE_MS) }
    }
}

/// The registry of one server. Cheap to clone; implements `RegistryControl` for callers anywhere and [`Discovery`] for callers in
/// this process.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use settee::rpc::Discovery;
/// use settee_core::id::Epoch;
/// use settee_server::registry::{Registry, RegistryConfig};
///
/// let (_stop, shutdown) = settee_core::shutdown::pair();
/// let registry = Registry::start(Epoch(1), RegistryConfig::default(), shutdown);
/// registry.opened();
/// assert!(registry.instances("pay.Account").borrow().instances.is_empty());
/// # });
/// ```
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Distinguishes this server's sessions from those of others.
    server: u64,
    grace: Duration,
    silence: Duration,
    probes: Semaphore,
    shutdown: Shutdown,
}

impl Registry {
    /// An empty registry whose versions are of `epoch`, which must be larger than that of every registry before it at this place.
    /// Its lists stay incomplete until [`Registry::opened`] and the grace after that. Sessions that end after `shutdown` was requested end by this server and say nothing about their peers.
    #[must_use]
    pub fn start(epoch: Epoch, config: RegistryConfig, shutdown: Shutdown) -> Self {
        let registry = Self(Arc::new(Inner {
            state: Mutex::new(State::new(epoch)),
            server: env::random_u64(),
            grace: config.grace,
            silence: config.silence,
            probes: Semaphore::new(PROBES_AT_ONCE),
            shutdown: shutdown.clone(),
        }));
        let ticking = registry.clone();
        env::spawn(async move { shutdown.or(ticking.tick()).await });
        registry
    }

    /// Publishers can reach the registry from now on, and the grace begins. A start may take longer than the grace: if it were counted
    /// from there, the first list that anybody sees would be empty and complete.
    pub fn opened(&self) {
        let now = Instant::now();
        self.0.state.lock().opened(now + self.0.grace, now);
    }

    fn holder(&self, session: &Session) -> Holder {
        Holder { server: self.0.server, session: session.id() }
    }

    /// Applies what happened to `service` and starts what must be done about it.
    fn apply(&self, state: &mut State, service: &str, event: Event) -> Result<(), Error> {
        let outcome = state.apply(service, event, Instant::now())?;
        for address in outcome.probes {
            self.start_probe(service, address);
        }
        match outcome.superseded {
            Some(by) => Err(control::superseded(service, by)),
            None => Ok(()),
        }
    }

    /// Timers of every list, silent sessions, and lists that nobody needs any more.
    async fn tick(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.end_silent_sessions();
            let mut state = self.0.state.lock();
            for service in state.due(Instant::now()) {
                let _nothing_is_published_here = self.apply(&mut state, &service, Event::Tick);
            }
            state.forget_unused(Instant::now());
        }
    }
}

impl Discovery for Registry {
    fn instances(&self, service: &str) -> watch::Receiver<Arc<InstanceList>> {
        match self.0.state.lock().served(service, Instant::now()) {
            Ok(served) => served.follow(),
            Err(error) => {
                tracing::error!(service, %error, "a caller in this process follows nobody");
                watch::Sender::default().subscribe()
            }
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Registry({} services)", self.0.state.lock().len())
    }
}

#[cfg(test)]
mod registry_test;
