use std::time::Duration;

use settee_core::Certainty;
use sqlx::{query_scalar, raw_sql};

use super::*;
use crate::fixtures::{Home, Script, effect, effects};
use crate::{CommitFault, DatabaseOptions, MAX_TOPIC_BYTES};

async fn ids(database: &Database) -> Vec<String> {
    database.take(100, &[]).await.unwrap().into_iter().map(|row| row.id).collect()
}

async fn publish(database: &Database, id: &str) {
    let mut tx = database.begin().await.unwrap();
    tx.publish_with_id("transfers", "CH93", id, &id).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_message_is_there_if_its_transaction_is_and_else_not() {
    let home = Home::new();
    let database = home.open().await;
    for (name, commits) in [("kept", true), ("rolled back", false)] {
        let mut tx = database.begin().await.unwrap();
        effect(&mut tx, name).await.unwrap();
        tx.publish_with_id("transfers", "CH93", name, &7).await.unwrap();
        if commits {
            tx.commit().await.unwrap();
        }
    }
    assert_eq!((ids(&database).await, effects(&database).await), (vec!["kept".to_owned()], vec!["kept".to_owned()]));
}

#[tokio::test]
async fn the_order_of_a_key_is_that_of_its_commits_whatever_is_rolled_back_and_deleted() {
    let home = Home::new();
    let database = home.open().await;
    let mut sequences = Vec::new();
    for number in 0..6 {
        let mut dropped = database.begin().await.unwrap();
        dropped.publish_with_id("transfers", "CH93", "dropped", &number).await.unwrap();
        dropped.rollback().await.unwrap();
        publish(&database, &number.to_string()).await;
        if number % 2 == 1 {
            let rows = database.take(100, &[]).await.unwrap();
            sequences.extend(rows.iter().map(|row| (row.id.clone(), row.sequence)));
            database.mark_sent(&rows.iter().map(|row| row.row).collect::<Vec<_>>()).await.unwrap();
        }
    }
    assert!(sequences.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1), "{sequences:?}");
    assert_eq!(sequences.len(), 6);
}

#[tokio::test]
async fn a_database_does_not_grow_with_every_key_that_was_ever_published_under() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    for transfer in 0..50 {
        tx.publish("transfers", &transfer.to_string(), &transfer).await.unwrap();
    }
    tx.commit().await.unwrap();
    let sent: Vec<i64> = database.take(100, &[]).await.unwrap().into_iter().map(|row| row.row).collect();
    assert_eq!(sent.len(), 50);
    database.mark_sent(&sent).await.unwrap();
    let mut read = database.read().await.unwrap();
    let tables: Vec<String> = query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'settee_outbox%'")
        .fetch_all(&mut read)
        .await
        .unwrap();
    for table in tables {
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        assert_eq!(query_scalar::<_, i64>(count).fetch_one(&mut read).await.unwrap(), 0, "{table}");
    }
}

#[tokio::test]
async fn a_message_arrives_as_it_was_published_with_its_trace() {
    let home = Home::new();
    let database = home.open().await;
    let context = Context::root("test");
    let trace = context.trace.to_string();
    context
        .scope(async {
            let mut tx = database.begin().await.unwrap();
            tx.publish("transfers", "CH93", &("settled", 7)).await.unwrap();
            let delayed = Outgoing { not_before: Some(Timestamp::from_millis(5)), ..Outgoing::new("m-2", "raw") };
            tx.publish_message("notices", delayed).await.unwrap();
            tx.commit().await.unwrap();
        })
        .await;
    let rows = database.take(100, &[]).await.unwrap();
    let payload: (String, i64) = settee::expand::decode(Encoding::MessagePack, &rows[0].payload).unwrap();
    assert_eq!(payload, ("settled".to_owned(), 7));
    assert_eq!((rows[0].key.as_deref(), rows[0].id.len(), &rows[0].headers[TRACE_HEADER]), (Some("CH93"), 32, &trace));
    assert_eq!(
        (rows[1].key.as_deref(), rows[1].not_before, &rows[1].payload[..]),
        (None, Some(Timestamp::from_millis(5)), &b"raw"[..])
    );
    assert_eq!(database.take(1, &[]).await.unwrap(), rows[..1]);
}

#[tokio::test]
async fn a_row_that_is_not_marked_is_taken_again_under_the_same_sequence_and_producer() {
    let home = Home::new();
    let database = home.open().await;
    publish(&database, "1").await;
    let first = ProducerRef { id: u64::MAX, epoch: 3 };
    assert_eq!(database.producer().await.unwrap(), None);
    assert_eq!(database.adopt(first, None).await.unwrap(), first);
    let before = database.take(100, &[]).await.unwrap();
    drop(database);
    let database = home.open().await;
    assert_eq!((database.take(100, &[]).await.unwrap(), database.producer().await.unwrap()), (before, Some(first)));
}

#[tokio::test]
async fn an_identity_is_replaced_only_by_who_knows_it() {
    let home = Home::new();
    let database = home.open().await;
    let [one, two, three] = [1, 2, 3].map(|epoch| ProducerRef { id: 9, epoch });
    assert_eq!(database.adopt(one, None).await.unwrap(), one);
    assert_eq!(database.adopt(two, None).await.unwrap(), one, "a second relay takes over what is stored");
    assert_eq!(database.adopt(two, Some(one)).await.unwrap(), two);
    assert_eq!(database.adopt(three, Some(one)).await.unwrap(), two);
}

