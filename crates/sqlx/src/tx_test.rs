use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt;
use settee_core::error::{ErrorKind, codes};
use settee_core::{Certainty, Context};
use sqlx::{query, query_as, query_scalar, raw_sql};

use super::*;
use crate::fixtures::{Home, Script, effect, effects, simulated};
use crate::{Database, DatabaseOptions};

#[tokio::test]
async fn every_query_of_sqlx_runs_in_the_transaction_and_sees_it() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    assert_eq!(query("INSERT INTO effect (name) VALUES ('a'), ('b')").execute(&mut tx).await.unwrap().rows_affected(), 2);
    let (id, name): (i64, String) =
        query_as("SELECT id, name FROM effect WHERE name = ?").bind("b").fetch_one(&mut tx).await.unwrap();
    assert_eq!((id, name.as_str()), (2, "b"));
    let none: Option<i64> = query_scalar("SELECT id FROM effect WHERE name = 'c'").fetch_optional(&mut tx).await.unwrap();
    assert_eq!(none, None);
    let streamed: Vec<String> = query_scalar("SELECT name FROM effect ORDER BY id").fetch(&mut tx).try_collect().await.unwrap();
    assert_eq!(streamed, ["a", "b"]);
    assert!(matches!(query("SELECT 1 FROM effect WHERE id = 9").fetch_one(&mut tx).await, Err(sqlx::Error::RowNotFound)));
    assert_eq!(effects(&database).await, Vec::<String>::new(), "nobody else sees it");
    tx.commit().await.unwrap();
    assert_eq!(effects(&database).await, ["a", "b"]);
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing_and_gives_its_connection_back() {
    let home = Home::new();
    let database = home.open().await;
    for _ in 0..3 {
        let mut tx = database.begin().await.unwrap();
        effect(&mut tx, "dropped").await.unwrap();
    }
    let mut tx = database.begin().await.unwrap();
    effect(&mut tx, "kept").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(effects(&database).await, ["kept"]);
}

#[tokio::test]
async fn rows_that_are_read_halfway_do_not_end_the_transaction() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT 'n' || i FROM n";
    let filled = query(sqlx::AssertSqlSafe(format!("INSERT INTO effect (name) {numbers}"))).execute(&mut tx).await.unwrap();
    assert_eq!(filled.rows_affected(), 500);
    let first: Option<String> = query_scalar("SELECT name FROM effect ORDER BY id").fetch(&mut tx).try_next().await.unwrap();
    assert_eq!(first.as_deref(), Some("n1"));
    effect(&mut tx, "last").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(effects(&database).await.len(), 501);
}

#[tokio::test]
async fn whatever_is_cancelled_halfway_all_of_a_transaction_is_kept_or_nothing() {
    let home = Home::new();
    let database = home.open().await;
    // Cancelled at the begin, the first statement, the second, or the commit; after that many polls.
    for (step, polls) in (0..4).flat_map(|step| (1..=3).map(move |polls| (step, polls))) {
        let work = async {
            let mut tx = cut(step == 0, polls, database.begin()).await?.ok()?;
            cut(step == 1, polls, effect(&mut tx, &format!("first {step} {polls}"))).await?.ok()?;
            cut(step == 2, polls, effect(&mut tx, &format!("second {step} {polls}"))).await;
            cut(step == 3, polls, tx.commit()).await?.ok()
        };
        let _whatever_came_of_it = work.await;
        let mut after = database.begin().await.unwrap();
        effect(&mut after, &format!("after {step} {polls}")).await.unwrap();
        after.commit().await.unwrap();
        let kept = effects(&database).await;
        let of_this = |name: &str| kept.contains(&format!("{name} {step} {polls}"));
        assert!(of_this("after"));
        assert!(of_this("first") || !of_this("second"), "step {step}, {polls} polls: {kept:?}");
        assert!(step != 3 || of_this("first") == of_this("second"), "step {step}, {polls} polls: {kept:?}");
    }
}

