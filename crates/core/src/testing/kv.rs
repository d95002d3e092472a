//! The contract of [`Kv`]: what every engine promises, as one suite that each engine's tests run.
//!
//! Left out: durability and faults, which need the engine's own disk or network.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::join_all;

use crate::error::Certainty;
use crate::id::Revision;
use crate::port::{Commit, Compare, Event, Kv, Outcome, Range, StoreError, StoreErrorKind, Watch, Write};

/// How many commits of [`CROWD`] writes an engine may remember before it must say `Compacted`.
const MOST_HISTORY: usize = 1_000;

/// Writes of one large commit: below the 128 operations that the tightest engine allows.
const CROWD: usize = 100;

/// Concurrent commits on one key: enough that some share a group.
const RIVALS: usize = 64;

/// Runs every promise of [`Kv`] against fresh, empty stores that `make` gives.
///
/// # Panics
/// When the engine breaks a promise; the message names it.
pub async fn contract<F, Made>(make: F)
where
    F: Fn() -> Made,
    Made: Future<Output = Arc<dyn Kv>>,
{
    revisions_increase(make().await.as_ref()).await;
    compares_decide(make().await.as_ref()).await;
    a_conflict_writes_nothing(make().await.as_ref()).await;
    a_commit_is_one_step(make().await.as_ref()).await;
    ranges_are_ordered_and_paged(make().await.as_ref()).await;
    deleting_is_final(make().await.as_ref()).await;
    one_of_many_rivals_wins(make().await.as_ref()).await;
    every_increment_counts(make().await.as_ref()).await;
    a_watch_sees_everything_in_order(make().await.as_ref()).await;
    a_watch_beside_writers_has_no_gap(make().await.as_ref()).await;
    old_history_is_refused(make().await.as_ref()).await;
    limits_are_refused(make().await.as_ref()).await;
}

fn put(key: &str, value: &str) -> Write {
    Write::Put(Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()))
}

fn delete(key: &'static str) -> Write {
    Write::Delete(Bytes::from_static(key.as_bytes()))
}

fn commit<const C: usize, const W: usize>(compares: [Compare; C], writes: [Write; W]) -> Commit {
    Commit { compares: compares.into(), writes: writes.into() }
}

async fn outcome(kv: &dyn Kv, commit: Commit) -> Outcome {
    kv.commit(commit).await.expect("a commit within the limits is answered")
}

async fn written(kv: &dyn Kv, commit: Commit) -> Revision {
    match outcome(kv, commit).await {
        Outcome::Committed(revision) => revision,
        Outcome::Conflict => panic!("a commit whose compares hold conflicted"),
    }
}

async fn value(kv: &dyn Kv, key: &str) -> Option<String> {
    let stored = kv.get(key.as_bytes()).await.expect("a read is answered");
    stored.map(|stored| String::from_utf8_lossy(&stored.value).into_owned())
}

async fn revisions_increase(kv: &dyn Kv) {
    let mut last = Revision(0);
    for n in 0..5 {
        let next = written(kv, commit([], [put("k", &n.to_string())])).await;
        assert!(next > last, "revision {next} follows {last}");
        let stored = kv.get(b"k").await.expect("a read is answered").expect("the key was written");
        assert_eq!(stored.revision, next, "a value carries the revision of its commit");
        last = next;
    }
    assert!(written(kv, commit([], [])).await > last, "a commit without writes takes a revision too");
}

async fn compares_decide(kv: &dyn Kv) {
    let first = written(kv, commit([], [put("k", "1")])).await;
    let second = written(kv, commit([], [put("k", "2")])).await;
    let (key, none) = (Bytes::from("k"), Bytes::from("none"));
    let cases = [
        (Compare::Absent(none.clone()), true),
        (Compare::Absent(key.clone()), false),
        (Compare::Revision(key.clone(), second), true),
        (Compare::Revision(key.clone(), first), false),
        (Compare::Revision(none.clone(), second), false),
        (Compare::Value(key.clone(), Bytes::from("2")), true),
        (Compare::Value(key.clone(), Bytes::from("1")), false),
        (Compare::Value(key.clone(), Bytes::new()), false),
        (Compare::Value(none, Bytes::new()), false),
    ];
    for (compare, holds) in cases {
        let outcome = outcome(kv, commit([compare.clone()], [put("other", "x")])).await;
        assert_eq!(matches!(outcome, Outcome::Committed(_)), holds, "{compare:?}");
    }
}

