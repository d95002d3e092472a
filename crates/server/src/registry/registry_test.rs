//! Real sockets on loopback: processes that publish, callers that follow, and what breaks between them.

use std::net::SocketAddr;

use settee::registry::control::{Publish, RegistryControl, RegistryControlClient, RegistryControlServer, ServiceView, Withdraw};
use settee::registry::{FolderCache, Instance, ListCache, PublicationId, RegistryClient, RegistryOptions};
use settee::rpc::{Channels, Listening, ServerConfig, Services, StaticInstances};
use settee::trace::Tracer;
use settee_core::error::{ErrorKind, codes};
use settee_core::shutdown::{ShutdownTrigger, pair};

use super::*;

const SERVICE: &str = "pay.Account";

/// Far beyond anything that should take a second: only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    registry: Registry,
    listening: Listening,
    stop: ShutdownTrigger,
}

impl Server {
    async fn start(epoch: u64, at: SocketAddr, config: RegistryConfig) -> Self {
        let (stop, shutdown) = pair();
        let registry = Registry::start(Epoch(epoch), config, shutdown);
        registry.opened();
        let services = Arc::new(Services::new().with(RegistryControlServer::new(registry.clone())));
        let listening = Listening::start(at, services, Arc::new(()), ServerConfig::default()).await.unwrap();
        Self { registry, listening, stop }
    }

    /// Past its grace from the start.
    async fn settled() -> Self {
        Self::start(1, anywhere(), RegistryConfig { grace: Duration::ZERO, ..RegistryConfig::default() }).await
    }

    /// Goes away; its address is free then.
    async fn end(self) -> SocketAddr {
        let at = self.listening.address();
        self.stop.stop();
        self.listening.drain().await;
        at
    }

    fn channels(&self) -> Channels {
        channels(self.listening.address())
    }

    fn client(&self) -> RegistryClient {
        RegistryClient::start(self.channels().client(), RegistryOptions::default())
    }

    async fn view(&self) -> ServiceView {
        let views = self.registry.service_page(None).await.unwrap().items;
        views.into_iter().find(|view| view.name == SERVICE).unwrap()
    }

