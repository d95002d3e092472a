//! The owner's promises, over a store that loses, doubts and refuses.

use settee_core::id::ShardId;
use settee_engines::memory::MemoryKv;

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
