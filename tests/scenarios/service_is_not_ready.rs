//! A service that runs and lacks what it needs: it says so, and nobody is sent to it.

use std::net::SocketAddr;
use std::sync::Arc;

use settee::Reply;
use settee::app::App;
use settee::config::Settings;
use settee::job::Job;
use settee::registry::control::RegistryControlClient;
use settee_core::env;
use settee_tests::{House, PATIENCE, get, settings, until};
use tokio::sync::watch;

/// Looks at a condition that does not hold, after which a service that went its own way would have been published long ago.
const LOOKS: u32 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_condition_does_not_hold_is_found_by_nobody() {
    let house = House::start().await;
    let at = own_address();
    let (till, looked) = (Arc::new(watch::Sender::new(false)), Arc::new(watch::Sender::new(0)));
    let (is_open, looks) = (till.subscribe(), looked.clone());
    let app = App::new("shop", Settings { listen: at, ..settings(house.server()) }).unwrap();
    let app = app.job(Job::new("till", |_run| async { Reply::Ok(()) })).ready_when("the till is open", move || {
        looks.send_modify(|looks| *looks += 1);
        std::future::ready(*is_open.borrow())
    });
    let starting = env::spawn(app.start());
    let mut looks = looked.subscribe();
    let looked_at = tokio::time::timeout(PATIENCE, looks.wait_for(|looks| *looks >= LOOKS)).await;
    looked_at.expect("the condition is asked for").unwrap();

    assert_eq!(get(at, "/health/live").await.status, 200);
    assert_eq!(get(at, "/health/ready").await.status, 503);
    let registry: RegistryControlClient = house.caller.control();
    let found = || async {
        let services = registry.services().await.ok()?;
        Some(services.iter().filter(|service| service.name == "job.till").flat_map(|service| &service.instances).count())
    };
    assert_eq!(until(found).await, 0);
    assert!(!starting.is_finished());

    till.send_replace(true);
    let running = starting.await.unwrap().unwrap();
    assert_eq!(found().await, Some(1), "whoever started it may call it at once");
    assert_eq!(get(at, "/health/ready").await.status, 200);
    running.stop().await;
    assert_eq!(found().await, Some(0));
    house.stop().await;
}

/// An address that is known before anybody listens there, and that no other process takes: its own number, as an address of this
/// machine.
fn own_address() -> SocketAddr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, high | 0x80, middle, low], Settings::SERVER_PORT))
}
