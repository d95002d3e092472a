use settee_core::Timestamp;
use sqlx::query_scalar;

use super::*;
use crate::DatabaseOptions;
use crate::fixtures::Home;

const HOUR: Duration = Duration::from_secs(60 * 60);

async fn add(database: &Database, count: u64, state: i64, at: Timestamp) {
    let mut tx = database.begin().await.unwrap();
    for number in 0..count {
        let (number, at) = (format!("{state} {} {number}", at.millis()), at.millis());
        let inbox = query("INSERT INTO settee_inbox VALUES ('group', 'topic', ?, ?)").bind(&number).bind(at);
        inbox.execute(&mut tx).await.unwrap();
        let fence =
            query("INSERT INTO settee_fence VALUES (?, '1', 'pay.Debit', ?, x'', x'', 0, ?)").bind(&number).bind(state).bind(at);
        fence.execute(&mut tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_is_old_goes_in_batches_and_open_tries_and_young_rows_stay() {
    let home = Home::new();
    let database = home.open_with(DatabaseOptions { retention: HOUR, ..DatabaseOptions::default() }).await;
    let now = env::wall_clock();
    add(&database, SWEEP_BATCH + 2, State::Confirmed.number(), now.before(2 * HOUR)).await;
    add(&database, 1, State::Tried.number(), now.before(3 * HOUR)).await;
    add(&database, 1, State::Suppressed.number(), now).await;
    let mut total = Swept::default();
    for inbox_and_fence in [(SWEEP_BATCH, SWEEP_BATCH), (3, 2), (0, 0)] {
        let swept = database.sweep_once().await.unwrap();
        assert_eq!((swept.inbox, swept.fence), inbox_and_fence);
        total = Swept { inbox: total.inbox + swept.inbox, fence: total.fence + swept.fence };
    }
    let left: Vec<i64> = query_scalar("SELECT state FROM settee_fence ORDER BY state")
        .fetch_all(&mut database.read().await.unwrap())
        .await
        .unwrap();
    assert_eq!(left, [State::Tried.number(), State::Suppressed.number()]);
}