async fn a_conflict_writes_nothing(kv: &dyn Kv) {
    let before = written(kv, commit([], [put("k", "1")])).await;
    let compares = [Compare::Absent(Bytes::from("none")), Compare::Absent(Bytes::from("k"))];
    let conflict = outcome(kv, commit(compares, [put("k", "2"), put("l", "2")])).await;
    assert_eq!(conflict, Outcome::Conflict, "one of two compares does not hold");
    assert_eq!(value(kv, "k").await.as_deref(), Some("1"));
    assert_eq!(value(kv, "l").await, None);
    let page = kv.range(Range::prefix(b"k", 1)).await.expect("a read is answered");
    assert_eq!(page.revision, before, "a conflict takes no revision");
}

async fn a_commit_is_one_step(kv: &dyn Kv) {
    written(kv, commit([], [put("gone", "x")])).await;
    let revision = written(kv, commit([], [put("a", "1"), put("b", "1"), delete("gone")])).await;
    for key in ["a", "b"] {
        let stored = kv.get(key.as_bytes()).await.expect("a read is answered").expect("it was written");
        assert_eq!(stored.revision, revision, "all writes of a commit have its revision");
    }
    assert_eq!(value(kv, "gone").await, None);
}

async fn ranges_are_ordered_and_paged(kv: &dyn Kv) {
    let keys = ["p/a", "p/b", "p/b/c", "p/c", "p/d"];
    for key in ["p", "p0", "q", "p/d", "p/b", "p/a", "p/c", "p/b/c"] {
        written(kv, commit([], [put(key, key)])).await;
    }
    for limit in [1, 2, 5, 100] {
        let mut seen = Vec::new();
        let mut range = Range::prefix(b"p/", limit);
        loop {
            let page = kv.range(range.clone()).await.expect("a read is answered");
            assert!(page.entries.len() <= limit, "a page is never over its limit");
            assert!(!page.entries.is_empty(), "a page that was announced has an entry");
            seen.extend(page.entries.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()));
            let Some((last, _)) = page.entries.last().filter(|_| page.more) else { break };
            range = range.behind(last);
        }
        assert_eq!(seen, keys, "pages of {limit}");
    }
    let empty = Range { from: Bytes::from("z"), to: Bytes::from("a"), limit: 10 };
    let page = kv.range(empty).await.expect("an empty range is no error");
    assert!(page.entries.is_empty() && !page.more);
}

async fn deleting_is_final(kv: &dyn Kv) {
    written(kv, commit([], [put("k", "1")])).await;
    written(kv, commit([], [delete("k")])).await;
    assert_eq!(value(kv, "k").await, None);
    written(kv, commit([], [delete("k"), delete("never")])).await;
    let again = commit([Compare::Absent(Bytes::from("k"))], [put("k", "2")]);
    assert!(matches!(outcome(kv, again).await, Outcome::Committed(_)), "a deleted key is absent");
}

async fn one_of_many_rivals_wins(kv: &dyn Kv) {
    let rival = |n: usize| kv.commit(commit([Compare::Absent(Bytes::from("seat"))], [put("seat", &n.to_string())]));
    let outcomes = join_all((0..RIVALS).map(rival)).await;
    let winners = outcomes.iter().enumerate().filter(|(_, outcome)| matches!(outcome, Ok(Outcome::Committed(_))));
    let winners = winners.map(|(n, _)| n.to_string()).collect::<Vec<_>>();
    assert_eq!(winners.len(), 1, "exactly one of concurrent commits on one key wins");
    assert_eq!(value(kv, "seat").await.as_ref(), winners.first());
    assert!(outcomes.iter().all(Result::is_ok), "losing is a conflict, not an error");
}

async fn every_increment_counts(kv: &dyn Kv) {
    written(kv, commit([], [put("n", "0")])).await;
    let counter = |_| async {
        for _ in 0..RIVALS {
            let stored = kv.get(b"n").await.expect("a read is answered").expect("the key exists");
            let n = String::from_utf8_lossy(&stored.value).parse::<u64>().expect("it is a number");
            let compare = Compare::Revision(Bytes::from("n"), stored.revision);
            if outcome(kv, commit([compare], [put("n", &(n + 1).to_string())])).await != Outcome::Conflict {
                return;
            }
        }
        panic!("of {RIVALS} rivals one wins every round");
    };
    join_all((0..RIVALS).map(counter)).await;
    assert_eq!(value(kv, "n").await, Some(RIVALS.to_string()), "no increment was lost");
}

