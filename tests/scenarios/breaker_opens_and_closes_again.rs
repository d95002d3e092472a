//! A callee that is gone opens the caller's breaker, and one that is back closes it: nobody stays locked out.

use settee::app::App;
use settee::error::{Certainty, codes};
use settee::flow::control::{FlowControl, FlowControlClient};
use settee::flow::{BreakerOptions, Flow, Limit, Mode, Rule, RuleSet, Side};
use settee_payments::api::{Notify, NotifyClient};
use settee_tests::{House, settings, until};

/// More calls than a half-open breaker lets through.
const CALLS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_refuses_calls_to_a_dead_service_and_lets_all_through_when_it_is_back() {
    let mut house = House::start().await;
    let teller = App::new("teller", settings(house.server())).unwrap();
    let (flow, notify, rules): (Flow, NotifyClient, FlowControlClient) = (teller.flow(), teller.client(), teller.control());
    let teller = teller.start().await.unwrap();
    rules.put("teller".into(), breaker()).await.unwrap();
    until(|| async { (!flow.over_limit().is_empty()).then_some(()) }).await;
    until(|| async { notify.counts().await.ok() }).await;

    house.stop_service("notify").await;
    let open = until(|| async {
        let fault = notify.counts().await.err()?;
        fault.failure().filter(|error| *error.code() == codes::BREAKER_OPEN).map(|error| (error.certainty(), error.retry_after()))
    })
    .await;
    assert_eq!(open.0, Certainty::NotDone);
    assert!(open.1.is_some(), "it says when to come back");

    house.start_service("notify").await;
    until(|| async { notify.counts().await.ok() }).await;
    until(|| async { all_pass(&notify).await }).await;
    let refused = flow.limited();
    assert!(refused > 0);
    all_pass(&notify).await.expect("a closed breaker lets everything through");
    assert_eq!(flow.limited(), refused);
    teller.stop().await;
    house.stop().await;
}

/// Many calls at once, more than probes may be: `None` if one fails.
async fn all_pass(notify: &NotifyClient) -> Option<()> {
    let calls = futures::future::join_all((0..CALLS).map(|_| notify.counts())).await;
    calls.iter().all(Result::is_ok).then_some(())
}

fn breaker() -> RuleSet {
    let options = BreakerOptions { min_calls: 5, open_ms: 50, successes: 2, window_ms: 500, ..BreakerOptions::default() };
    let rule = Rule {
        name: "notify".into(),
        service: "pay.Notify".into(),
        method: None,
        side: Side::Client,
        limit: Limit::Breaker(options),
        mode: Mode::Enforce,
    };
    RuleSet { generation: 0, rules: vec![rule] }
}
