//! A rate rule turns calls away, tells them when to come back, and every transfer that does so is made.

use settee::error::{Certainty, ErrorKind, codes};
use settee::flow::control::{FlowControl, FlowControlClient};
use settee::flow::{Limit, Mode, Rule, RuleSet, Side};
use settee::{Error, Fault, Instant, spawn};
use settee_payments::api::{Payment, PaymentClient, Transfer};
use settee_tests::{House, PATIENCE, balance, open, order, reach, until};

/// More than the burst and a second of the rate.
const TRANSFERS: i64 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_over_the_rate_come_back_when_they_are_told_to_and_are_all_made() {
    let house = House::start().await;
    open(&house.caller, &["alice", "bob"], 100_00).await;
    let payment: PaymentClient = house.caller.client();
    reach(&payment).await;
    let rules: FlowControlClient = house.caller.control();
    rules.put("payment".into(), at_most_20_a_second()).await.unwrap();
    let flow = house.flow("payment");
    until(|| async { (!flow.over_limit().is_empty()).then_some(()) }).await;

    let paying: Vec<_> =
        (0..TRANSFERS).map(|number| spawn(pay(payment.clone(), order(&format!("t-{number}"), "alice", "bob", "1")))).collect();
    let mut turned_away = 0;
    for paid in paying {
        turned_away += paid.await.unwrap();
    }

    assert_eq!(balance(&house.caller, "alice").await, (100_00 - TRANSFERS * 100, 0));
    assert_eq!(balance(&house.caller, "bob").await, (100_00 + TRANSFERS * 100, 0));
    assert!(turned_away > 0, "the rule limits nothing");
    assert!(flow.limited() >= turned_away, "a call that was turned away is not counted");
    house.stop().await;
}

/// Pays, and comes back as often and as late as it is told to. Returns how often the rate was what turned it away.
async fn pay(payment: PaymentClient, order: Transfer) -> u64 {
    let mut turned_away = 0;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match payment.transfer(order.clone()).await {
            Ok(_) => return turned_away,
            Err(Fault::Refused(refusal)) => panic!("{refusal:?}"),
            // The rate, or the ledger's own "not now": what would cover it is held by others for the moment.
            Err(Fault::Failed(error)) if error.kind() == ErrorKind::Limited => {
                turned_away += u64::from(*error.code() == codes::RATE_LIMITED);
                come_back(&error).await;
            }
            Err(Fault::Failed(_)) => tokio::task::yield_now().await,
        }
    }
    panic!("{} was not made within {PATIENCE:?}", order.id)
}

async fn come_back(error: &Error) {
    assert_eq!(error.certainty(), Certainty::NotDone);
    tokio::time::sleep(error.retry_after().expect("it says when")).await;
}

fn at_most_20_a_second() -> RuleSet {
    let rule = Rule {
        name: "payments".into(),
        service: "pay.Payment".into(),
        method: None,
        side: Side::Server,
        limit: Limit::Rate { calls: 20, period_ms: 1_000, burst: 5 },
        mode: Mode::Enforce,
    };
    RuleSet { generation: 0, rules: vec![rule] }
}
