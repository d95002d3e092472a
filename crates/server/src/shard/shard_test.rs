//! The owner's promises, over a store that loses, doubts and refuses.

use settee_core::id::ShardId;
use settee_engines::embedded::EmbeddedKv;
use settee_engines::memory::{MemoryDisk, MemoryKv};

use super::*;

fn store() -> Arc<dyn Kv> {
    Arc::new(MemoryKv::new())
}

fn put(value: &'static str) -> Change {
    Change::put(key("txn", ShardId(7), b"a"), Bytes::from_static(value.as_bytes()))
}

#[tokio::test]
async fn every_start_takes_the_next_epoch() {
    let kv = store();
    let first = Shards::open(kv.clone()).await.unwrap().token(ShardId(0));
    let second = Shards::open(kv).await.unwrap().token(ShardId(0));
    assert!(second > first);
}

#[tokio::test]
async fn an_owner_that_was_replaced_can_change_nothing_and_learns_it() {
    let kv = store();
    let old = Shards::open(kv.clone()).await.unwrap();
    old.submit(ShardId(7), put("old")).committed().await.unwrap();
    let new = Shards::open(kv.clone()).await.unwrap();
    let error = old.submit(ShardId(7), put("late")).committed().await.unwrap_err();
    assert_eq!(error.certainty(), settee_core::Certainty::Unknown);
    old.lost().await;
    new.submit(ShardId(7), put("new")).committed().await.unwrap();
    assert_eq!(kv.get(&key("txn", ShardId(7), b"a")).await.unwrap().unwrap().value, "new");
}

#[tokio::test]
async fn a_read_is_answered_only_after_what_it_observed_is_durable() {
    let kv = store();
    let shards = Shards::open(kv.clone()).await.unwrap();
    let _not_awaited = shards.submit(ShardId(7), put("seen"));
    shards.observe(ShardId(7)).committed().await.unwrap();
    assert!(kv.get(&key("txn", ShardId(7), b"a")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_full_store_turns_new_work_away_and_takes_it_again_by_itself_once_it_has_room() {
    let disk = MemoryDisk::new();
    let kv = Arc::new(EmbeddedKv::open(Arc::new(disk.clone())).await.unwrap());
    let shards = Shards::open(kv.clone()).await.unwrap();
    disk.set_limit(disk.used());
    let large = Bytes::from(vec![7; 1 << 20]);
    let waits = (0..4).map(|number| shards.submit(ShardId(7), Change::put(key("txn", ShardId(7), &[number]), large.clone())));
    let waits: Vec<_> = waits.collect();
    let error = until(|| shards.admit(ShardId(7)).err()).await;
    assert_eq!((error.code(), error.certainty()), (&codes::STORE_FULL, settee_core::Certainty::NotDone));
    assert!(error.retry_after().is_some() && error.is_retryable());

    disk.set_limit(u64::MAX);
    for wait in waits {
        wait.committed().await.unwrap();
    }
    shards.admit(ShardId(7)).unwrap();
    assert_eq!(kv.get(&key("txn", ShardId(7), &[3])).await.unwrap().unwrap().value, large);
}

/// What `ask` finds within ten seconds.
async fn until<T>(ask: impl Fn() -> Option<T>) -> T {
    let found = async {
        loop {
            match ask() {
                Some(found) => break found,
                None => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), found).await.expect("it does not happen")
}
