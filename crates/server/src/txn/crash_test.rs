//! The coordinator dies at every write it makes, before it lands and after, in every story; its successor must leave one
//! consistent end, and nothing that anybody was told may turn out otherwise.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use settee::rpc::{CallOptions, Reply, RouteKey, refuse};
use settee::txn::{
    Attempt, Attempted, BranchId, Decision, Inquire, Inquiry, State, TccClient, TransactionControl, TransactionControlClient,
    Transactions, Xid,
};
use settee_core::error::{Certainty, ErrorKind, codes};
use settee_core::id::Revision;
use settee_core::port::{BoxFuture, Commit, Kv, Outcome, Page, Range, StoreError, Versioned, Watch};
use settee_core::txn::fence::{Request, Row};
use settee_core::{Context, Error};
use settee_engines::memory::MemoryKv;

use super::Config;
use super::coordinator_test::{Bank, Life, SERVICES, pass};

/// A store whose process stops at a commit: nothing of it is heard afterwards.
struct Mortal {
    kv: Arc<dyn Kv>,
    death: Mutex<Death>,
}

/// When the process dies.
#[derive(Clone, Copy, Debug)]
struct Death {
    /// Commits that still go well.
    after: u64,
    /// Whether the commit at which it dies lands.
    lands: bool,
    has_come: bool,
}

impl Mortal {
    fn new(kv: Arc<dyn Kv>, after: u64, lands: bool) -> Arc<Self> {
        Arc::new(Self { kv, death: Mutex::new(Death { after, lands, has_come: false }) })
    }

    fn is_dead(&self) -> bool {
        self.death.lock().has_come
    }

    /// Whether the commit at hand goes well, is lost, or lands unheard.
    fn strike(&self) -> Option<bool> {
        let mut death = self.death.lock();
        if death.has_come {
            return Some(false);
        }
        death.has_come = death.after == 0;
        death.after = death.after.saturating_sub(1);
        death.has_come.then_some(death.lands)
    }
}

impl Kv for Mortal {
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        if self.is_dead() { Box::pin(std::future::pending()) } else { self.kv.get(key) }
    }

    fn range(&self, range: Range) -> BoxFuture<'_, Result<Page, StoreError>> {
        if self.is_dead() { Box::pin(std::future::pending()) } else { self.kv.range(range) }
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        let struck = self.strike();
        Box::pin(async move {
            match struck {
                None => self.kv.commit(commit).await,
                Some(lands) => {
                    if lands {
                        let _unheard = self.kv.commit(commit).await;
                    }
                    std::future::pending().await
                }
            }
        })
    }

    fn watch(&self, prefix: Bytes, after: Revision) -> BoxFuture<'_, Result<Box<dyn Watch>, StoreError>> {
        self.kv.watch(prefix, after)
    }
}

