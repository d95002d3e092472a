//! Tests of a participant's own statements: a database that goes with the test, and a branch without a coordinator.
//!
//! Behind the feature `testing`, for `[dev-dependencies]`. What calls and messages need besides is in `settee::testing`.

use std::fmt;
use std::ops::Deref;

use settee::txn::{Attempt, BranchId, Decision, Done, ParticipantServer, PhaseTwo, Tcc, run_attempt, run_phase_two};
use settee::{Error, Reply};
use settee_core::env;
use settee_core::id::{FencingToken, Generation, ShardId, Xid};
use tempfile::TempDir;

use crate::database::{Database, DatabaseOptions};
use crate::tx::Tx;

/// How long a try may take; far more than a local transaction needs.
const REMAINING_MS: u64 = 60_000;

/// An empty [`Database`] in a temporary folder. A file and not memory, because it is opened and synced as in production.
///
/// Clone the [`Database`] for the service; the file is gone when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    database: Database,
    _folder: TempDir,
}

impl TestDatabase {
    /// Opens it.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let database = Database::open(folder.path().join("test.db"), DatabaseOptions::default()).await;
        Self { database: database.unwrap_or_else(|error| panic!("{error}")), _folder: folder }
    }
}

impl Deref for TestDatabase {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

/// One branch of a transaction of its own, driven by the test instead of by a caller and a coordinator: fence, statements and
/// local commit are those of production.
///
/// What callers and coordinators do to a branch is calling these in another order: a repeated try is [`Branch::attempt`] twice, a
/// cancel before the try is [`Branch::cancel`] first, a late try is [`Branch::attempt`] after it.
///
/// ```
/// use settee::Reply;
/// use settee::error::codes;
/// use settee::txn::{Done, LocalTx};
/// use settee_sqlx::Tx;
/// use settee_sqlx::testing::{Branch, TestDatabase};
///
/// #[settee::tcc("shop.Stock")]
/// trait Stock {
///     type Tx: LocalTx;
///     async fn attempt(&self, tx: &mut Self::Tx, pieces: &i64) -> Reply<()>;
///     async fn confirm(&self, tx: &mut Self::Tx, pieces: &i64, held: &()) -> Reply<()>;
///     async fn cancel(&self, tx: &mut Self::Tx, pieces: &i64, held: &()) -> Reply<()>;
/// }
///
/// struct Shelf;
///
/// impl Stock for Shelf {
///     type Tx = Tx;
///
///     async fn attempt(&self, tx: &mut Tx, pieces: &i64) -> Reply<()> {
///         sqlx::query("UPDATE shelf SET held = held + ?").bind(pieces).execute(tx).await?;
///         Ok(())
///     }
///
///     async fn confirm(&self, tx: &mut Tx, pieces: &i64, _: &()) -> Reply<()> {
///         sqlx::query("UPDATE shelf SET held = held - ?1, pieces = pieces - ?1").bind(pieces).execute(tx).await?;
///         Ok(())
///     }
///
///     async fn cancel(&self, tx: &mut Tx, pieces: &i64, _: &()) -> Reply<()> {
///         sqlx::query("UPDATE shelf SET held = held - ?").bind(pieces).execute(tx).await?;
///         Ok(())
///     }
/// }
///
/// // In a test: #[tokio::test]
/// async fn pieces_are_held_once_and_given_back_once() {
///     let database = TestDatabase::open().await;
///     let mut tx = database.begin().await.unwrap();
///     sqlx::query("CREATE TABLE shelf AS SELECT 10 AS pieces, 0 AS held").execute(&mut tx).await.unwrap();
///     tx.commit().await.unwrap();
///
///     let branch = Branch::new(StockServer::new(Shelf, database.clone()), 3);
///     branch.attempt().await.unwrap();
///     branch.attempt().await.unwrap();
///     assert_eq!(branch.cancel().await.unwrap(), Done::Real);
///     assert_eq!(branch.cancel().await.unwrap(), Done::Already);
///
///     let late = Branch::new(StockServer::new(Shelf, database.clone()), 3);
///     assert_eq!(late.cancel().await.unwrap(), Done::Empty);
///     assert_eq!(late.attempt().await.unwrap_err().failure().unwrap().code(), &codes::SUPPRESSED);
///
///     let held = sqlx::query_scalar::<_, i64>("SELECT held FROM shelf");
///     assert_eq!(held.fetch_one(&mut database.read().await.unwrap()).await.unwrap(), 0);
/// }
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(pieces_are_held_once_and_given_back_once());
/// ```
pub struct Branch<P: Tcc> {
    participant: ParticipantServer<P, Database>,
    xid: Xid,
    order: P::Order,
}

impl<P> Branch<P>
where
    P: Tcc<Tx = Tx>,
    P::Order: Clone,
{
    /// A branch of a new transaction, in which `participant` is asked to do `order`.
    pub fn new(participant: ParticipantServer<P, Database>, order: P::Order) -> Self {
        let xid = Xid::new(ShardId(0), Generation(1), env::random_u64(), env::random_u64());
        Self { participant, xid, order }
    }

    /// Phase one.
    ///
    /// # Errors
    /// The refusal, or a failure: `SUPPRESSED` when the branch was cancelled before. Nothing is held then.
    ///
    /// # Cancel safety
    /// A try that is dropped is rolled back, unless its commit was under way: then it may have happened.
    pub async fn attempt(&self) -> Reply<P::Hold, P::Refusal> {
        let attempt = Attempt { xid: self.xid, branch: branch(), remaining_ms: REMAINING_MS, order: self.order.clone() };
        let (store, handler) = (self.participant.store(), self.participant.handler());
        Ok(run_attempt::<P, _>(store, handler, attempt).await?.hold)
    }

    /// Phase two of COMMIT; how it was done.
    ///
    /// # Errors
    /// `FENCE_VIOLATION` when the branch was never tried, or was cancelled; otherwise what the handler or the database reports.
    ///
    /// # Cancel safety
    /// As [`Branch::attempt`].
    pub async fn confirm(&self) -> Result<Done, Error> {
        self.finish(Decision::Commit).await
    }

    /// Phase two of ABORT; how it was done.
    ///
    /// # Errors
    /// `FENCE_VIOLATION` when the branch was confirmed; otherwise what the handler or the database reports.
    ///
    /// # Cancel safety
    /// As [`Branch::attempt`].
    pub async fn cancel(&self) -> Result<Done, Error> {
        self.finish(Decision::Abort).await
    }

    async fn finish(&self, decision: Decision) -> Result<Done, Error> {
        let phase_two = PhaseTwo { xid: self.xid, branch: branch(), decision, token: FencingToken::default() };
        let (store, handler) = (self.participant.store(), self.participant.handler());
        Ok(run_phase_two::<P, _>(store, handler, &phase_two).await?.kind)
    }
}

impl<P: Tcc> fmt::Debug for Branch<P> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Branch({} of {})", P::DESCRIPTOR.name, self.xid)
    }
}

fn branch() -> BranchId {
    BranchId::root(1)
}
