//! Forgetting: fence rows that ended and inbox rows are deleted after their retention, in bounded batches.
//!
//! A try is only kept open or ended by the protocol: rows in state TRIED are never deleted here.

use std::time::Duration;

use settee_core::shutdown::Shutdown;
use settee_core::txn::fence::Row as State;
use settee_core::{Error, env};
use sqlx::{Sqlite, query};

use crate::database::Database;
use crate::failure::of_statement;

/// How often old rows are looked for.
pub const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Rows of a table that one transaction deletes at most: the writer is held for a few milliseconds.
pub const SWEEP_BATCH: u64 = 500;

const INBOX: &str = "DELETE FROM settee_inbox WHERE (consumer_group, topic, message_id) IN
    (SELECT consumer_group, topic, message_id FROM settee_inbox WHERE seen_at_ms < ? ORDER BY seen_at_ms LIMIT ?)";

const FENCE: &str = "DELETE FROM settee_fence WHERE rowid IN
    (SELECT rowid FROM settee_fence WHERE state <> 1 AND updated_at_ms < ? ORDER BY updated_at_ms LIMIT ?)";

/// The statement names the number, so that its partial index is used.
const _: () = assert!(State::Tried as i64 == 1);

/// What a sweep deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows of the inbox.
    pub inbox: u64,
    /// Rows of the fence.
    pub fence: u64,
}

impl Database<Sqlite> {
    /// Deletes one batch of what is older than the retention.
    ///
    /// # Errors
    /// What the database reports; a repeat is safe.
    ///
    /// # Cancel safety
    /// The batch is deleted or not.
    pub async fn sweep_once(&self) -> Result<Swept, Error> {
        let before = env::wall_clock().before(self.retention()).millis();
        let limit = i64::try_from(SWEEP_BATCH).unwrap_or(i64::MAX);
        let failed = |error| of_statement("delete old rows", self.place(), error);
        let mut tx = self.begin().await?;
        let inbox = query(INBOX).bind(before).bind(limit).execute(&mut tx).await.map_err(failed)?.rows_affected();
        let fence = query(FENCE).bind(before).bind(limit).execute(&mut tx).await.map_err(failed)?.rows_affected();
        tx.commit().await?;
        Ok(Swept { inbox, fence })
    }

    /// Sweeps every [`SWEEP_EVERY`] until the shutdown, batch after batch while they are full. Failures are logged and tried
    /// again at the next turn.
    ///
    /// # Cancel safety
    /// As [`Database::sweep_once`].
    pub async fn sweep(&self, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.or(ticks.tick()).await.is_some() {
            while let Some(swept) = shutdown.or(self.sweep_once()).await {
                match swept {
                    Ok(swept) if swept.inbox.max(swept.fence) == SWEEP_BATCH => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, "deleting old rows failed, trying again");
                        break;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "sweep_test.rs"]
mod tests;