/// Awaits `work`, or drops it after `polls` polls.
async fn cut<F: Future>(is_cut: bool, polls: u32, work: F) -> Option<F::Output> {
    let mut work = std::pin::pin!(work);
    let mut left = if is_cut { polls } else { u32::MAX };
    std::future::poll_fn(|context| match work.as_mut().poll(context) {
        std::task::Poll::Ready(done) => std::task::Poll::Ready(Some(done)),
        std::task::Poll::Pending => {
            left -= 1;
            if left == 0 { std::task::Poll::Ready(None) } else { std::task::Poll::Pending }
        }
    })
    .await
}

#[tokio::test]
async fn a_violated_constraint_is_an_answer_and_the_transaction_goes_on() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    raw_sql("SAVEPOINT mine").execute(&mut tx).await.unwrap();
    effect(&mut tx, "once").await.unwrap();
    assert!(effect(&mut tx, "once").await.unwrap_err().as_database_error().unwrap().is_unique_violation());
    raw_sql("RELEASE mine").execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(effects(&database).await, ["once"]);
}

#[tokio::test]
async fn nothing_runs_outside_of_a_transaction_that_the_database_rolled_back_by_itself() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    effect(&mut tx, "once").await.unwrap();
    assert!(raw_sql("INSERT OR ROLLBACK INTO effect (name) VALUES ('once')").execute(&mut tx).await.is_err());
    assert!(effect(&mut tx, "alone").await.unwrap_err().to_string().contains("rolled this transaction back"));
    assert_eq!(tx.commit().await.unwrap_err().certainty(), Certainty::Unknown);
    assert_eq!(effects(&database).await, Vec::<String>::new());
    let mut tx = database.begin().await.unwrap();
    effect(&mut tx, "after").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(effects(&database).await, ["after"]);
}

