//! Lists by begin: the newest are first whatever their xids say, and whatever the bound and a restart leave out comes behind them.

use std::sync::Arc;

use settee::txn::{Decision, ListOrder, ListPosition, ListTransactions, State, TransactionControl, Xid};
use settee_engines::memory::MemoryKv;

use super::coordinator_test::{Life, TRIED, pass};
use super::*;

/// Lines of one page: few, so that there are many pages.
const LIMIT: u32 = 7;

/// What a reader of all pages is shown, in order, and the position at which each page ended.
async fn read(life: &Life, request: ListTransactions) -> (Vec<Xid>, Vec<ListPosition>) {
    let mut request = ListTransactions { order: ListOrder::Newest, limit: LIMIT, ..request };
    let (mut xids, mut ends) = (Vec::new(), Vec::new());
    loop {
        let page = life.coordinator.list(request.clone()).await.unwrap();
        assert!(page.transactions.len() <= LIMIT as usize);
        xids.extend(page.transactions.iter().map(|line| line.xid));
        request.after = page.next;
        match page.next {
            Some(next) => ends.push(next),
            None => return (xids, ends),
        }
    }
}

async fn listed(life: &Life, states: &[State]) -> Vec<Xid> {
    read(life, ListTransactions { states: states.to_vec(), ..ListTransactions::default() }).await.0
}

fn newest(bound: usize) -> Config {
    Config { newest: bound, ..Config::default() }
}

/// Forty transactions, the newest first; every second is committed, and the others are open.
async fn forty(life: &Life) -> Vec<Xid> {
    let mut begun = Vec::new();
    for index in 0..40 {
        let xid = life.tried(1).await;
        begun.push(xid);
        if index % 2 == 0 {
            life.decide(xid, Decision::Commit, &[TRIED]).await;
        }
        // No two begin within one microsecond of a clock that may be coarse.
        while settee_core::env::wall_clock() <= life.coordinator.show(xid).await.unwrap().summary.begun_at.unwrap() {}
    }
    pass(0).await;
    begun.reverse();
    begun
}

#[tokio::test(start_paused = true)]
async fn the_newest_come_first_whatever_their_shards_are_and_after_a_restart_too() {
    let life = Life::first().await;
    let expected = forty(&life).await;
    let every_second = |offset: usize| expected.iter().copied().skip(offset).step_by(2).collect::<Vec<_>>();
    assert!(!expected.is_sorted_by(|one, other| one > other), "the order of xids is another");
    assert_eq!(listed(&life, &[]).await, expected);
    assert_eq!(listed(&life, &[State::Committed, State::ClosedByOperator]).await, every_second(1));
    assert_eq!(listed(&life, &[State::Active, State::CommitParked]).await, every_second(0));
    let by_reference = ListTransactions { reference: Some("E2E-1".into()), ..ListTransactions::default() };
    assert_eq!(read(&life, by_reference).await.0, expected);

    let life = life.restart_with(Config { recovers: false, ..Config::default() }).await;
    assert_eq!(listed(&life, &[]).await, expected, "also what ended under an earlier owner");
    let newer = life.tried(1).await;
    assert_eq!(listed(&life, &[]).await[..2], [newer, expected[0]]);
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_the_bound_follows_once_and_only_once() {
    let life = Life::start(Arc::new(MemoryKv::new()), Arc::default(), newest(10)).await;
    let expected = forty(&life).await;
    let mut older = expected[10..].to_vec();
    older.sort_unstable();
    let whole = [&expected[..10], &older].concat();
    let (all, ends) = read(&life, ListTransactions::default()).await;
    assert_eq!(all, whole);
    assert!(matches!(ends[..], [ListPosition::Newest(..), ListPosition::Older(_), ListPosition::Older(_), ..]), "{ends:?}");

    let life = life.restart_with(Config { recovers: false, ..newest(10) }).await;
    let mut after_a_restart = listed(&life, &[]).await;
    assert_eq!(after_a_restart[..1], expected[..1]);
    after_a_restart.sort_unstable();
    let mut all = expected.clone();
    all.sort_unstable();
    assert_eq!(after_a_restart, all);
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_is_overtaken_by_new_transactions_misses_none_of_the_old_ones() {
    let life = Life::start(Arc::new(MemoryKv::new()), Arc::default(), newest(10)).await;
    let expected = forty(&life).await;
    let mut request = ListTransactions { order: ListOrder::Newest, limit: LIMIT, ..ListTransactions::default() };
    let first = life.coordinator.list(request.clone()).await.unwrap();
    let overtaking = forty(&life).await;
    let mut seen: Vec<_> = first.transactions.iter().map(|line| line.xid).collect();
    request.after = first.next;
    while request.after.is_some() {
        let page = life.coordinator.list(request.clone()).await.unwrap();
        seen.extend(page.transactions.iter().map(|line| line.xid).filter(|xid| !overtaking.contains(xid)));
        request.after = page.next;
    }
    for xid in &expected {
        assert!(seen.contains(xid), "{xid} was never shown");
    }
}

#[tokio::test(start_paused = true)]
async fn an_xid_alone_goes_on_by_xid_as_lists_always_did() {
    let life = Life::first().await;
    let mut expected = forty(&life).await;
    expected.sort_unstable();
    let request = ListTransactions { after: Some(expected[10].into()), ..ListTransactions::default() };
    assert_eq!(read(&life, request).await.0, expected[11..]);
}

#[tokio::test(start_paused = true)]
async fn what_never_began_is_listed_by_its_decision_and_what_nobody_knows_last() {
    let life = Life::first().await;
    let xid = life.tried(1).await;
    let never_began = life.xid().await;
    life.inquire(never_began, None).await;
    assert_eq!(listed(&life, &[]).await, [never_began, xid]);
    let later = life.tried(1).await;
    assert_eq!(listed(&life, &[]).await, [later, never_began, xid]);
}