/// Tries branches at the bank, and answers as the story says.
struct Caller {
    bank: Arc<Bank>,
    service: &'static str,
    answer: TryAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum TryAnswer {
    Heard,
    Lost,
    Refused,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct NoFunds;

impl settee::Refusal for NoFunds {
    fn code(&self) -> &str {
        "AM04"
    }
}

impl TccClient for Caller {
    type Order = ();
    type Hold = ();
    type Refusal = NoFunds;

    fn service(&self) -> &'static str {
        self.service
    }

    fn route(&self, (): &()) -> Option<RouteKey> {
        None
    }

    async fn attempt(&self, attempt: &Attempt<()>, _options: CallOptions) -> Reply<Attempted<()>, NoFunds> {
        if self.answer == TryAnswer::Refused {
            return Err(refuse(NoFunds));
        }
        self.bank.request(attempt.xid, &attempt.branch, Request::Try)?;
        match self.answer {
            TryAnswer::Lost => Err(Error::new(ErrorKind::Unavailable, codes::CONNECTION_LOST, "try").unknown().into()),
            _heard => Ok(Attempted { hold: (), joins: Vec::new() }),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Commit,
    Abort,
    Dies,
}

/// What the application did and what it was told.
struct Told {
    xid: Option<Xid>,
    outcome: Option<Result<(), Certainty>>,
}

async fn story(life: &Life, second: TryAnswer, end: End) -> Told {
    let transactions = Transactions::new(TransactionControlClient::in_process(Arc::new(life.coordinator.clone())), "payment");
    let transfer = transactions.begin("transfer", Duration::from_secs(5));
    let Ok(Ok(xid)) = tokio::time::timeout(Duration::from_secs(1), transfer.xid()).await else {
        return Told { xid: None, outcome: None };
    };
    for (service, answer) in SERVICES.into_iter().zip([TryAnswer::Heard, second]) {
        let caller = Caller { bank: life.bank.clone(), service, answer };
        let _noted_by_the_transfer = transfer.attempt(&caller, ()).await;
    }
    let outcome = match end {
        End::Commit => Some(transfer.commit().await.map_err(|error| error.certainty())),
        End::Abort => {
            let _it_aborts_anyway = transfer.abort().await;
            Some(Err(Certainty::NotDone))
        }
        End::Dies => {
            std::mem::forget(transfer);
            None
        }
    };
    Told { xid: Some(xid), outcome }
}

/// Participants ask about what is still held, as their sweepers do.
async fn sweep(life: &Life) {
    let held: Vec<(Xid, BranchId)> =
        life.bank.rows.lock().iter().filter(|(_, row)| **row == Row::Tried).map(|(key, _)| key.clone()).collect();
    for (xid, branch) in held {
        let inquiry = life.coordinator.inquire(Inquire { xid, branch: Some(branch.clone()) }).await.unwrap();
        if let Inquiry::Decided(decided) = inquiry {
            life.bank.request(xid, &branch, Request::phase_two(decided.decision)).unwrap();
        }
    }
}

fn ended(bank: &Bank) -> Vec<Row> {
    bank.rows.lock().values().copied().filter(|row| *row != Row::Suppressed).collect()
}

async fn check(life: &Life, told: &Told, at: &str) {
    let rows = ended(&life.bank);
    let confirmed = rows.iter().filter(|row| **row == Row::Confirmed).count();
    assert!(rows.iter().all(|row| *row != Row::Tried), "{at}: money is held for ever: {rows:?}");
    assert!(confirmed == 0 || confirmed == 2, "{at}: half a transfer: {rows:?}");
    match told.outcome {
        Some(Ok(())) => assert_eq!(confirmed, 2, "{at}: told committed, and it was not"),
        Some(Err(Certainty::NotDone)) => assert_eq!(confirmed, 0, "{at}: told aborted, and it was not"),
        _ => {}
    }
    if let Some(xid) = told.xid {
        let inquiry = life.coordinator.inquire(Inquire { xid, branch: None }).await.unwrap();
        let Inquiry::Decided(decided) = inquiry else { panic!("{at}: still undecided") };
        assert_eq!(decided.decision == Decision::Commit, confirmed == 2, "{at}: decision and effects differ");
        let state = life.coordinator.show(xid).await.unwrap().summary.state;
        assert!(matches!(state, State::Committed | State::Aborted), "{at}: {state}");
    }
    let stats = life.coordinator.stats().await.unwrap();
    let decisions = u64::from(told.xid.is_some());
    assert_eq!((stats.open, stats.parked, stats.committed + stats.aborted), (0, 0, decisions), "{at}");
    assert_eq!(stats.committed, u64::from(confirmed == 2), "{at}");
}

/// Returns whether the story ended before death came.
async fn die_and_take_over(after: u64, lands: bool, second: TryAnswer, end: End) -> bool {
    let at = format!("death at commit {after}, landed: {lands}, second try: {second:?}, end: {end:?}");
    let store: Arc<dyn Kv> = Arc::new(MemoryKv::new());
    // Taking the shards is one commit; the deaths of interest come later.
    let mortal = Mortal::new(store.clone(), after + 1, lands);
    let bank = Arc::new(Bank::default());
    let first = Life::start(mortal.clone(), bank.clone(), Config::default()).await;
    let told = Context::root("payment").scope(story(&first, second, end)).await;
    pass(1).await;
    let survived = !mortal.is_dead();
    mortal.death.lock().has_come = true;
    drop(first);
    let successor = Life::start(store.clone(), bank.clone(), Config::default()).await;
    pass(30).await;
    sweep(&successor).await;
    pass(1).await;
    check(&successor, &told, &at).await;
    drop(successor);
    let third = Life::start(store, bank, Config::default()).await;
    pass(1).await;
    check(&third, &told, &at).await;
    survived
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_dies_at_any_write_leaves_one_consistent_end() {
    let mut deaths = 0;
    for (second, end) in [
        (TryAnswer::Heard, End::Commit),
        (TryAnswer::Heard, End::Abort),
        (TryAnswer::Heard, End::Dies),
        (TryAnswer::Lost, End::Commit),
        (TryAnswer::Refused, End::Commit),
    ] {
        for lands in [false, true] {
            let mut after = 0;
            while !die_and_take_over(after, lands, second, end).await {
                after += 1;
                deaths += 1;
            }
        }
    }
    assert!(deaths >= 20, "only {deaths} deaths");
}

#[tokio::test(start_paused = true)]
async fn without_a_death_the_stories_end_as_they_should() {
    for (second, end, expected) in [
        (TryAnswer::Heard, End::Commit, Some(Ok(()))),
        (TryAnswer::Heard, End::Abort, Some(Err(Certainty::NotDone))),
        (TryAnswer::Lost, End::Commit, Some(Err(Certainty::NotDone))),
        (TryAnswer::Refused, End::Commit, Some(Err(Certainty::NotDone))),
    ] {
        let life = Life::first().await;
        let told = Context::root("payment").scope(story(&life, second, end)).await;
        assert_eq!(told.outcome, expected, "{second:?} {end:?}");
        pass(1).await;
        check(&life, &told, "no death").await;
    }
}
