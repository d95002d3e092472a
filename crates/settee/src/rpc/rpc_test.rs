//! Real sockets on loopback: one service, both protocols, and what breaks between the two ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use settee_core::error::codes;
use settee_core::{Certainty, Context, Error};

use super::*;
use crate::trace::Tracer;

#[crate::refusal]
pub(crate) enum No {
    #[code("AM04")]
    Funds { short_by: u64 },
}

#[crate::service("test.Till")]
pub(crate) trait Till {
    #[rpc(idempotent)]
    async fn double(&self, amount: u64) -> Reply<u64>;
    async fn take(&self, amount: u64) -> Reply<u64, No>;
    async fn count(&self, up_to: u64) -> Reply<Updates<u64>>;
    async fn caller(&self) -> Reply<String>;
    async fn hang(&self) -> Reply<()>;
    async fn panic(&self) -> Reply<()>;
    #[rpc(oneway)]
    async fn note(&self) -> Reply<()>;
}

#[derive(Default)]
struct Drawer {
    notes: AtomicU32,
}

impl Till for Drawer {
    async fn double(&self, amount: u64) -> Reply<u64> {
        Ok(amount * 2)
    }

    async fn take(&self, amount: u64) -> Reply<u64, No> {
        100_u64.checked_sub(amount).ok_or_else(|| refuse(No::Funds { short_by: amount - 100 }))
    }

    async fn count(&self, up_to: u64) -> Reply<Updates<u64>> {
        let (sender, updates) = updates(4);
        crate::spawn(async move {
            for n in 0..up_to {
                if sender.send(n).await.is_err() {
                    return;
                }
            }
        });
        Ok(updates)
    }

    async fn caller(&self) -> Reply<String> {
        Ok(Context::current().caller.to_string())
    }

    async fn hang(&self) -> Reply<()> {
        self.notes.fetch_add(1, Ordering::Relaxed);
        std::future::pending().await
    }

    async fn panic(&self) -> Reply<()> {
        panic!("the drawer is stuck")
    }

