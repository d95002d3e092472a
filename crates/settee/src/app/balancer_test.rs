//! Which instances an application calls, by the balancer that its settings choose: over a registry and connections in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::App;
use crate::config::Settings;
use crate::rpc::Reply;
use crate::testing::System;

#[crate::service("test.Quote")]
trait Quote {
    async fn quote(&self) -> Reply<()>;
}

/// Answers after `takes`, and counts.
#[derive(Clone)]
struct Desk {
    takes: Duration,
    asked: Arc<AtomicU32>,
}

impl Quote for Desk {
    async fn quote(&self) -> Reply<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        Ok(())
    }
}

/// How many of 30 calls in a row a slow instance gets, how many each of two quick ones, where `balancer` chooses.
async fn spread(balancer: &str) -> [u32; 3] {
    let settings = Settings { balancer: balancer.parse().unwrap(), ..Settings::default() };
    System::run(async |system| {
        let desks = [50, 1, 1].map(|takes| Desk { takes: Duration::from_millis(takes), asked: Arc::default() });
        let mut running = Vec::new();
        for desk in &desks {
            let app = App::new("desk", Settings::default()).unwrap().serve(QuoteServer::new(desk.clone()));
            running.push(system.start(app).await);
        }
        let caller = App::new("caller", settings).unwrap();
        let quote: QuoteClient = caller.client();
        for _ in 0..30 {
            quote.quote().await.unwrap();
        }
        desks.map(|desk| desk.asked.load(Ordering::Relaxed))
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn round_robin_gives_everyone_the_same_number_of_calls_however_slow() {
    assert_eq!(spread("round_robin").await, [10, 10, 10]);
}

#[tokio::test(start_paused = true)]
async fn the_default_leaves_a_slow_instance_alone_once_it_is_known_to_be_slow() {
    let [slow, quick, other] = spread("p2c").await;
    assert!(slow <= 1 && quick >= 5 && other >= 5, "{slow} to the slow one, {quick} and {other} to the quick ones");
}
