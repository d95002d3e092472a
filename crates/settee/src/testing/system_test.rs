//! What a test may rely on: calls and transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use settee_core::Error;
use settee_core::error::{Certainty, codes};

use super::System;
use crate::app::{App, Running};
use crate::config::Settings;
use crate::rpc::Reply;
use crate::txn::participant_test::{DebitClient, DebitServer, Ledger, MemoryStore, Order};
use crate::txn::{Decision, GlobalTransaction, SWEEP_EVERY, SWEEP_GRACE};

#[crate::service("test.Counter")]
trait Counter {
    /// Counts, and tells.
    async fn count(&self, by: u32) -> Reply<u32>;

    /// Tells who holds the key.
    #[rpc(idempotent, route = "key")]
    async fn of(&self, key: String) -> Reply<String>;
}

#[derive(Clone, Default)]
struct Counting {
    name: String,
    count: Arc<AtomicU32>,
}

impl Counter for Counting {
    async fn count(&self, by: u32) -> Reply<u32> {
        Ok(self.count.fetch_add(by, Ordering::Relaxed) + by)
    }

    async fn of(&self, _key: String) -> Reply<String> {
        Ok(self.name.clone())
    }
}

pub(super) fn app(name: &str) -> App {
    App::new(name, Settings::default()).unwrap()
}

// Calls ---------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_call_reaches_whoever_serves_now_and_nobody_who_has_gone() {
    System::run(async |system| {
        let (counting, test) = (Counting::default(), app("test"));
        let counter: CounterClient = test.client();
        let first = system.start(app("counter").serve(CounterServer::new(counting.clone()))).await;
        assert_eq!(counter.count(2).await.unwrap(), 2);
        first.stop().await;
        let error = Error::from(counter.count(1).await.unwrap_err());
        assert_eq!((error.code(), error.certainty()), (&codes::NO_INSTANCE, Certainty::NotDone));
        let second = system.start(app("counter").serve(CounterServer::new(counting.clone()))).await;
        assert_eq!(counter.count(1).await.unwrap(), 3);
        drop(second);
        system.advance(Duration::from_secs(1)).await;
        assert!(counter.count(1).await.is_err(), "dropping stops it too");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_to_the_application_that_holds_its_share() {
    System::run(async |system| {
        let mut running = Vec::new();
        for (name, share) in [("zero", "0/2"), ("one", "1/2")] {
            let settings = Settings { share: Some(share.to_owned()), ..Settings::default() };
            let counting = Counting { name: name.to_owned(), ..Counting::default() };
            running.push(system.start(App::new(name, settings).unwrap().serve(CounterServer::new(counting))).await);
        }
        let test = app("test");
        let counter: CounterClient = test.client();
        for key in ["a", "b", "c", "d"] {
            let share = settee_core::registry::Share::of_key(key, 2).index;
            assert_eq!(counter.of(key.to_owned()).await.unwrap(), ["zero", "one"][share as usize], "{key}");
        }
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "start_paused = true")]
async fn a_clock_that_runs_is_refused() {
    System::run(async |_| ()).await;
}

// Transactions --------------------------------------------------------------------------------

const TIMEOUT: Duration = Duration::from_secs(5);

/// One participant, its books, and who begins transactions.
struct Bank {
    store: MemoryStore,
    ledger: Running,
    test: App,
    debit: DebitClient,
}

impl Bank {
    async fn start(system: &System) -> Self {
        let (store, test) = (MemoryStore::default(), app("test"));
        let ledger = system.start(app("ledger").participate(DebitServer::new(Ledger, store.clone()))).await;
        Self { store, ledger, debit: test.client(), test }
    }

    /// A transaction with one branch that was tried.
    async fn tried(&self) -> GlobalTransaction {
        let transfer = self.test.transactions().begin("transfer", TIMEOUT);
        transfer.attempt(&self.debit, Order { account: "CH93".into(), minor: 7 }).await.unwrap();
        transfer
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_committed_is_confirmed_and_what_is_dropped_is_cancelled() {
    System::run(async |system| {
        let bank = Bank::start(&system).await;
        let paid = bank.tried().await;
        let paid_xid = paid.xid().await.unwrap();
        paid.commit().await.unwrap();
        let dropped = bank.tried().await;
        let dropped_xid = dropped.xid().await.unwrap();
        drop(dropped);
        system.settled().await;
        assert_eq!(bank.store.effects().await, ["try", "confirm", "try", "cancel"]);
        assert_eq!(bank.test.transactions().end(paid_xid).await.unwrap(), Decision::Commit);
        assert_eq!(bank.test.transactions().end(dropped_xid).await.unwrap(), Decision::Abort);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_try_that_nobody_decides_about_is_cancelled_soon_after_the_deadline_and_not_before() {
    System::run(async |system| {
        let bank = Bank::start(&system).await;
        let forgotten = bank.tried().await;
        system.advance(TIMEOUT).await;
        assert_eq!(bank.store.effects().await, ["try"]);
        system.advance(SWEEP_GRACE + 2 * SWEEP_EVERY).await;
        assert_eq!(bank.store.effects().await, ["try", "cancel"]);
        let error = forgotten.commit().await.unwrap_err();
        assert_eq!((error.code(), error.certainty()), (&codes::DECIDED_OTHERWISE, Certainty::NotDone));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn phase_two_waits_for_a_participant_that_is_away() {
    System::run(async |system| {
        let bank = Bank::start(&system).await;
        let transfer = bank.tried().await;
        bank.ledger.stop().await;
        transfer.commit().await.unwrap();
        system.advance(Duration::from_secs(1)).await;
        assert_eq!(bank.store.effects().await, ["try"]);
        let _again = system.start(app("ledger").participate(DebitServer::new(Ledger, bank.store.clone()))).await;
        system.settled().await;
        assert_eq!(bank.store.effects().await, ["try", "confirm"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "(transfer) is COMMITTING")]
async fn a_system_that_cannot_settle_says_what_is_open() {
    System::run(async |system| {
        let bank = Bank::start(&system).await;
        let transfer = bank.tried().await;
        bank.ledger.stop().await;
        transfer.commit().await.unwrap();
        system.settled().await;
    })
    .await;
}