#[tokio::test]
async fn the_relay_is_woken_by_commits_that_published_and_by_those_that_may_have() {
    let (home, script) = (Home::new(), std::sync::Arc::<Script>::default());
    let database = home.open_with(script.options()).await;
    let woken = async |database: &Database| tokio::time::timeout(Duration::ZERO, database.notified()).await.is_ok();
    database.begin().await.unwrap().commit().await.unwrap();
    assert!(!woken(&database).await);
    publish(&database, "1").await;
    assert!(woken(&database).await && !woken(&database).await);
    let mut tx = database.begin().await.unwrap();
    tx.publish("transfers", "CH93", &2).await.unwrap();
    script.commits.lock().push_back(CommitFault::DoneUnknown);
    assert!(tx.commit().await.is_err());
    assert!(woken(&database).await);
}

#[tokio::test]
async fn a_row_that_was_set_aside_is_kept_with_its_cause_and_holds_up_no_other() {
    let home = Home::new();
    let database = home.open_with(DatabaseOptions::default()).await;
    publish(&database, "bad").await;
    publish(&database, "good").await;
    let cause = Error::new(ErrorKind::Invalid, codes::MESSAGE_TOO_LARGE, "too large");
    for _ in 0..2 {
        database.set_aside(1, &cause).await.unwrap();
    }
    assert_eq!(ids(&database).await, ["good"]);
    let kept: String =
        query_scalar("SELECT set_aside FROM settee_outbox").fetch_one(&mut database.read().await.unwrap()).await.unwrap();
    assert_eq!(kept, cause.to_string());
}

#[tokio::test]
async fn however_much_waits_for_a_topic_the_rows_of_the_others_are_found_in_their_order() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    for number in 0..300 {
        tx.publish_with_id("parked", "k", &format!("p{number}"), &number).await.unwrap();
        if number % 100 == 0 {
            tx.publish_with_id(if number == 100 { "b-2" } else { "a_1" }, "k", &number.to_string(), &number).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
    let taken = async |without: &[&str]| {
        let without: Vec<_> = without.iter().map(|topic| (*topic).to_owned()).collect();
        database.take(128, &without).await.unwrap().into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(taken(&["parked"]).await, ["0", "100", "200"]);
    assert_eq!(taken(&["parked", "b-2"]).await, ["0", "200"]);
    assert_eq!(taken(&["unheard.of"]).await.len(), 128);
}

#[tokio::test]
async fn what_the_broker_would_never_take_is_refused_while_the_sender_can_be_told() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    for topic in ["", "with space", &"x".repeat(MAX_TOPIC_BYTES + 1)] {
        assert_eq!(tx.publish(topic, "k", &1).await.unwrap_err().kind(), ErrorKind::Invalid, "{topic}");
    }
    let large = tx.publish("transfers", "k", &"x".repeat(2 << 20)).await.unwrap_err();
    assert_eq!(large.code(), &codes::MESSAGE_TOO_LARGE);
    tx.commit().await.unwrap();
    assert_eq!(ids(&database).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_refused_message_says_nothing_about_what_its_handler_did_before() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    let refused = [
        tx.publish("with space", "k", &1).await,
        tx.publish("transfers", &"k".repeat(1_000), &1).await,
        tx.publish("transfers", "k", &"x".repeat(2 << 20)).await,
    ];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.of_whole().certainty(), Certainty::Unknown);
    }
}

#[tokio::test]
async fn ids_go_on_where_they_were_after_the_outbox_was_empty() {
    let home = Home::new();
    let database = home.open().await;
    publish(&database, "1").await;
    database.mark_sent(&[1]).await.unwrap();
    database.mark_sent(&[1]).await.unwrap();
    let mut tx = database.begin().await.unwrap();
    raw_sql("VACUUM").execute(&mut tx).await.unwrap_err();
    tx.rollback().await.unwrap();
    drop(database);
    let database = home.open().await;
    publish(&database, "2").await;
    assert_eq!(database.take(100, &[]).await.unwrap()[0].sequence, 2);
}

/// The outbox as version 1 of the tables had it.
const OF_VERSION_1: &str = "
DROP TABLE settee_outbox;
CREATE TABLE settee_outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, message_id TEXT NOT NULL, key TEXT, key_seq INTEGER,
    headers BLOB NOT NULL, payload BLOB NOT NULL, not_before_us INTEGER, set_aside TEXT
);
CREATE TABLE settee_outbox_key (
    topic TEXT NOT NULL, key TEXT NOT NULL, last_seq INTEGER NOT NULL, PRIMARY KEY (topic, key)
) WITHOUT ROWID;
INSERT INTO settee_outbox_key VALUES ('transfers', 'CH93', 1);
INSERT INTO settee_outbox (topic, message_id, key, key_seq, headers, payload) VALUES ('transfers', 'old', 'CH93', 1, x'80', x'07');
UPDATE settee_meta SET value = 1;
";

#[tokio::test]
async fn an_outbox_of_version_1_keeps_its_messages_and_goes_on_behind_them() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    raw_sql(OF_VERSION_1).execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    drop(database);
    let database = home.open().await;
    publish(&database, "new").await;
    assert_eq!(ids(&database).await, ["old", "new"]);
    let left: i64 = query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'settee_outbox_key'")
        .fetch_one(&mut database.read().await.unwrap())
        .await
        .unwrap();
    assert_eq!(left, 0);
}