async fn watch(kv: &dyn Kv, prefix: &'static str, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
    kv.watch(Bytes::from_static(prefix.as_bytes()), after).await
}

async fn next(watch: &mut dyn Watch) -> Event {
    watch.next().await.expect("a watch that keeps up goes on")
}

async fn a_watch_sees_everything_in_order(kv: &dyn Kv) {
    let before = written(kv, commit([], [put("w/old", "1")])).await;
    let first = written(kv, commit([], [put("w/a", "1"), put("x/a", "1"), put("w/b", "1")])).await;
    let mut watch = watch(kv, "w/", before).await.expect("the latest history is known");
    let second = written(kv, commit([], [delete("w/a"), delete("w/never")])).await;
    let expected = [(first, put("w/a", "1")), (first, put("w/b", "1")), (second, delete("w/a"))];
    for (revision, write) in expected {
        assert_eq!(next(watch.as_mut()).await, Event { revision, write });
    }
    assert!(watch.next().now_or_never().is_none(), "a delete of nothing is no change, and no event comes twice");
    let third = written(kv, commit([], [put("w/c", "1")])).await;
    assert_eq!(next(watch.as_mut()).await.revision, third, "a dropped wait loses nothing");
}

async fn a_watch_beside_writers_has_no_gap(kv: &dyn Kv) {
    let start = written(kv, commit([], [put("w/start", "")])).await;
    let write = |n: usize| written(kv, commit([], [put(&format!("w/{n}"), "")]));
    let read = async {
        let mut watch = watch(kv, "w/", start).await.expect("the latest history is known");
        let mut revisions = Vec::new();
        while revisions.len() < RIVALS {
            revisions.push(next(watch.as_mut()).await.revision);
        }
        revisions
    };
    let (mut wrote, seen) = futures::join!(join_all((0..RIVALS).map(write)), read);
    wrote.sort();
    assert_eq!(seen, wrote, "every commit is seen once, in order");
}

async fn old_history_is_refused(kv: &dyn Kv) {
    let start = written(kv, commit([], [put("w/start", "")])).await;
    let mut late = watch(kv, "w/", start).await.expect("the latest history is known");
    for n in 0..MOST_HISTORY {
        let writes = (0..CROWD).map(|key| put(&format!("w/{key}"), &n.to_string())).collect();
        let now = written(kv, Commit { compares: Vec::new(), writes }).await;
        let Err(refused) = watch(kv, "w/", start).await else { continue };
        assert_eq!(refused.kind(), StoreErrorKind::Compacted);
        let error = late.next().await.expect_err("a watch left behind is told, not given a gap");
        assert_eq!(error.kind(), StoreErrorKind::Compacted);
        assert!(watch(kv, "w/", now).await.is_ok(), "the present is always known");
        return;
    }
    panic!("history is bounded: {MOST_HISTORY} commits of {CROWD} writes are too many to remember");
}

async fn limits_are_refused(kv: &dyn Kv) {
    let long = "k".repeat(1024 * 1024);
    let large = Write::Put(Bytes::from("k"), vec![0; 32 * 1024 * 1024].into());
    let many = (0..10_000).map(|n| put(&format!("k{n}"), "")).collect();
    let commits = [
        commit([], [put(&long, "")]),
        commit([Compare::Absent(Bytes::from(long.clone()))], [put("k", "")]),
        commit([], [large]),
        commit([], [put("", "")]),
        commit([], [put("k", "1"), put("k", "2")]),
        Commit { compares: Vec::new(), writes: many },
    ];
    for (n, commit) in commits.into_iter().enumerate() {
        let error = kv.commit(commit).await.expect_err("a commit over a limit is refused");
        assert_eq!((error.kind(), error.certainty()), (StoreErrorKind::Limit, Certainty::NotDone), "case {n}");
    }
    assert_eq!(value(kv, "k").await, None, "what is refused is not written in part");
}