    /// Waits for something that no list shows.
    async fn until(&self, what: impl Fn(&ServiceView) -> bool) {
        let seen = async {
            while !what(&self.view().await) {
                tokio::task::yield_now().await
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.expect("the registry comes to it");
    }
}

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn channels(server: SocketAddr) -> Channels {
    Channels::new(Arc::new(StaticInstances::new().otherwise([server])), Tracer::off())
}

/// An address at which nobody listens.
fn instance(port: u16, sequence: u64) -> Instance {
    let publication = PublicationId { publisher: 1, sequence };
    Instance { publication, ..Instance::new(([127, 0, 0, 1], port).into(), "account") }
}

fn publish(instance: Instance) -> Publish {
    Publish { service: SERVICE.into(), instance }
}

fn ports(list: &InstanceList) -> Vec<u16> {
    list.instances.iter().map(|instance| instance.address.port()).collect()
}

async fn until(lists: &mut watch::Receiver<Arc<InstanceList>>, what: impl Fn(&InstanceList) -> bool) -> Arc<InstanceList> {
    let seen = tokio::time::timeout(PATIENCE, lists.wait_for(|list| what(list))).await;
    seen.expect("the list comes to it").unwrap().clone()
}

/// A process of its own as the registry sees it: a connection that publishes and says nothing more.
async fn process(server: &Server, port: u16) -> Process {
    let channels = server.channels();
    let registry = channels.client::<RegistryControlClient>();
    registry.publish(publish(instance(port, 1))).await.unwrap();
    Process { channels, registry }
}

/// What holds the connection of a [`process`]: without its client it would be closed as unused.
struct Process {
    channels: Channels,
    registry: RegistryControlClient,
}

impl Process {
    fn close(&self) {
        self.channels.close();
    }
}

#[tokio::test]
async fn a_publication_reaches_subscribers_and_its_withdrawal_too() {
    let server = Server::settled().await;
    let (publisher, caller) = (server.client(), server.client());
    let mut lists = caller.instances(SERVICE);
    let guard = publisher.publish(SERVICE, instance(11, 0)).unwrap();
    guard.published().await.unwrap();
    let list = until(&mut lists, |list| ports(list) == [11]).await;
    assert!(list.complete && list.instances[0].publication == guard.id());
    assert_eq!(caller.age(SERVICE), Some(Duration::ZERO));
    assert_eq!(server.view().await.subscribers, 1);
    guard.withdraw().await.unwrap();
    assert!(server.registry.instances(SERVICE).borrow().instances.is_empty());
    until(&mut lists, |list| list.instances.is_empty()).await;
}

#[tokio::test]
async fn a_killed_publisher_is_gone_for_every_subscriber() {
    let server = Server::settled().await;
    let (first, _second, _third) = (process(&server, 1).await, process(&server, 2).await, process(&server, 3).await);
    let mut followers: Vec<_> = (0..3).map(|_| server.client()).map(|client| (client.instances(SERVICE), client)).collect();
    for (lists, _) in &mut followers {
        until(lists, |list| ports(list) == [1, 2, 3]).await;
    }
    first.close();
    for (lists, _) in &mut followers {
        until(lists, |list| ports(list) == [2, 3]).await;
    }
}

#[tokio::test]
async fn two_of_three_sessions_that_end_at_once_are_an_outage_and_shrink_nothing() {
    let server = Server::settled().await;
    let (first, second, _third) = (process(&server, 1).await, process(&server, 2).await, process(&server, 3).await);
    first.close();
    second.close();
    server.until(|view| view.orphans.len() == 2).await;
    assert_eq!(ports(&server.registry.instances(SERVICE).borrow()), [1, 2, 3]);
    let back = process(&server, 1).await;
    server.until(|view| view.orphans.len() == 1).await;
    drop(back);
}

#[tokio::test]
async fn orphans_that_can_no_longer_be_reached_leave_by_probes() {
    let server = Server::settled().await;
    let mut processes = Vec::new();
    for _ in 0..2 {
        let mut listener = env::listen(anywhere()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let process = process(&server, port).await;
        listener.accept().await.expect("the registry looks whether somebody listens");
        processes.push((process, listener));
    }
    let mut lists = server.registry.instances(SERVICE);
    until(&mut lists, |list| list.instances.len() == 2).await;
    for (process, listener) in processes {
        drop(listener);
        process.close();
    }
    until(&mut lists, |list| list.instances.is_empty()).await;
}

#[tokio::test]
async fn a_restart_of_the_registry_loses_nobody() {
    let server = Server::settled().await;
    let (publisher, caller) = (server.client(), server.client());
    let guard = publisher.publish(SERVICE, instance(11, 0)).unwrap();
    let mut lists = caller.instances(SERVICE);
    until(&mut lists, |list| ports(list) == [11]).await;

    let mut all = caller.instances(SERVICE);
    let nobody_disappears = env::spawn(async move {
        while all.borrow_and_update().version.epoch == Epoch(1) {
            all.changed().await.unwrap();
            assert_eq!(ports(&all.borrow()), [11]);
        }
    });
    let at = server.end().await;
    let server = Server::start(2, at, RegistryConfig { grace: PATIENCE * 2, ..RegistryConfig::default() }).await;
    until(&mut server.registry.instances(SERVICE), |list| ports(list) == [11]).await;
    tokio::time::timeout(PATIENCE, nobody_disappears).await.unwrap().unwrap();
    let list = until(&mut lists, |list| list.version.epoch == Epoch(2)).await;
    assert!(!list.complete, "the registry has just started");
    guard.withdraw().await.unwrap();
    until(&mut lists, |list| list.instances.is_empty()).await;
}

#[tokio::test]
async fn the_late_close_of_an_old_session_does_not_remove_a_newer_publication() {
    let server = Server::settled().await;
    let old = process(&server, 1).await;
    let new = server.channels();
    let control: RegistryControlClient = new.client();
    control.publish(publish(instance(1, 2))).await.unwrap();
    old.close();
    let one_session = async {
        while server.registry.0.state.lock().sessions.len() > 1 {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(PATIENCE, one_session).await.unwrap();
    let list = server.registry.instances(SERVICE).borrow().clone();
    assert_eq!((ports(&list), list.instances[0].publication.sequence), (vec![1], 2));
    let error = settee::Error::from(control.publish(publish(instance(1, 1))).await.unwrap_err());
    assert_eq!((error.kind(), error.code().as_str()), (ErrorKind::Conflict, codes::BAD_PUBLICATION.as_str()));
}

#[tokio::test]
async fn who_started_with_its_clock_set_back_is_found_soon_after_the_one_before_it_is_gone() {
    /// Less than a round of the publisher, more than its pause after a refusal.
    const SOON: Duration = Duration::from_secs(3);
    let server = Server::settled().await;
    let before = server.channels();
    let control: RegistryControlClient = before.client();
    let newer = PublicationId { publisher: u64::MAX, sequence: 1 };
    control.publish(publish(Instance { publication: newer, ..instance(11, 0) })).await.unwrap();
    let client = server.client();
    let guard = client.publish(SERVICE, instance(11, 0)).unwrap();
    assert_eq!(guard.published().await.unwrap_err().kind(), ErrorKind::Conflict);
    before.close();
    let mut lists = server.registry.instances(SERVICE);
    let listed = until(&mut lists, |list| list.instances.iter().any(|instance| instance.publication == guard.id()));
    tokio::time::timeout(SOON, listed).await.expect("it is asked again soon");
}

#[tokio::test]
async fn callers_in_the_same_process_need_no_network() {
    let (_stop, shutdown) = pair();
    let registry = Registry::start(Epoch(1), RegistryConfig::default(), shutdown);
    let client = RegistryClient::start(RegistryControlClient::in_process(Arc::new(registry.clone())), RegistryOptions::default());
    let mut lists = registry.instances(SERVICE);
    let guard = client.publish(SERVICE, instance(11, 0)).unwrap();
    until(&mut lists, |list| ports(list) == [11]).await;
    until(&mut client.instances(SERVICE), |list| ports(list) == [11]).await;
    drop((guard, client));
    until(&mut lists, |list| list.instances.is_empty()).await;
}

/// A folder that tells when it was written to.
struct Telling {
    folder: FolderCache,
    stored: watch::Sender<u32>,
}

impl ListCache for Telling {
    fn load(&self, name: &str) -> std::io::Result<Option<Vec<u8>>> {
        self.folder.load(name)
    }

    fn store(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.folder.store(name, bytes)?;
        self.stored.send_modify(|count| *count += 1);
        Ok(())
    }
}

#[tokio::test]
async fn a_process_that_starts_while_the_registry_is_away_finds_the_last_good_list_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::settled().await;
    let _process = process(&server, 1).await;
    let cache = Arc::new(Telling { folder: FolderCache::new(folder.path()), stored: watch::Sender::default() });
    let options = RegistryOptions { cache: Some(cache.clone()) };
    let client = RegistryClient::start(server.channels().client(), options.clone());
    until(&mut client.instances(SERVICE), |list| ports(list) == [1]).await;
    tokio::time::timeout(PATIENCE, cache.stored.subscribe().wait_for(|count| *count > 0)).await.unwrap().unwrap();
    drop(client);
    let at = server.end().await;

    let client = RegistryClient::start(channels(at).client(), options);
    let list = until(&mut client.instances(SERVICE), |list| ports(list) == [1]).await;
    assert!(!list.complete, "nobody knows who is missing");
    assert!(client.age(SERVICE).is_some_and(|age| age > Duration::ZERO && age < PATIENCE));
}

#[tokio::test]
async fn a_silent_session_is_doubted_and_believed_again_when_it_speaks() {
    let config = RegistryConfig { grace: Duration::ZERO, silence: Duration::from_millis(500) };
    let server = Server::start(1, anywhere(), config).await;
    let process = process(&server, 1).await;
    server.until(|view| view.orphans.len() == 1 && ports_of(view) == [1]).await;
    process.registry.publish(publish(instance(1, 1))).await.unwrap();
    assert!(server.view().await.orphans.is_empty());
}

fn ports_of(view: &ServiceView) -> Vec<u16> {
    view.instances.iter().map(|instance| instance.address.port()).collect()
}

#[tokio::test]
async fn what_others_could_not_use_is_refused() {
    let server = Server::settled().await;
    let control: RegistryControlClient = server.channels().client();
    let nowhere = Instance::new(([0, 0, 0, 0], 7401).into(), "account");
    let error = settee::Error::from(control.publish(publish(nowhere.clone())).await.unwrap_err());
    assert_eq!((error.kind(), error.code().as_str()), (ErrorKind::Invalid, codes::BAD_PUBLICATION.as_str()));
    assert_eq!(server.client().publish(SERVICE, nowhere).unwrap_err().kind(), ErrorKind::Invalid);
    let unnamed = Publish { service: String::new(), instance: instance(1, 1) };
    assert_eq!(settee::Error::from(control.publish(unnamed).await.unwrap_err()).kind(), ErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_takes_longer_than_the_grace_does_not_show_an_empty_list_as_complete() {
    let (_stop, shutdown) = pair();
    let config = RegistryConfig::default();
    let grace = config.grace;
    let registry = Registry::start(Epoch(1), config, shutdown);
    let followed_before = registry.instances(SERVICE);
    tokio::time::sleep(2 * grace).await;
    registry.opened();
    tokio::time::sleep(grace - TICK).await;
    assert!(!followed_before.borrow().complete && !registry.instances("pay.Other").borrow().complete);
    tokio::time::sleep(2 * TICK).await;
    assert!(followed_before.borrow().complete && registry.instances("pay.Other").borrow().complete);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_holds_up_a_withdrawal_for_a_second_at_most() {
    let (_stop, shutdown) = pair();
    let registry = Registry::start(Epoch(1), RegistryConfig::default(), shutdown);
    let session = Session::open(None);
    session.clone().scope(registry.publish(publish(instance(1, 1)))).await.unwrap();
    let _never_read = registry.subscribe(SERVICE.into()).await.unwrap();
    let seen = registry.0.state.lock().subscribers(SERVICE).pop();
    seen.unwrap().changed().await.expect("the snapshot is on its way and uses up the credit");
    let started = Instant::now();
    let withdraw = Withdraw { service: SERVICE.into(), address: instance(1, 1).address, publication: instance(1, 1).publication };
    registry.withdraw(withdraw).await.unwrap();
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(1_100), "{took:?}");
    assert!(registry.instances(SERVICE).borrow().instances.is_empty());
}

#[tokio::test]
async fn a_registry_that_stops_takes_the_end_of_its_sessions_for_no_evidence() {
    let (stop, shutdown) = pair();
    let registry = Registry::start(Epoch(1), RegistryConfig::default(), shutdown);
    let session = Session::open(Some(([127, 0, 0, 1], 9).into()));
    session.clone().scope(registry.publish(publish(instance(1, 1)))).await.unwrap();
    stop.stop();
    session.close();
    tokio::task::yield_now().await;
    assert_eq!(ports(&registry.instances(SERVICE).borrow()), [1]);
}