    async fn note(&self) -> Reply<()> {
        self.notes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A listener on a port of its own.
pub(super) async fn listening(services: Services) -> Listening {
    let at = "127.0.0.1:0".parse().unwrap();
    Listening::start(at, Arc::new(services), Arc::new(()), ServerConfig::default()).await.unwrap()
}

async fn serving() -> (Listening, Arc<Drawer>) {
    let drawer = Arc::new(Drawer::default());
    (listening(Services::new().with(TillServer::shared(drawer.clone()))).await, drawer)
}

pub(super) fn channels(listening: &Listening) -> Channels {
    Channels::new(Arc::new(StaticInstances::new().otherwise([listening.address()])), Tracer::off())
}

#[tokio::test]
async fn values_refusals_and_failures_arrive_as_what_they_are() {
    let (listening, _) = serving().await;
    let till: TillClient = channels(&listening).client();
    assert_eq!(till.double(21).await.unwrap(), 42);
    assert_eq!(till.take(130).await.unwrap_err().refusal(), Some(&No::Funds { short_by: 30 }));
    let fault = till.panic().await.unwrap_err();
    assert_eq!((fault.failure().unwrap().code(), fault.failure().unwrap().certainty()), (&codes::PANICKED, Certainty::Unknown));
    assert_eq!(till.double(1).await.unwrap(), 2, "a panic must not take the connection with it");
}

#[tokio::test]
async fn the_caller_and_the_deadline_cross_the_edge() {
    let (listening, _) = serving().await;
    let till: TillClient = channels(&listening).client();
    let context = Context::root("payment").with_timeout(Duration::from_millis(80));
    context
        .scope(async {
            assert_eq!(till.caller().await.unwrap(), "payment");
            let error = Error::from(till.hang().await.unwrap_err());
            assert_eq!((error.code(), error.certainty()), (&codes::DEADLINE, Certainty::Unknown));
        })
        .await;
}

#[tokio::test]
async fn a_stream_longer_than_its_credit_arrives_whole_and_in_order() {
    let (listening, _) = serving().await;
    let till: TillClient = channels(&listening).client();
    let mut updates = till.count(1_000).await.unwrap();
    for expected in 0..1_000 {
        assert_eq!(updates.next().await.unwrap().unwrap(), expected);
    }
    assert!(updates.next().await.is_none());
}

#[tokio::test]
async fn a_dropped_stream_is_cancelled_at_its_sender() {
    let (listening, _) = serving().await;
    let till: TillClient = channels(&listening).client();
    let mut updates = till.count(u64::MAX).await.unwrap();
    updates.next().await.unwrap().unwrap();
    drop(updates);
    assert_eq!(till.double(4).await.unwrap(), 8, "the connection goes on");
}

#[tokio::test]
async fn nobody_there_certainly_did_not_happen_and_says_who_is_known() {
    let (listening, _) = serving().await;
    let channels = channels(&listening);
    let address = listening.address();
    listening.drain().await;
    let error = Error::from(channels.client::<TillClient>().double(1).await.unwrap_err());
    assert_eq!((error.code(), error.certainty()), (&codes::CONNECT_FAILED, Certainty::NotDone));
    assert!(error.message().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_drain_serves_what_was_under_way() {
    let (listening, _) = serving().await;
    let till: TillClient = channels(&listening).client();
    till.double(1).await.unwrap();
    let calls: Vec<_> = (0..64)
        .map(|n| {
            let till = till.clone();
            crate::spawn(async move { till.double(n).await })
        })
        .collect();
    let drained = crate::spawn(listening.drain());
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => {}
            Err(fault) => assert_eq!(Error::from(fault).certainty(), Certainty::NotDone),
        }
    }
    drained.await.unwrap();
}

#[tokio::test]
async fn a_drain_waits_neither_for_readers_of_streams_nor_for_those_who_say_nothing() {
    let (listening, _) = serving().await;
    let till: TillClient = channels(&listening).client();
    let _silent = settee_core::env::connect(listening.address()).await.unwrap();
    let mut updates = till.count(u64::MAX).await.unwrap();
    updates.next().await.unwrap().unwrap();
    let drained = tokio::time::timeout(Duration::from_secs(4), listening.drain());
    let reader = async { while let Some(Ok(_)) = updates.next().await {} };
    let (drained, ()) = tokio::join!(drained, reader);
    drained.expect("a drain with nothing but streams takes no time");
}

#[tokio::test]
async fn a_drain_closes_http_connections_whose_requests_do_not_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let drawer = Arc::new(Drawer::default());
    let services = Arc::new(Services::new().with(TillServer::shared(drawer.clone())));
    let config = ServerConfig { drain: Duration::from_millis(50), ..ServerConfig::default() };
    let listening = Listening::start("127.0.0.1:0".parse().unwrap(), services, Arc::new(()), config).await.unwrap();
    let mut connection = settee_core::env::connect(listening.address()).await.unwrap();
    connection.write_all(b"POST /rpc/test.Till/hang HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    while drawer.notes.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    listening.drain().await;
    let closed = tokio::time::timeout(Duration::from_secs(4), connection.read_to_end(&mut Vec::new())).await;
    closed.expect("closed").unwrap();
}

#[tokio::test]
async fn an_unknown_method_names_those_that_exist() {
    let (listening, _) = serving().await;
    let channel = channels(&listening).channel("test.Till");
    let method = MethodDescriptor::new("halve");
    let fault = channel.call::<_, (), Never>(&method, &(), CallOptions::default()).await.unwrap_err();
    let error = Error::from(fault);
    assert_eq!(error.code().as_str(), codes::NO_METHOD.as_str());
    assert!(error.message().contains("double"), "{error}");
}

#[tokio::test]
async fn a_oneway_call_is_made_and_nothing_is_waited_for() {
    let (listening, drawer) = serving().await;
    let till: TillClient = channels(&listening).client();
    till.note().await.unwrap();
    till.double(1).await.unwrap();
    assert_eq!(drawer.notes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_in_process_caller_gets_the_same_answers() {
    let till = TillClient::in_process(Arc::new(Drawer::default()));
    assert_eq!(till.double(21).await.unwrap(), 42);
    assert!(till.take(130).await.unwrap_err().refusal().is_some());
    assert_eq!(till.count(3).await.unwrap().next().await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn json_over_http_speaks_to_the_same_service() {
    let (listening, _) = serving().await;
    for (path, body, expected) in [
        ("test.Till/double", r#"{"amount":21}"#, ("200", "42")),
        ("test.Till/take", r#"{"amount":130}"#, ("422", r#""code":"AM04""#)),
        ("test.Till/double", r#"{"amount":"x"}"#, ("400", "read the arguments of test.Till.double")),
        ("test.Tull/double", "{}", ("404", "test.Till")),
    ] {
        let answer = post(listening.address(), path, body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {}", expected.0)) && answer.contains(expected.1), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_page_of_somebody_else_cannot_make_a_browser_call() {
    let (listening, _) = serving().await;
    let at = listening.address();
    let own = format!("host: {at}\r\norigin: http://{at}");
    for (heads, expected) in [
        (format!("host: {at}"), "200"),
        (own, "200"),
        (format!("host: {at}\r\norigin: http://evil.example"), "403"),
        (format!("host: {at}\r\norigin: null"), "403"),
        // A name that a name server of theirs leads to this machine.
        ("host: evil.example:80\r\norigin: http://evil.example:80".to_owned(), "403"),
    ] {
        let answer = post_with(at, "test.Till/double", &heads, r#"{"amount":21}"#).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{heads}: {answer}");
    }
}

#[tokio::test]
async fn a_page_under_a_name_of_this_process_calls_and_another_is_told_what_to_type() {
    let allowed_hosts = AllowedHosts::new(["pay.bank.example"]).unwrap();
    let config = ServerConfig { allowed_hosts, ..ServerConfig::default() };
    let services = Services::new().with(TillServer::shared(Arc::new(Drawer::default())));
    let listening = Listening::start("127.0.0.1:0".parse().unwrap(), Arc::new(services), Arc::new(()), config).await.unwrap();
    let advice = "tell it: --set settee.allowed_hosts=pay.bank.example.evil.com, or";
    for (host, origin, expected, part) in [
        ("pay.bank.example", "https://pay.bank.example", "200", "42"),
        ("Pay.Bank.Example.:80", "http://pay.bank.example.:80", "200", "42"),
        ("pay.bank.example:80", "http://pay.bank.example:81", "403", "a proxy must hand that on"),
        ("10.0.0.7:7401", "https://pay.bank.example", "403", "it is for \\\"10.0.0.7:7401\\\""),
        ("pay.bank.example.evil.com", "http://pay.bank.example.evil.com", "403", advice),
        ("", "http://", "403", "only one that this process serves"),
    ] {
        let heads = format!("host: {host}\r\norigin: {origin}");
        let answer = post_with(listening.address(), "test.Till/double", &heads, r#"{"amount":21}"#).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")) && answer.contains(part), "{heads}: {answer}");
    }
}

async fn post(to: std::net::SocketAddr, path: &str, body: &str) -> String {
    post_with(to, path, "host: x", body).await
}

async fn post_with(to: std::net::SocketAddr, path: &str, heads: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut connection = settee_core::env::connect(to).await.unwrap();
    let length = body.len();
    let request = format!("POST /rpc/{path} HTTP/1.1\r\n{heads}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}
