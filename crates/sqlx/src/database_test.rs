#![allow(clippy::disallowed_methods, reason = "files for the tests")]

use settee_core::Certainty;
use sqlx::{query, query_scalar};

use super::*;
use crate::SCHEMA_VERSION;
use crate::fixtures::{Home, effect, effects};

async fn refused(location: impl AsRef<Path>) -> Error {
    let error = Database::open(location, DatabaseOptions::default()).await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::NotDone);
    error
}

#[tokio::test]
async fn a_commit_waits_for_its_sync_and_foreign_keys_are_checked() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    for (pragma, value) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1), ("PRAGMA busy_timeout", 5_000)] {
        assert_eq!(query_scalar::<_, i64>(pragma).fetch_one(&mut tx).await.unwrap(), value, "{pragma}");
    }
    let journal: String = query_scalar("PRAGMA journal_mode").fetch_one(&mut tx).await.unwrap();
    assert_eq!(journal, "wal");
}

#[tokio::test]
async fn tables_of_a_newer_version_are_refused_and_left_alone() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    query("UPDATE settee_meta SET value = ?").bind(SCHEMA_VERSION + 1).execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    drop(database);
    let error = refused(home.file()).await;
    assert_eq!((error.code(), error.kind()), (&codes::STORE_NEWER, ErrorKind::Unsupported));
    assert!(error.message().contains("version 3"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_is_named_with_what_to_do() {
    let home = Home::new();
    let garbage = home.0.path().join("garbage.db");
    std::fs::write(&garbage, "a letter to the bank, and not a database at all ".repeat(100)).unwrap();
    let table = [
        (home.0.path().to_owned(), codes::STORE_UNAVAILABLE, "it is a folder"),
        (home.0.path().join("missing/service.db"), codes::STORE_UNAVAILABLE, "missing does not exist; create it with `mkdir -p "),
        (garbage.clone(), codes::STORE_DAMAGED, "it was left as it is"),
        (":memory:".into(), codes::BAD_VALUE, "a database in memory forgets"),
        ("sqlite::memory:".into(), codes::BAD_VALUE, "a database in memory forgets"),
    ];
    for (location, code, advice) in table {
        let error = refused(&location).await;
        assert_eq!(error.code(), &code, "{error}");
        assert!(error.message().contains(advice) && error.message().contains("database"), "{error}");
    }
    assert!(std::fs::read_to_string(&garbage).unwrap().starts_with("a letter"));
}

#[tokio::test]
async fn a_read_only_database_is_refused_before_money_moves() {
    let home = Home::new();
    drop(home.open().await);
    let error = refused(format!("sqlite:{}?mode=ro", home.file().display())).await;
    assert_eq!((error.code(), error.kind()), (&codes::STORE_READ_ONLY, ErrorKind::Denied), "{error}");
}

#[tokio::test]
async fn a_url_opens_the_same_file_as_its_path() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    effect(&mut tx, "kept").await.unwrap();
    tx.commit().await.unwrap();
    let again = Database::open(format!("sqlite://{}", home.file().display()), DatabaseOptions::default()).await.unwrap();
    assert_eq!(effects(&again).await, ["kept"]);
}

#[tokio::test]
async fn readers_see_what_is_committed_while_a_writer_works_and_cannot_write() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    effect(&mut tx, "open").await.unwrap();
    assert_eq!(effects(&database).await, Vec::<String>::new());
    let written = query("DELETE FROM effect").execute(&mut database.read().await.unwrap()).await;
    assert!(written.unwrap_err().to_string().contains("readonly"));
    tx.commit().await.unwrap();
    assert_eq!(effects(&database).await, ["open"]);
}

#[tokio::test]
async fn a_process_that_dies_in_a_transaction_leaves_what_it_committed() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    effect(&mut tx, "committed").await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = database.begin().await.unwrap();
    effect(&mut tx, "open").await.unwrap();
    drop((tx, database));
    assert_eq!(effects(&home.open().await).await, ["committed"]);
}

#[tokio::test]
async fn dropped_tables_of_settee_are_named() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    sqlx::raw_sql("DROP TABLE settee_outbox").execute(&mut tx).await.unwrap();
    let error = tx.publish("transfers", "CH93", &1).await.unwrap_err();
    assert_eq!(error.code(), &codes::TABLES_MISSING, "{error}");
}

#[tokio::test]
async fn a_connection_that_cannot_be_opened_says_nothing_about_what_the_handler_did_before() {
    let home = Home::new();
    let database = home.open().await;
    std::fs::remove_dir_all(home.0.path()).unwrap();
    let error = database.read().await.unwrap_err();
    assert_eq!((error.code(), error.certainty()), (&codes::STORE_UNAVAILABLE, Certainty::NotDone), "{error}");
    assert_eq!(error.of_whole().certainty(), Certainty::Unknown);
}

#[tokio::test]
async fn a_closed_database_is_whole_in_its_file_alone_and_serves_nobody() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    effect(&mut tx, "kept").await.unwrap();
    tx.commit().await.unwrap();
    let read = database.read().await.unwrap();
    let beside = |ending: &str| std::path::PathBuf::from(format!("{}{ending}", home.file().display()));
    assert!(std::fs::metadata(beside("-wal")).unwrap().len() > 0, "it is in the log");
    let closing = database.close();
    let mut closing = std::pin::pin!(closing);
    assert!(futures::poll!(&mut closing).is_pending(), "somebody reads");
    drop(read);
    closing.await.unwrap();
    assert!(!beside("-wal").exists() && !beside("-shm").exists());
    for refused in [database.begin().await.err(), database.read().await.err()] {
        let error = refused.expect("it is closed");
        assert!(error.kind() == ErrorKind::Closed && error.certainty() == Certainty::NotDone, "{error}");
    }
    database.close().await.unwrap();
    let copy = home.0.path().join("copy.db");
    std::fs::copy(home.file(), &copy).unwrap();
    let copy = Database::open(copy, DatabaseOptions::default()).await.unwrap();
    assert_eq!(effects(&copy).await, ["kept"]);
}
