//! The JSON endpoint as `curl` sees it: a value, a refusal and a failure cannot be taken for one another.

use serde_json::{Value, json};
use settee_payments::api::PaymentClient;
use settee_tests::{House, Page, get, open, order, post, settle};

const TRANSFER: &str = "/rpc/pay.Payment/transfer";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_a_refusal_and_a_failure_are_told_apart_by_status_and_by_body() {
    let house = House::start().await;
    open(&house.caller, &["alice", "bob"], 100_00).await;
    let payment: PaymentClient = house.caller.client();
    settle(&payment, &order("t-0", "alice", "bob", "1")).await.expect("everybody knows everybody now");
    let at = house.address("payment");

    let made = post(at, TRANSFER, &body("t-1", "12.50")).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert!(made.head.contains("content-type: application/json"), "{made:?}");
    let receipt = made.json();
    let xid = receipt["xid"].as_str().expect("the transaction that made it");
    assert_eq!((xid.len(), &receipt["transfer"]), (32, &json!("t-1")));
    assert_eq!(receipt.as_object().map(serde_json::Map::len), Some(2), "{receipt}");
    assert_eq!(post(at, TRANSFER, &body("t-1", "12.50")).await.json(), receipt, "the same order, the same answer");

    let refused = post(at, TRANSFER, &body("t-2", "1000")).await;
    assert_eq!(
        (refused.status, refused.json()),
        (422, json!({ "refused": { "code": "AM04", "refusal": "insufficient_funds" } }))
    );

    // What is wrong with a request is said; nothing of it was done.
    for (path, body, status, code, part) in [
        (TRANSFER, "{", 400, "RPC0001", "EOF"),
        (TRANSFER, "{}", 400, "RPC0001", "order"),
        ("/rpc/pay.Payment/tranfser", "{}", 404, "RPC0007", "transfer"),
        ("/rpc/pay.Paiment/transfer", "{}", 404, "RPC0006", "pay.Payment"),
    ] {
        assert_failed(&post(at, path, body).await, status, code, part);
    }
    assert_failed(&get(at, TRANSFER).await, 405, "RPC0001", "use POST");
    assert_failed(&get(at, "/nothing/here").await, 404, "RPC0001", "/nothing/here");
    house.stop().await;
}

fn assert_failed(page: &Page, status: u16, code: &str, part: &str) {
    let failed = page.json()["failed"].clone();
    assert_eq!((page.status, &failed["code"], &failed["certainty"]), (status, &json!(code), &json!("not_done")), "{page:?}");
    assert!(failed["message"].as_str().is_some_and(|message| message.contains(part)), "{part:?} in {page:?}");
}

fn body(id: &str, amount: &str) -> String {
    let order: Value = json!({
        "id": id, "debtor": "alice", "creditor": "bob", "amount": amount, "currency": "EUR", "text": "rent"
    });
    json!({ "order": order }).to_string()
}