#[tokio::test]
async fn a_commit_by_the_service_behind_our_back_is_never_called_not_done() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    effect(&mut tx, "kept").await.unwrap();
    raw_sql("COMMIT").execute(&mut tx).await.unwrap();
    assert_eq!(tx.commit().await.unwrap_err().certainty(), Certainty::Unknown);
    assert_eq!(effects(&database).await, ["kept"]);
    database.begin().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn a_commit_that_the_database_refuses_certainly_did_not_happen() {
    let home = Home::new();
    let database = home.open().await;
    let mut tx = database.begin().await.unwrap();
    raw_sql("CREATE TABLE child (parent INTEGER REFERENCES effect (id) DEFERRABLE INITIALLY DEFERRED)")
        .execute(&mut tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut tx = database.begin().await.unwrap();
    effect(&mut tx, "gone").await.unwrap();
    raw_sql("INSERT INTO child VALUES (99)").execute(&mut tx).await.unwrap();
    let error = tx.commit().await.unwrap_err();
    assert_eq!((error.certainty(), error.kind()), (Certainty::NotDone, ErrorKind::Conflict), "{error}");
    assert_eq!(effects(&database).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_fate_of_a_commit_is_told_as_far_as_it_is_known() {
    let table = [
        (None, None, vec!["kept"]),
        (Some(CommitFault::NotDone), Some(Certainty::NotDone), vec![]),
        (Some(CommitFault::DoneUnknown), Some(Certainty::Unknown), vec!["kept"]),
        (Some(CommitFault::LostUnknown), Some(Certainty::Unknown), vec![]),
    ];
    for (fault, certainty, kept) in table {
        let (home, script) = (Home::new(), Arc::<Script>::default());
        let database = home.open_with(script.options()).await;
        let mut tx = database.begin().await.unwrap();
        effect(&mut tx, "kept").await.unwrap();
        script.commits.lock().extend(fault);
        assert_eq!(tx.commit().await.err().map(|error| error.certainty()), certainty, "{fault:?}");
        assert_eq!(effects(&database).await, kept, "{fault:?}");
        database.begin().await.unwrap().commit().await.unwrap();
    }
}

#[tokio::test]
async fn whatever_happens_to_a_statement_all_of_a_transaction_is_kept_or_nothing() {
    use StatementFault::{Busy, Failed, Unknown};
    // The fault of the second of three statements, which of them succeed, and what a commit afterwards leaves.
    let table = BTreeMap::from([
        (0, (Busy, [true, false, true], vec!["first", "third"])),
        (1, (Unknown, [true, false, true], vec!["first", "second", "third"])),
        (2, (Failed, [true, false, false], vec![])),
    ]);
    for (fault, succeed, kept) in table.into_values() {
        let (home, script) = (Home::new(), Arc::<Script>::default());
        let database = home.open_with(script.options()).await;
        let mut tx = database.begin().await.unwrap();
        script.statements.lock().extend([None, Some(fault)]);
        let mut done = Vec::new();
        for name in ["first", "second", "third"] {
            done.push(effect(&mut tx, name).await.is_ok());
        }
        assert_eq!(done, succeed, "{fault:?}");
        assert_eq!(tx.commit().await.is_ok(), !kept.is_empty(), "{fault:?}");
        assert_eq!(effects(&database).await, kept, "{fault:?}");
    }
}

#[tokio::test]
async fn a_begin_that_fails_leaves_nothing_open() {
    let (home, script) = (Home::new(), Arc::<Script>::default());
    let database = home.open_with(script.options()).await;
    for fault in [StatementFault::Busy, StatementFault::Failed, StatementFault::Unknown] {
        script.statements.lock().push_back(Some(fault));
        let error = database.begin().await.unwrap_err();
        assert_eq!((error.certainty(), error.is_retryable()), (Certainty::NotDone, true), "{fault:?}");
        database.begin().await.unwrap().commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_transaction_that_waits_for_itself_is_found() {
    let home = Home::new();
    let database = home.open().await;
    let _open = database.begin().await.unwrap();
    let context = Context::root("test").with_timeout(Duration::from_millis(5));
    let error = context.scope(database.begin()).await.unwrap_err();
    assert_eq!((error.kind(), error.certainty()), (ErrorKind::Limited, Certainty::NotDone));
}

#[tokio::test]
async fn the_lock_of_another_process_is_told_and_can_be_tried_again() {
    let home = Home::new();
    let mine = home.open_with(DatabaseOptions { busy_timeout: Duration::ZERO, ..DatabaseOptions::default() }).await;
    let other = home.open().await;
    let held = other.begin().await.unwrap();
    let error = mine.begin().await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (&codes::STORE_LOCKED, true), "{error}");
    held.rollback().await.unwrap();
    mine.begin().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn tasks_of_one_process_queue_for_the_writer_and_none_finds_it_busy() {
    let home = Home::new();
    let database = home.open_with(DatabaseOptions { busy_timeout: Duration::ZERO, ..DatabaseOptions::default() }).await;
    let write = async |number: u32| {
        let mut tx = database.begin().await.unwrap();
        effect(&mut tx, &number.to_string()).await.unwrap();
        tx.commit().await.unwrap();
    };
    futures::future::join_all((0..20).map(write)).await;
    assert_eq!(effects(&database).await.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn in_simulation_a_statement_takes_the_time_that_the_machine_charges_and_no_other() {
    let home = Home::new();
    simulated(async {
        let database = home.open().await;
        let begun = tokio::time::Instant::now();
        for _ in 0..3 {
            settee_core::env::blocking(|| ()).await;
        }
        let charge_of_three = begun.elapsed();
        let begun = tokio::time::Instant::now();
        let mut tx = database.begin().await.unwrap();
        effect(&mut tx, "kept").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(begun.elapsed(), charge_of_three);
        assert_eq!(effects(&database).await, ["kept"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn in_simulation_what_a_killed_machine_left_open_is_gone_when_it_starts_again() {
    let home = Home::new();
    let (database, tx) = simulated(async {
        let database: Database = home.open().await;
        let mut tx = database.begin().await.unwrap();
        effect(&mut tx, "open").await.unwrap();
        (database, tx)
    })
    .await;
    // A kill drops in any order, on no machine, and nothing waits for the old lock.
    drop(database);
    drop(tx);
    simulated(async {
        let database = home.open().await;
        assert_eq!(effects(&database).await, Vec::<String>::new());
        database.begin().await.unwrap().commit().await.unwrap();
    })
    .await;
}
