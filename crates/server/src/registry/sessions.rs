//! What each session holds, and what its end or its silence means: one task a session waits for the end.

use std::collections::BTreeSet;

use settee::rpc::{Session, SessionId};
use settee_core::registry::{Event, Holder};
use settee_core::{Instant, env};

use super::Registry;
use super::state::State;

/// A session that published something.
pub(super) struct Held {
    /// The services in whose lists it has instances.
    services: BTreeSet<String>,
    /// When it last published or repeated a publication; `None` for callers in this process, which cannot be silent.
    heard: Option<Instant>,
    silent: bool,
}

impl Registry {
    /// Notes that `session` holds something of `service`. Its first time starts the task that waits for its end.
    pub(super) fn note_session(&self, state: &mut State, session: &Session, service: &str) {
        let heard = session.peer().map(|_| Instant::now());
        let held = state.sessions.entry(session.id()).or_insert_with(|| {
            self.await_end(session.clone());
            Held { services: BTreeSet::new(), heard, silent: false }
        });
        held.heard = heard;
        held.silent = false;
        if !held.services.contains(service) {
            held.services.insert(service.to_owned());
        }
    }

    fn await_end(&self, session: Session) {
        let registry = self.clone();
        env::spawn(async move {
            // Once this server stops, sessions end by its own hand: that is no evidence, and nobody is told.
            if registry.0.shutdown.or(session.closed()).await.is_some() {
                registry.session_closed(session.id());
            }
        });
    }

    fn session_closed(&self, id: SessionId) {
        let mut state = self.0.state.lock();
        let Some(held) = state.sessions.remove(&id) else { return };
        self.end(&mut state, id, held.services, true);
    }

    /// A session that says nothing may be a host without power: what it holds is probed, and stays listed while it answers.
    pub(super) fn end_silent_sessions(&self) {
        let mut state = self.0.state.lock();
        let now = Instant::now();
        let is_silent = |held: &Held| !held.silent && held.heard.is_some_and(|heard| now >= heard + self.0.silence);
        let silent = state.sessions.iter_mut().filter(|(_, held)| is_silent(held)).map(|(id, held)| {
            held.silent = true;
            (*id, held.services.clone())
        });
        for (id, services) in silent.collect::<Vec<_>>() {
            self.end(&mut state, id, services, false);
        }
    }

    fn end(&self, state: &mut State, session: SessionId, services: BTreeSet<String>, by_peer: bool) {
        let holder = Holder { server: self.0.server, session };
        for service in services {
            if let Err(error) = self.apply(state, &service, Event::SessionClosed { holder, by_peer }) {
                tracing::debug!(service, %error, "end a session");
            }
        }
    }
}
