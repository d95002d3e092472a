use std::collections::BTreeMap;
use std::sync::Arc;

use settee::mq::Place;
use settee_core::Timestamp;
use settee_core::error::{ErrorKind, codes};

use super::*;
use crate::CommitFault;
use crate::fixtures::{Home, Script, effect, effects};

fn message(id: &str, offset: u64) -> Message {
    Message {
        topic: "transfers".to_owned(),
        place: Place { partition: 1, offset },
        id: id.to_owned(),
        key: None,
        headers: BTreeMap::new(),
        published: Timestamp::EPOCH,
        payload: "settled".into(),
        attempt: 1,
    }
}

/// Leaves an effect, and fails for the message `bad`.
struct Statements;

impl TransactionalHandler for Statements {
    async fn handle(&self, tx: &mut Tx, message: &Message) -> Reply<()> {
        effect(tx, &format!("{} at {}", message.id, message.place.offset)).await?;
        match message.id.as_str() {
            "bad" => Err(Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, "it cannot be read").unknown().into()),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_redelivered_message_has_one_effect_also_when_it_was_published_twice() {
    let home = Home::new();
    let database = home.open().await;
    let consuming = database.consume("statements", Statements);
    for offset in [1, 1, 2] {
        consuming.handle(message("m", offset)).await.unwrap();
    }
    assert_eq!((effects(&database).await, database.duplicates_suppressed()), (vec!["m at 1".to_owned()], 2));
}

#[tokio::test]
async fn groups_topics_and_unnamed_messages_do_not_take_each_others_messages_for_repeats() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    let other_topic = Message { topic: "notices".to_owned(), ..message("m", 1) };
    let firsts =
        [("a", message("m", 1)), ("b", message("m", 1)), ("a", other_topic), ("a", message("", 1)), ("a", message("", 2))];
    for (group, message) in &firsts {
        assert!(tx.first_time(group, message).await.unwrap(), "{group} {message:?}");
    }
    for (group, message) in &firsts {
        assert!(!tx.first_time(group, message).await.unwrap(), "{group} {message:?}");
    }
}

#[tokio::test]
async fn a_failed_message_leaves_nothing_and_can_come_again() {
    let home = Home::new();
    let database = home.open().await;
    let consuming = database.consume("statements", Statements);
    for _ in 0..2 {
        let error = Error::from(consuming.handle(message("bad", 1)).await.unwrap_err());
        assert_eq!((error.kind(), error.certainty()), (ErrorKind::Invalid, Certainty::NotDone));
    }
    assert_eq!((effects(&database).await.len(), database.duplicates_suppressed()), (0, 0));
}

#[tokio::test]
async fn a_message_whose_commit_is_unknown_is_not_acknowledged_and_its_redelivery_finds_out() {
    for (fault, duplicates) in [(CommitFault::DoneUnknown, 1), (CommitFault::LostUnknown, 0), (CommitFault::NotDone, 0)] {
        let (home, script) = (Home::new(), Arc::<Script>::default());
        let database = home.open_with(script.options()).await;
        let consuming = database.consume("statements", Statements);
        script.commits.lock().push_back(fault);
        assert!(consuming.handle(message("m", 1)).await.is_err(), "{fault:?}");
        consuming.handle(message("m", 1)).await.unwrap();
        assert_eq!((effects(&database).await.len(), database.duplicates_suppressed()), (1, duplicates), "{fault:?}");
    }
}

#[tokio::test]
async fn a_consumer_that_dies_before_its_commit_does_the_work_again_and_after_it_does_not() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    assert!(tx.first_time("statements", &message("m", 1)).await.unwrap());
    effect(&mut tx, "lost").await.unwrap();
    drop((tx, database));
    let database = home.open().await;
    database.consume("statements", Statements).handle(message("m", 1)).await.unwrap();
    drop(database);
    let database = home.open().await;
    database.consume("statements", Statements).handle(message("m", 1)).await.unwrap();
    assert_eq!((effects(&database).await, database.duplicates_suppressed()), (vec!["m at 1".to_owned()], 1));
}
