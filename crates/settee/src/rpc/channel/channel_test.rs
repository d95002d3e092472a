//! Calling through a network that is made up: addresses that refuse, that swallow, and that answer after a while.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::{ErrorKind, codes};
use settee_core::registry::InstanceList;
use settee_core::shutdown::{ShutdownTrigger, pair};
use settee_core::{Certainty, Error, Instant, Timestamp, env};
use tokio::sync::watch;

use super::super::link::{ServeLimits, WINDOW, serve};
use super::super::{CallOptions, Channel, Channels, Discovery, MethodDescriptor, Never, Reply, Services, StaticInstances};
use crate::trace::Tracer;

#[crate::service("test.Ping")]
trait Ping {
    async fn ping(&self) -> Reply<u32>;
}

#[crate::service("test.Note")]
trait Note {
    #[rpc(idempotent)]
    async fn note(&self) -> Reply<()>;
}

/// Fails with each of these in turn.
#[derive(Clone, Default)]
struct Failing(Arc<Mutex<VecDeque<Certainty>>>);

impl Note for Failing {
    async fn note(&self) -> Reply<()> {
        let certainty = self.0.lock().pop_front().expect("no more tries than answers");
        Err(Error::new(ErrorKind::Unavailable, codes::STORE_UNAVAILABLE, "note").with_certainty(certainty).into())
    }
}

struct Pong;

impl Ping for Pong {
    async fn ping(&self) -> Reply<u32> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(7)
    }
}

/// What an address does with a connect.
#[derive(Clone, Copy)]
enum Address {
    Refuses,
    Swallows,
    AnswersAfter(Duration),
    /// Accepts and closes at once.
    HangsUp,
}

/// A machine whose network is this table.
struct Network {
    addresses: Mutex<BTreeMap<u16, Address>>,
    connects: Mutex<BTreeMap<u16, u32>>,
    notes: Failing,
    never: ShutdownTrigger,
}

impl env::Host for Network {
    fn poll_gate(&self, _: &Waker) -> bool {
        true
    }

    fn connect(&self, to: SocketAddr) -> Pin<Box<dyn Future<Output = io::Result<Box<dyn env::Io>>> + Send>> {
        *self.connects.lock().entry(to.port()).or_default() += 1;
        let (address, stopping) = (self.addresses.lock()[&to.port()], self.never.token());
        let services = Services::new().with(PingServer::new(Pong)).with(NoteServer::new(self.notes.clone()));
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(1 << 16);
            match address {
                Address::Refuses => return Err(io::ErrorKind::ConnectionRefused.into()),
                Address::Swallows => std::future::pending().await,
                Address::HangsUp => drop(far),
                Address::AnswersAfter(wait) => {
                    tokio::time::sleep(wait).await;
                    let limits = ServeLimits { calls: 1_024, drain: Duration::from_secs(1) };
                    env::spawn(serve(far, to, Arc::new(services), limits, stopping));
                }
            }
            Ok(Box::new(near) as Box<dyn env::Io>)
        })
    }

    fn listen(&self, _: SocketAddr) -> io::Result<Box<dyn env::Accept>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn spawned(&self, _: tokio::task::AbortHandle) {}

    fn charge(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }

    fn wall_clock(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom_like(bytes, &mut self.connects.lock());
    }
}

/// Random enough to balance by, and the same in every run: counts under a key that is no port of a test.
fn getrandom_like(bytes: &mut [u8], state: &mut BTreeMap<u16, u32>) {
    let state = state.entry(0).or_insert(1);
    for byte in bytes {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = state.to_be_bytes()[0];
    }
}

impl Network {
    fn of(addresses: impl IntoIterator<Item = (u16, Address)>) -> Arc<Self> {
        let addresses = Mutex::new(addresses.into_iter().collect());
        Arc::new(Self { addresses, connects: Mutex::default(), notes: Failing::default(), never: pair().0 })
    }

    fn channels(&self) -> Channels {
        let known = self.addresses.lock().keys().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect::<Vec<_>>();
        Channels::new(Arc::new(StaticInstances::new().otherwise(known)), Tracer::off())
    }

