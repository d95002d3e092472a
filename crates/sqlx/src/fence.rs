//! The fence in SQLite: one row for each (xid, branch), upserted by the first statement of the transaction.
//!
//! The upsert changes nothing in a row that is there and returns it. A random claim tells "I made it" from "it was there",
//! because affected rows do not tell it in every database.

use bytes::Bytes;
use settee::txn::{BranchId, FenceClaim, FenceKey, FenceRow, LocalStore, LocalTx, MAX_SAVED_BYTES, Nested, OverdueQuery, Xid};
use settee_core::error::{ErrorKind, codes};
use settee_core::txn::fence::Row as State;
use settee_core::{Error, env};
use sqlx::{Sqlite, query, query_as};

use crate::database::Database;
use crate::failure::of_statement;
use crate::tx::Tx;

const UPSERT: &str = "INSERT INTO settee_fence (xid, branch, service, state, claim, saved, deadline_ms, updated_at_ms)
    VALUES (?, ?, ?, ?, ?, x'', ?, ?)
    ON CONFLICT (xid, branch) DO UPDATE SET claim = settee_fence.claim
    RETURNING state, claim, saved";

/// The time of the row never goes back: else a clock that is set back during a try would hide that its deadline is wrong.
const SET: &str = "UPDATE settee_fence SET state = ?, saved = coalesce(?, saved), updated_at_ms = max(updated_at_ms, ?)
    WHERE xid = ? AND branch = ?";

const OVERDUE: &str = "SELECT xid, branch FROM settee_fence
    WHERE service = ? AND state = ? AND (deadline_ms < ? OR updated_at_ms > ?) AND (xid, branch) > (?, ?)
    ORDER BY xid, branch LIMIT ?";

/// A row that seems to be written so far in the future was written by a clock that has been set back since: its deadline means
/// nothing, and would keep what the try holds for as long as the clock was wrong. Far above the steps of a clock that is kept.
const CLOCK_SET_BACK_MS: i64 = 5_000;

impl LocalStore for Database<Sqlite> {
    type Tx = Tx<Sqlite>;

    async fn begin(&self) -> Result<Tx<Sqlite>, Error> {
        Database::begin(self).await
    }

    async fn overdue(&self, page: OverdueQuery) -> Result<Vec<FenceKey>, Error> {
        let (after_xid, after_branch) = match &page.after {
            Some(after) => (after.xid.to_bytes().to_vec(), after.branch.as_str()),
            None => (Vec::new(), ""),
        };
        let rows = query_as::<_, (Vec<u8>, String)>(OVERDUE)
            .bind(page.service)
            .bind(State::Tried.number())
            .bind(page.deadline_before.millis())
            .bind(env::wall_clock().millis().saturating_add(CLOCK_SET_BACK_MS))
            .bind(after_xid)
            .bind(after_branch)
            .bind(i64::try_from(page.limit).unwrap_or(i64::MAX))
            .fetch_all(&mut self.read().await?)
            .await
            .map_err(|error| of_statement("read overdue fence rows", self.place(), error))?;
        rows.into_iter().map(|(xid, branch)| read_key(&xid, &branch)).collect()
    }
}

impl LocalTx for Tx<Sqlite> {
    async fn fence(&mut self, claim: &FenceClaim) -> Result<FenceRow, Error> {
        let FenceClaim { key, service, request, deadline } = claim;
        let mine = env::random_u128().to_be_bytes();
        let (state, holder, saved): (i64, Vec<u8>, Vec<u8>) = query_as(UPSERT)
            .bind(key.xid.to_bytes().to_vec())
            .bind(key.branch.as_str())
            .bind(*service)
            .bind(request.initial_row().number())
            .bind(mine.to_vec())
            .bind(deadline.millis())
            .bind(env::wall_clock().millis())
            .fetch_one(&mut *self)
            .await
            .map_err(|error| self.failed(format_args!("fence branch {} of {}", key.branch, key.xid), error))?;
        let is_mine = holder == mine;
        let state = State::from_number(state).ok_or_else(|| damaged(key, format_args!("its state is {state}")))?;
        Ok(FenceRow { before: (!is_mine).then_some(state), saved: saved.into() })
    }

    async fn set_fence(&mut self, key: &FenceKey, row: State, saved: Option<Bytes>) -> Result<(), Error> {
        if let Some(saved) = saved.as_ref().filter(|saved| saved.len() > MAX_SAVED_BYTES) {
            return Err(too_large(key, saved.len()));
        }
        let done = query(SET)
            .bind(row.number())
            .bind(saved.map(|saved| saved.to_vec()))
            .bind(env::wall_clock().millis())
            .bind(key.xid.to_bytes().to_vec())
            .bind(key.branch.as_str())
            .execute(&mut *self)
            .await
            .map_err(|error| self.failed(format_args!("set the fence of branch {} of {}", key.branch, key.xid), error))?;
        match done.rows_affected() {
            1 => Ok(()),
            _ => Err(damaged(key, "it is gone")),
        }
    }

    fn enter(&mut self, branch: Nested) {
        self.branch = Some(branch);
    }

    async fn commit(self) -> Result<(), Error> {
        Tx::commit(self).await
    }

    async fn rollback(self) -> Result<(), Error> {
        Tx::rollback(self).await
    }
}

fn read_key(xid: &[u8], branch: &str) -> Result<FenceKey, Error> {
    let xid = xid.try_into().map(Xid::from_bytes).map_err(|_| {
        let message = format!("read overdue fence rows: an xid of {} bytes", xid.len());
        Error::new(ErrorKind::Damaged, codes::STORE_DAMAGED, message)
    })?;
    Ok(FenceKey { xid, branch: BranchId::received(branch) })
}

fn damaged(key: &FenceKey, what: impl std::fmt::Display) -> Error {
    let message =
        format!("read the fence row of branch {} of {}: {what}; do not change settee's tables by hand", key.branch, key.xid);
    Error::new(ErrorKind::Damaged, codes::STORE_DAMAGED, message)
}

fn too_large(key: &FenceKey, bytes: usize) -> Error {
    let message = format!("save {bytes} bytes for branch {} of {}: at most {MAX_SAVED_BYTES} are kept", key.branch, key.xid);
    Error::new(ErrorKind::Invalid, codes::TRANSACTION_TOO_LARGE, message)
}

#[cfg(test)]
#[path = "fence_test.rs"]
mod tests;
