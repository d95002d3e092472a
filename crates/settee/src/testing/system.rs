//! The system of one test: what a test may do to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use settee_core::{Instant, env};

use super::broker::Broker;
use super::coordinator::Coordinator;
use super::host::TestHost;
use super::registry::Registry;
use crate::app::{App, Running};
use crate::config::Settings;
use crate::mq::MessageControlServer;
use crate::registry::control::RegistryControlServer;
use crate::rpc::{Channels, Listening, ServerConfig, Services};
use crate::trace::Tracer;
use crate::txn::TransactionControlServer;

/// How long, in virtual time, [`System::settled`] waits before it fails the test.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The smallest step of the runtime's timers: it passes when nothing else can happen.
pub(super) const IDLE: Duration = Duration::from_millis(1);

/// How long nothing may happen before a system counts as settled: a relay looks at its outbox this often.
const QUIET: Duration = crate::mq::RELAY_POLL_INTERVAL;

/// Everything that a service talks to, inside one test: a coordinator that follows the rules of `core::txn`, topics that follow
/// those of `core::mq`, a registry, and the applications that the test starts. Cheap to clone.
///
/// Applications and clients are made as in production, with `App::new(name, Settings::default())`. Calls cross pipes in memory as
/// real frames; there are no sockets. It is made for `#[tokio::test(start_paused = true)]` (feature `test-util` of tokio): time
/// stands still while anything can run, and jumps to the next timer when nothing can.
///
/// ```
/// use settee::app::App;
/// use settee::config::Settings;
/// use settee::testing::System;
/// use settee::{Reply, refuse};
///
/// #[settee::refusal]
/// enum Refusal {
///     #[code("AC01")]
///     UnknownAccount,
/// }
///
/// #[settee::service("pay.Account")]
/// trait Account {
///     #[rpc(idempotent)]
///     async fn balance(&self, account: String) -> Reply<i64, Refusal>;
/// }
///
/// struct Ledger;
///
/// impl Account for Ledger {
///     async fn balance(&self, account: String) -> Reply<i64, Refusal> {
///         match account.as_str() {
///             "A-1" => Ok(12_50),
///             _ => Err(refuse(Refusal::UnknownAccount)),
///         }
///     }
/// }
///
/// // In a test: #[tokio::test(start_paused = true)]
/// async fn a_balance_is_told_as_long_as_somebody_serves_it() {
///     System::run(async |system| {
///         let ledger = App::new("account", Settings::default()).unwrap().serve(AccountServer::new(Ledger));
///         let ledger = system.start(ledger).await;
///         let test = App::new("test", Settings::default()).unwrap();
///         let account: AccountClient = test.client();
///         assert_eq!(account.balance("A-1".into()).await.unwrap(), 12_50);
///         let refused = account.balance("A-2".into()).await.unwrap_err();
///         assert_eq!(refused.refusal(), Some(&Refusal::UnknownAccount));
///         ledger.stop().await;
///         assert!(account.balance("A-1".into()).await.is_err(), "nobody is left");
///     })
///     .await;
/// }
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
/// # runtime.block_on(a_balance_is_told_as_long_as_somebody_serves_it());
/// ```
#[derive(Clone)]
pub struct System {
    coordinator: Coordinator,
    broker: Broker,
}

impl System {
    /// Runs `test` in a system of its own: every task, connection, random number and wall-clock reading inside belongs to it.
    /// Random numbers are the same in every run, and it is always New Year's Day of 2026. What `test` returns is returned.
    ///
    /// Tasks of the test's own are started with [`settee::spawn`](crate::spawn), not with the runtime.
    ///
    /// # Panics
    /// When the clock of the runtime is not paused.
    ///
    /// # Cancel safety
    /// Applications that were started run on until the runtime ends.
    pub async fn run<F, T>(test: F) -> T
    where
        F: AsyncFnOnce(System) -> T,
    {
        assert_paused();
        let running = async {
            let (system, _listening) = Self::serve().await;
            test(system).await
        };
        TestHost::new().run(Box::pin(running)).await
    }

    /// Starts the control services, where every application looks for them by default.
    async fn serve() -> (Self, Listening) {
        let (registry, broker) = (Registry::default(), Broker::default());
        let coordinator = Coordinator::new(Channels::new(Arc::new(registry.clone()), Tracer::off()));
        let services = Services::new()
            .with(RegistryControlServer::new(registry))
            .with(TransactionControlServer::new(coordinator.clone()))
            .with(MessageControlServer::new(broker.clone()));
        let at = Settings::default().server;
        let listening = Listening::start(at, Arc::new(services), Arc::new(()), ServerConfig::default()).await;
        env::spawn(broker.clone().keep_time());
        (Self { coordinator, broker }, listening.expect("nobody else listens in a new network"))
    }

    /// Starts an application. It is ready, and every other knows it, when this returns.
    ///
    /// It runs until it is [stopped](Running::stop); dropping it stops it without a drain, and a new one may take its place.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(&self, app: App) -> Running {
        let running = app.start().await.unwrap_or_else(|error| panic!("start an application: {error}"));
        self.advance(Duration::ZERO).await;
        running
    }

    /// Lets time pass, timer by timer, and then a millisecond more: that passes only when everything that came due has run.
    ///
    /// ```
    /// use std::time::Duration;
    /// use settee::testing::System;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(
    /// System::run(async |system| {
    ///     let night = settee::spawn(tokio::time::sleep(Duration::from_secs(8 * 60 * 60)));
    ///     system.advance(Duration::from_secs(9 * 60 * 60)).await;
    ///     assert!(night.is_finished());
    /// })
    /// # );
    /// ```
    pub async fn advance(&self, by: Duration) {
        tokio::time::sleep(by).await;
        tokio::time::sleep(IDLE).await;
    }

    /// Waits until every transaction has ended everywhere, every message is done or dead at every group, and nothing more came
    /// for as long as a relay takes to look at its outbox.
    ///
    /// What the coordinator does not know of is not waited for: a try that no decision lists, because nobody decided, is cancelled by
    /// its participant's sweeper ([`SWEEP_GRACE`](crate::txn::SWEEP_GRACE) after the deadline it asks, every
    /// [`SWEEP_EVERY`](crate::txn::SWEEP_EVERY)). [`System::advance`] to there.
    ///
    /// # Panics
    /// After [`PATIENCE`], with what is still open.
    pub async fn settled(&self) {
        let started = Instant::now();
        loop {
            let before = self.progress();
            self.advance(QUIET).await;
            let open = self.open();
            if open.is_empty() && self.progress() == before {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "the system did not settle within {PATIENCE:?}: {}", open.join(", "));
        }
    }

    fn open(&self) -> Vec<String> {
        let mut open = self.coordinator.open();
        open.extend(self.broker.undone());
        open
    }

    /// Grows with whatever happens: how many transactions and messages there were.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.coordinator.count(), self.broker.count())
    }
}

impl fmt::Debug for System {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "System({} open)", self.open().len())
    }
}

/// A clock that runs would make every test of a system a race.
fn assert_paused() {
    const LOOKS: usize = 1_000;
    let first = Instant::now();
    let stands_still = (0..LOOKS).all(|_| Instant::now() == first);
    assert!(stands_still, "a system needs a clock that stands still: #[tokio::test(start_paused = true)]");
}
