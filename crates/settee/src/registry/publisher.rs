//! What this process publishes, and the loop that makes the registry agree with it, for ever.
//!
//! ```text
//! Due --taken--> Published --guard withdrawn or dropped--> Leaving --acknowledged--> Gone
//!   \--refused--> Refused (tried again each second)           ^ from any of them
//! ```
//! A round begins whenever the loop's stream to the registry breaks, and every few seconds: then everything is sent again. A
//! registry that restarted has lost nothing that its publishers know; one that did not sees repeats, which change nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::backoff::{Backoff, jittered};
use settee_core::error::{ErrorKind, codes};
use settee_core::registry::{Instance, PublicationId};
use settee_core::shutdown::Shutdown;
use settee_core::{Error, Instant, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::sleep_until;

use super::client::{Handle, Shared, backoff, in_call_context};
use super::control::{Publish, RegistryControl, RegistryControlClient, SERVICE, SILENCE_MS, Withdraw};

/// Publications of one process at most.
const PUBLICATIONS: usize = 1_024;

/// Calls to the registry under way at once in a round.
const AT_ONCE: usize = 16;

/// The time between rounds, at most: the registry hears of each publication three times before it takes silence for an outage.
const ROUND: Duration = Duration::from_millis(SILENCE_MS / 3);

/// The time between tries of what the registry refused. Shorter than a round: a process whose clock was set back is refused only
/// until the registry believes that the one before it is gone, and nobody can find it for as long.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// How long [`PublicationGuard::withdraw`] waits for the registry: a drain that cannot deregister has to go on.
const WITHDRAW_PATIENCE: Duration = Duration::from_secs(3);

/// How long the end of a client may take to withdraw what is left.
const LAST_ROUND: Duration = Duration::from_secs(1);

/// What a process publishes.
pub(super) struct Publisher {
    id: u64,
    wanted: Mutex<Wanted>,
    changed: Notify,
}

#[derive(Default)]
struct Wanted {
    sequence: u64,
    publications: BTreeMap<u64, Arc<Publication>>,
}

/// One publication and how far it is.
pub(super) struct Publication {
    publish: Publish,
    stage: watch::Sender<Stage>,
    settled_in: AtomicU64,
}

#[derive(Clone, Debug)]
enum Stage {
    Due,
    Published,
    Refused(Arc<Error>),
    Leaving,
    Gone,
}

/// Keeps an instance registered; dropping it withdraws the instance without waiting.
#[must_use = "the instance is registered as long as this is held"]
pub struct PublicationGuard {
    publication: Arc<Publication>,
    client: Arc<Handle>,
}

impl PublicationGuard {
    pub(super) fn new(publication: Arc<Publication>, client: Arc<Handle>) -> Self {
        Self { publication, client }
    }

    /// Which publication it is.
    #[must_use]
    pub fn id(&self) -> PublicationId {
        self.publication.publish.instance.publication
    }

    /// Waits until the registry has taken the publication for the first time.
    ///
    /// # Errors
    /// What the registry refused it with: `Invalid`, `Conflict` (a newer publication of the address stands) or `Limited`. It is
    /// tried again all the same, as long as the guard is held.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn published(&self) -> Result<(), Error> {
        let mut stage = self.publication.stage.subscribe();
        let answered = stage.wait_for(|stage| !matches!(stage, Stage::Due)).await;
        match answered.as_deref() {
            Ok(Stage::Refused(error)) => Err(Error::new(error.kind(), error.code().clone(), error.message())),
            _ => Ok(()),
        }
    }

    /// Deregisters and waits until the registry has told every subscriber: the first step of a drain.
    ///
    /// # Errors
    /// `Unavailable` with an unknown outcome when the registry did not answer within three seconds. It is tried again as long as
    /// the client lives, and a registry that is away knows nothing of the instance when it is back.
    ///
    /// # Cancel safety
    /// The withdrawal goes on also when the future is dropped.
    pub async fn withdraw(self) -> Result<(), Error> {
        let mut stage = self.publication.stage.subscribe();
        self.leave();
        let gone = stage.wait_for(|stage| matches!(stage, Stage::Gone));
        match tokio::time::timeout(WITHDRAW_PATIENCE, gone).await {
            Ok(_) => Ok(()),
            Err(_) => Err(no_answer(&self.publication.publish)),
        }
    }

    fn leave(&self) {
        self.publication.leave();
        self.client.publisher().changed.notify_one();
    }
}

impl Drop for PublicationGuard {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for PublicationGuard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Publish { service, instance } = &self.publication.publish;
        write!(out, "PublicationGuard({service} at {}, {:?})", instance.address, *self.publication.stage.borrow())
    }
}

