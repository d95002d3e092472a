//! The pages that operators and their tools read of every process.

use serde_json::json;
use settee_payments::api::PaymentClient;
use settee_tests::{House, get, open, order, settle};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_says_that_it_lives_what_it_is_and_what_it_counts() {
    let house = House::start().await;
    open(&house.caller, &["alice", "bob"], 100_00).await;
    let payment: PaymentClient = house.caller.client();
    settle(&payment, &order("t-1", "alice", "bob", "1")).await.expect("nothing speaks against it");
    settle(&payment, &order("t-2", "alice", "bob", "0")).await.expect_err("it is nothing");

    let at = house.address("payment");
    let live = get(at, "/health/live").await;
    assert_eq!((live.status, live.body.as_str()), (200, "live\n"));
    let ready = get(at, "/health/ready").await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));

    let mut info = get(at, "/info").await.json();
    assert!(info["up_seconds"].take().is_u64());
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(info, json!({ "application": "payment", "version": version, "services": ["pay.Payment"], "up_seconds": null }));

    let metrics = get(at, "/metrics").await;
    assert!(metrics.head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{metrics:?}");
    let transfers =
        |outcome| format!("settee_server_calls_total{{service=\"pay.Payment\",method=\"transfer\",outcome=\"{outcome}\"}} 1\n");
    for line in [&transfers("success"), &transfers("refused"), "# TYPE settee_server_call_seconds histogram\n", "# EOF\n"] {
        assert!(metrics.body.contains(line), "{line:?} in {}", metrics.body);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_has_the_same_pages() {
    let house = House::start().await;
    for (path, body) in [("/health/live", "live\n"), ("/health/ready", "ready\n")] {
        let page = get(house.server(), path).await;
        assert_eq!((page.status, page.body.as_str()), (200, body), "{path}");
    }
    let info = get(house.server(), "/info").await.json();
    let services = ["settee.Flow", "settee.Jobs", "settee.Messages", "settee.Registry", "settee.Traces", "settee.Transactions"];
    assert_eq!((&info["application"], &info["services"]), (&json!("settee-server"), &json!(services)));
    assert!(get(house.server(), "/metrics").await.body.ends_with("# EOF\n"));
    house.stop().await;
}