    fn channel(&self) -> Channel {
        self.channels().channel("test.Ping")
    }

    fn connects(&self, port: u16) -> u32 {
        self.connects.lock().get(&port).copied().unwrap_or_default()
    }

    /// Runs `work` on this machine.
    async fn run<T>(self: &Arc<Self>, work: impl Future<Output = T>) -> T {
        let host: Arc<dyn env::Host> = self.clone();
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| env::on_host(&host, || work.as_mut().poll(context))).await
    }
}

async fn ping(channel: &Channel, timeout: Duration) -> Result<u32, Error> {
    let options = CallOptions { timeout: Some(timeout), ..CallOptions::default() };
    channel.call::<_, u32, Never>(&MethodDescriptor::new("ping"), &PingPingArguments {}, options).await.map_err(Error::from)
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn callers_of_an_address_that_swallows_everything_end_at_their_deadline_and_share_one_connect() {
    let network = Network::of([(1, Address::Swallows)]);
    let (channel, started) = (network.channel(), Instant::now());
    network
        .run(async {
            let calls = (0..100).map(|_| ping(&channel, Duration::from_millis(300)));
            for ended in futures::future::join_all(calls).await {
                let error = ended.unwrap_err();
                assert_eq!((error.code(), error.certainty()), (&codes::DEADLINE, Certainty::NotDone));
            }
        })
        .await;
    assert!(started.elapsed() < Duration::from_millis(310), "{:?}", started.elapsed());
    assert_eq!(network.connects(1), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_outlasts_its_caller_serves_the_next() {
    let network = Network::of([(1, Address::AnswersAfter(Duration::from_millis(500)))]);
    let channel = network.channel();
    network
        .run(async {
            for _ in 0..5 {
                let _too_early = ping(&channel, Duration::from_millis(120)).await;
            }
            assert_eq!(ping(&channel, Duration::from_millis(120)).await.unwrap(), 7);
        })
        .await;
    assert_eq!(network.connects(1), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_instance_is_left_alone_while_others_live_and_found_again_when_it_is_back() {
    let quick = Address::AnswersAfter(Duration::ZERO);
    let network = Network::of([(1, Address::Refuses), (2, quick)]);
    let channel = network.channel();
    network
        .run(async {
            let started = Instant::now();
            while started.elapsed() < SECOND {
                assert_eq!(ping(&channel, SECOND).await.unwrap(), 7);
            }
            assert!((1..=3).contains(&network.connects(1)), "{} connects in a second", network.connects(1));
            network.addresses.lock().insert(1, quick);
            let before = network.connects(1);
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                ping(&channel, SECOND).await.unwrap();
            }
            assert_eq!(network.connects(1), before + 1, "it was probed, and its connection is kept");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn when_all_are_dead_they_are_still_asked() {
    let network = Network::of([(1, Address::Refuses), (2, Address::Refuses)]);
    let channel = network.channel();
    network
        .run(async {
            for _ in 0..4 {
                let error = ping(&channel, SECOND).await.unwrap_err();
                assert_eq!((error.code(), error.certainty()), (&codes::CONNECT_FAILED, Certainty::NotDone));
            }
            network.addresses.lock().insert(2, Address::AnswersAfter(Duration::ZERO));
            assert_eq!(ping(&channel, SECOND).await.unwrap(), 7, "no panic about what is avoided");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_hangs_up_quickly_does_not_draw_the_calls_of_others() {
    let others = (2..10).map(|port| (port, Address::AnswersAfter(Duration::ZERO)));
    let network = Network::of([(1, Address::HangsUp)].into_iter().chain(others));
    let channel = network.channel();
    let failed = network
        .run(async {
            let mut failed = 0;
            for _ in 0..400 {
                failed += u32::from(ping(&channel, SECOND).await.is_err());
            }
            failed
        })
        .await;
    assert!(failed < 10, "{failed} of 400 calls failed at one instance of nine");
}

#[tokio::test(start_paused = true)]
async fn a_last_try_that_did_not_happen_says_nothing_about_the_tries_before_it() {
    use Certainty::{Done, NotDone, Unknown};
    let network = Network::of([(1, Address::AnswersAfter(Duration::ZERO))]);
    let client = network.channels().client::<NoteClient>();
    let cases =
        [([NotDone, NotDone, NotDone], NotDone), ([NotDone, Unknown, NotDone], Unknown), ([Done, NotDone, NotDone], Unknown)];
    for (answers, told) in cases {
        network.notes.0.lock().extend(answers);
        let error = Error::from(network.run(client.note()).await.unwrap_err());
        assert_eq!(error.certainty(), told, "{answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_calls_are_no_longer_counted_as_under_way() {
    let network = Network::of([(1, Address::Swallows)]);
    let channel = network.channel();
    network
        .run(async {
            for _ in 0..10 {
                let _dropped = tokio::time::timeout(Duration::from_millis(1), ping(&channel, SECOND)).await;
            }
        })
        .await;
    let list = channel.0.instances.borrow().clone();
    let known = channel.0.known.of(&list, &channel.0.pool.endpoints);
    assert_eq!(known[0].endpoint.candidate(1).in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_window_is_full_is_passed_over_while_another_has_room() {
    let quick = Address::AnswersAfter(Duration::ZERO);
    let network = Network::of([(1, quick), (2, quick), (3, quick)]);
    let channel = network.channel();
    network
        .run(async {
            let to = |port: u16| {
                let options = CallOptions { instance: Some(([127, 0, 0, 1], port).into()), ..CallOptions::default() };
                let channel = channel.clone();
                env::spawn(async move {
                    let method = MethodDescriptor::new("ping");
                    channel.call::<_, u32, Never>(&method, &PingPingArguments {}, options).await.is_ok()
                })
            };
            let busy: Vec<_> = [1, 2].into_iter().flat_map(|port| (0..WINDOW).map(move |_| port)).map(to).collect();
            tokio::time::sleep(Duration::from_millis(1)).await;
            let began = Instant::now();
            let free = futures::future::join_all((0..50).map(|_| ping(&channel, SECOND))).await;
            assert!(free.iter().all(Result::is_ok));
            assert_eq!(began.elapsed(), Duration::from_millis(5), "the time of one call: nobody waited for a place");
            for call in busy {
                assert!(call.await.unwrap());
            }
        })
        .await;
}

/// A registry that says something when it is told to.
#[derive(Default)]
struct Registry(watch::Sender<Arc<InstanceList>>);

impl Discovery for Registry {
    fn instances(&self, _: &str) -> watch::Receiver<Arc<InstanceList>> {
        self.0.subscribe()
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_right_after_the_start_waits_for_the_first_list_instead_of_failing() {
    let network = Network::of([(1, Address::AnswersAfter(Duration::ZERO))]);
    let registry = Arc::new(Registry::default());
    let channel = Channels::new(registry.clone(), Tracer::off()).channel("test.Ping");
    let tell = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let list = StaticInstances::new().otherwise([([127, 0, 0, 1], 1).into()]).instances("").borrow().clone();
        registry.0.send_replace(list);
    };
    let (answered, ()) = network.run(async { tokio::join!(ping(&channel, SECOND), tell) }).await;
    assert_eq!(answered.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_never_comes_ends_the_call_at_its_deadline_and_a_list_without_anybody_at_once() {
    let network = Network::of([]);
    let silent = Channels::new(Arc::new(Registry::default()), Tracer::off()).channel("test.Ping");
    for (channel, wait, why) in
        [(silent, SECOND, "no list of them has come"), (network.channel(), Duration::ZERO, "no instance is published")]
    {
        let started = Instant::now();
        let error = network.run(ping(&channel, SECOND)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code(), error.certainty()),
            (ErrorKind::Unavailable, &codes::NO_INSTANCE, Certainty::NotDone)
        );
        assert!(error.message().contains(why), "{error}");
        let took = started.elapsed();
        assert!(took >= wait && took < wait + Duration::from_millis(100), "{took:?}");
    }
}