impl Publisher {
    /// The number of this publisher: a later start has a larger one.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// A publisher that started at `started`: a later start has a larger number, so its publications win.
    pub(super) fn new(started: Timestamp) -> Self {
        Self { id: u64::try_from(started.micros()).unwrap_or(0), wanted: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn add(&self, service: &str, instance: Instance) -> Result<Arc<Publication>, Error> {
        instance
            .check()
            .map_err(|error| Error::new(ErrorKind::Invalid, codes::BAD_PUBLICATION, format!("publish {service}: {error}")))?;
        let mut wanted = self.wanted.lock();
        if wanted.publications.len() >= PUBLICATIONS {
            let message = format!("publish {service}: this process holds {PUBLICATIONS} publications already");
            return Err(Error::new(ErrorKind::Limited, codes::REGISTRY_FULL, message));
        }
        wanted.sequence += 1;
        let sequence = wanted.sequence;
        let instance = Instance { publication: PublicationId { publisher: self.id, sequence }, ..instance };
        let publish = Publish { service: service.to_owned(), instance };
        let publication = Arc::new(Publication { publish, stage: watch::Sender::new(Stage::Due), settled_in: AtomicU64::new(0) });
        wanted.publications.insert(sequence, publication.clone());
        drop(wanted);
        self.changed.notify_one();
        Ok(publication)
    }

    fn due(&self, round: u64) -> Vec<Arc<Publication>> {
        self.wanted.lock().publications.values().filter(|publication| publication.is_due(round)).cloned().collect()
    }

    fn has_refused(&self) -> bool {
        self.wanted.lock().publications.values().any(|publication| publication.is_refused())
    }

    fn is_idle(&self) -> bool {
        self.wanted.lock().publications.is_empty()
    }

    /// Makes the registry agree with everything that is not settled in this round.
    async fn settle(&self, control: &RegistryControlClient, round: u64) -> Result<(), Error> {
        for some in self.due(round).chunks(AT_ONCE) {
            let settled = some.iter().map(|publication| publication.settle(control, round));
            let outcome: Result<Vec<()>, Error> = futures::future::join_all(settled).await.into_iter().collect();
            self.wanted.lock().publications.retain(|_, publication| !publication.is_gone());
            outcome?;
        }
        Ok(())
    }
}

impl Publication {
    fn is_due(&self, round: u64) -> bool {
        matches!(*self.stage.borrow(), Stage::Leaving | Stage::Refused(_)) || self.settled_in.load(Ordering::Relaxed) != round
    }

    fn is_refused(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Refused(_))
    }

    fn is_gone(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Gone)
    }

    fn leave(&self) {
        self.turn(Stage::Leaving);
    }

    /// Goes to `next`, unless it is leaving: then only the acknowledgement is left to come.
    fn turn(&self, next: Stage) {
        self.stage.send_if_modified(|stage| {
            let turns = matches!(
                (&*stage, &next),
                (Stage::Leaving, Stage::Gone) | (Stage::Due | Stage::Published | Stage::Refused(_), _)
            );
            if turns {
                *stage = next;
            }
            turns
        });
    }

    /// One call; an error means that the registry cannot be reached now.
    async fn settle(&self, control: &RegistryControlClient, round: u64) -> Result<(), Error> {
        let Publish { service, instance } = &self.publish;
        if matches!(*self.stage.borrow(), Stage::Leaving) {
            let withdraw = Withdraw { service: service.clone(), address: instance.address, publication: instance.publication };
            in_call_context(control.withdraw(withdraw)).await?;
            self.turn(Stage::Gone);
            return Ok(());
        }
        match in_call_context(control.publish(self.publish.clone())).await.map_err(Error::from) {
            Ok(_) => self.turn(Stage::Published),
            Err(error) if is_refusal(&error) => {
                if !self.is_refused() {
                    tracing::warn!(service, address = %instance.address, %error, "a publication is refused; it is tried again");
                }
                self.turn(Stage::Refused(Arc::new(error)));
            }
            Err(error) => return Err(error),
        }
        self.settled_in.store(round, Ordering::Relaxed);
        Ok(())
    }
}

/// Publishes until the client ends, then withdraws what is left.
pub(super) async fn run(shared: Arc<Shared>, stopping: Shutdown) {
    let mut round = 0;
    stopping.or(reconcile(&shared, &mut round)).await;
    for publication in shared.publisher.wanted.lock().publications.values() {
        publication.leave();
    }
    let _best_effort = tokio::time::timeout(LAST_ROUND, shared.publisher.settle(&shared.control, round)).await;
}

async fn reconcile(shared: &Shared, round: &mut u64) {
    let mut backoff = backoff();
    loop {
        if shared.publisher.is_idle() {
            shared.publisher.changed.notified().await;
            continue;
        }
        if let Err(error) = connected(shared, round, &mut backoff).await {
            tracing::debug!(%error, "publish: the registry is away, everything is published again when it is back");
        }
        backoff.pause().await;
    }
}

/// Rounds, as long as the stream to the registry holds. Its end is how a publisher learns that its session may be gone.
async fn connected(shared: &Shared, round: &mut u64, backoff: &mut Backoff) -> Result<(), Error> {
    let mut health = in_call_context(shared.control.subscribe(SERVICE.to_owned())).await?;
    *round += 1;
    let mut round_ends = Instant::now() + jittered(ROUND);
    loop {
        shared.publisher.settle(&shared.control, *round).await?;
        backoff.reset();
        let soon = shared.publisher.has_refused().then(|| Instant::now() + jittered(REFUSED_PAUSE));
        tokio::select! {
            told = health.next() => match told {
                Some(told) => drop(told?),
                None => return Ok(()),
            },
            () = shared.publisher.changed.notified() => {}
            () = sleep_until(soon.map_or(round_ends, |soon| soon.min(round_ends))) => {}
        }
        if round_ends <= Instant::now() {
            *round += 1;
            round_ends = Instant::now() + jittered(ROUND);
        }
    }
}

/// Whether the registry said no to this publication, rather than being out of reach.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::Denied | ErrorKind::Limited)
}

fn no_answer(publish: &Publish) -> Error {
    let message = format!("withdraw {} at {}: the registry did not answer", publish.service, publish.instance.address);
    Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, message).unknown()
}
