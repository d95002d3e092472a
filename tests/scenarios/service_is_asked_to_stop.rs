//! SIGTERM, as in a rolling restart, to a service that is in the middle of a transfer.

use std::path::Path;

use nix::sys::signal::Signal;
use settee::app::App;
use settee::registry::control::RegistryControlClient;
use settee::txn::{TransactionControl, TransactionControlClient};
use settee_core::{Context, env};
use settee_payments::api::{Payment, PaymentClient};
use settee_tests::{Launch, PATIENCE, balance, local, open, order, settings, settle, until};
use tempfile::TempDir;

use super::SETTEE;

const SERVICE: &str = "pay.Payment";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_under_way_is_answered_and_nobody_is_sent_to_a_closed_door() {
    let folder = TempDir::new().unwrap();
    let (settee, log) = (Path::new(SETTEE), folder.path().join("log"));
    let server = Launch::server(settee, &folder.path().join("server"), local(), &log).start().await.unwrap();
    let file = |name: &str| folder.path().join(format!("{name}.db"));
    let service = |name| {
        let launch = Launch::service(settee, name, server.address(), &file(name), &log);
        async move { launch.start().await.unwrap() }
    };
    let (first, second, mut payment) = tokio::join!(service("account-1"), service("account-2"), service("payment"));
    let caller = App::new("caller", settings(server.address())).unwrap();
    open(&caller, &["alice", "bob"], 100_00).await;
    let client: PaymentClient = caller.client();
    settle(&client, &order("t-1", "alice", "bob", "1")).await.expect("nothing speaks against it");

    // While the ledgers stand still, a transfer is under way.
    for ledger in [&first, &second] {
        ledger.signal(Signal::SIGSTOP);
    }
    let patient = Context::root("caller").with_timeout(PATIENCE);
    let transfer = async move { client.transfer(order("t-2", "alice", "bob", "2")).await };
    let calling = env::spawn(patient.scope(transfer));
    let transactions: TransactionControlClient = caller.control();
    until(|| async { transactions.stats().await.ok().filter(|stats| stats.open > 0) }).await;

    payment.signal(Signal::SIGTERM);
    let registry: RegistryControlClient = caller.control();
    let is_listed = || async {
        let services = registry.services().await.ok()?;
        Some(services.iter().any(|service| service.name == SERVICE && !service.instances.is_empty()))
    };
    let left = || async {
        let is_closed = env::connect(payment.address()).await.is_err();
        let is_listed = is_listed().await?;
        assert!(!(is_closed && is_listed), "callers are sent to a door that is closed");
        (!is_listed).then_some(())
    };
    until(left).await;
    assert!(!calling.is_finished(), "the story is about a call that is under way");

    for ledger in [&first, &second] {
        ledger.signal(Signal::SIGCONT);
    }
    let receipt = calling.await.unwrap();
    assert!(receipt.is_ok(), "{receipt:?}");
    let ended = payment.ended().await;
    assert_eq!(ended.status.and_then(|status| status.code()), Some(0), "{ended}");
    until(|| async { (balance(&caller, "bob").await == (103_00, 0)).then_some(()) }).await;
    assert!(!folder.path().join("payment.db-wal").exists(), "its database is whole in one file");
}
