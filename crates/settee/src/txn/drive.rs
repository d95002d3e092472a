//! The participant's protocol: one local transaction a request, the fence row first, then what the fence says.
//!
//! ```text
//! begin -> fence (upsert and lock the row) -> Request::on(row) -> business, save, commit   RunBusiness
//!                                                             \-> commit, or roll back     everything else
//! ```

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use settee_core::error::{ErrorKind, codes};
use settee_core::planted::Bug;
use settee_core::txn::fence::{Action, Request, Row};
use settee_core::txn::{Decision, Done};
use settee_core::{Certainty, Error, Instant, env};

use super::nested::Nested;
use super::protocol::{Attempt, Attempted, PhaseTwo, PhaseTwoAnswer};
use super::store::{FenceClaim, FenceKey, LocalStore, LocalTx, MAX_SAVED_BYTES};
use super::tcc::Tcc;
use crate::rpc::{Encoding, Fault, Reply, expand};

/// What a try leaves in the fence row: for a repeated try, and for phase two.
#[derive(Deserialize)]
struct Saved<Order, Hold> {
    order: Order,
    attempted: Attempted<Hold>,
}

#[derive(Serialize)]
struct SavedRef<'a, Order, Hold> {
    order: &'a Order,
    attempted: &'a Attempted<Hold>,
}

/// Runs phase one: business and fence row in one local transaction. A repeated try answers what the first one did.
///
/// # Errors
/// [`Fault::Refused`] when the business said no: everything was rolled back, the fence row too. Otherwise `NotDone`, except
/// when the answer to the local commit was lost: then `Unknown`; and `Done` when what an earlier try saved cannot be read.
/// `SUPPRESSED` says that the branch was cancelled before.
///
/// # Cancel safety
/// A try that is dropped is rolled back, unless its commit was under way: then it may have happened.
pub async fn run_attempt<P, S>(
    store: &S,
    handler: &P::Handler,
    attempt: Attempt<P::Order>,
) -> Reply<Attempted<P::Hold>, P::Refusal>
where
    P: Tcc,
    S: LocalStore<Tx = P::Tx>,
{
    let service = P::DESCRIPTOR.name;
    if attempt.remaining_ms == 0 {
        return Err(Fault::Failed(too_late(service, &attempt)));
    }
    let ends_at = Instant::now() + Duration::from_millis(attempt.remaining_ms);
    let key = FenceKey { xid: attempt.xid, branch: attempt.branch };
    let mut tx = store.begin().await.map_err(undone)?;
    // Only now: a clock that is set back while this waits would give the row a deadline that nothing else in it shows to be wrong.
    let deadline = env::wall_clock().after(ends_at.saturating_duration_since(Instant::now()));
    let claim = FenceClaim { key, service, request: Request::Try, deadline };
    let row = tx.fence(&claim).await.map_err(undone)?;
    match Request::Try.on(row.before.filter(|_| !Bug::RepeatsTries.is_planted())) {
        Action::RunBusiness(next) => try_now::<P>(handler, tx, Fenced { key: claim.key, next, ends_at }, &attempt.order).await,
        Action::ReturnSaved => {
            roll_back(tx).await;
            // The try was made all the same: called "not done", its branch would be left out of the decision.
            let saved = read_saved::<P>(&row.saved).map_err(|error| error.with_certainty(Certainty::Done))?;
            let mut attempted = saved.attempted;
            if Bug::ForgetsJoins.is_planted() {
                attempted.joins.clear();
            }
            Ok(attempted)
        }
        _suppressed => {
            roll_back(tx).await;
            Err(Fault::Failed(suppressed(&claim)))
        }
    }
}

/// A row that is locked for a try.
struct Fenced {
    key: FenceKey,
    next: Row,
    ends_at: Instant,
}

async fn try_now<P: Tcc>(
    handler: &P::Handler,
    mut tx: P::Tx,
    fenced: Fenced,
    order: &P::Order,
) -> Reply<Attempted<P::Hold>, P::Refusal> {
    let Fenced { key, next, ends_at } = fenced;
    let nested = Nested::new(key.xid, key.branch.clone(), ends_at);
    tx.enter(nested.clone());
    let hold = match P::attempt(handler, &mut tx, order).await {
        Ok(hold) => hold,
        Err(fault) => {
            roll_back(tx).await;
            return Err(fault.map_failure(undone));
        }
    };
    let attempted = Attempted { hold, joins: nested.close() };
    let saved = write_saved::<P>(order, &attempted)?;
    tx.set_fence(&key, next, Some(saved)).await.map_err(undone)?;
    tx.commit().await.map_err(all_there_is)?;
    Ok(attempted)
}

/// Runs phase two, with the order and the hold that the try saved.
///
/// # Errors
/// `FENCE_VIOLATION` when the decision contradicts what happened here; it will never be carried out. Otherwise `NotDone`, or
/// `Unknown` when the answer to the local commit was lost: send it again.
///
/// # Cancel safety
/// As [`run_attempt`].
pub async fn run_phase_two<P, S>(store: &S, handler: &P::Handler, phase_two: &PhaseTwo) -> Reply<PhaseTwoAnswer>
where
    P: Tcc,
    S: LocalStore<Tx = P::Tx>,
{
    let request = Request::phase_two(phase_two.decision);
    let key = FenceKey { xid: phase_two.xid, branch: phase_two.branch.clone() };
    let claim = FenceClaim { key, service: P::DESCRIPTOR.name, request, deadline: env::wall_clock() };
    let mut tx = store.begin().await.map_err(undone)?;
    let row = tx.fence(&claim).await.map_err(undone)?;
    let kind = match request.on(row.before) {
        Action::RunBusiness(next) => {
            let saved = read_saved::<P>(&row.saved)?;
            finish_now::<P>(handler, tx, &claim, next, saved).await?;
            Done::Real
        }
        Action::AckEmpty if Bug::ForgetsEmptyCancels.is_planted() => {
            roll_back(tx).await;
            Done::Empty
        }
        Action::AckEmpty => {
            tx.commit().await.map_err(all_there_is)?;
            Done::Empty
        }
        Action::AckDone => {
            roll_back(tx).await;
            Done::Already
        }
        _violation => {
            roll_back(tx).await;
            return Err(Fault::Failed(violation(&claim, phase_two.decision, row.before)));
        }
    };
    Ok(PhaseTwoAnswer { kind })
}

async fn finish_now<P: Tcc>(
    handler: &P::Handler,
    mut tx: P::Tx,
    claim: &FenceClaim,
    next: Row,
    saved: Saved<P::Order, P::Hold>,
) -> Result<(), Error> {
    let (order, hold) = (saved.order, saved.attempted.hold);
    let done = match next {
        Row::Confirmed => P::confirm(handler, &mut tx, &order, &hold).await,
        _cancelled => P::cancel(handler, &mut tx, &order, &hold).await,
    };
    if let Err(fault) = done {
        roll_back(tx).await;
        return Err(undone(fault.into()));
    }
    tx.set_fence(&claim.key, next, None).await.map_err(undone)?;
    tx.commit().await.map_err(all_there_is)
}

/// The roll-back is what dropping the connection would do too, so that it failed changes nothing.
async fn roll_back(tx: impl LocalTx) {
    let _same_as_dropped = tx.rollback().await;
}

/// What fails before the local commit certainly did not happen, whatever the statement that failed says.
fn undone(error: Error) -> Error {
    error.with_certainty(Certainty::NotDone)
}

/// The local transaction is all that a request does: what its commit says holds for the request.
fn all_there_is(error: Error) -> Error {
    let certainty = error.certainty();
    error.with_certainty(certainty)
}

fn write_saved<P: Tcc>(order: &P::Order, attempted: &Attempted<P::Hold>) -> Result<Bytes, Error> {
    let saved = expand::encode(Encoding::MessagePack, &SavedRef { order, attempted })?;
    if saved.len() <= MAX_SAVED_BYTES {
        return Ok(saved);
    }
    let message = format!("save order and hold: {} bytes, at most {MAX_SAVED_BYTES} are kept", saved.len());
    Err(Error::new(ErrorKind::Invalid, codes::TRANSACTION_TOO_LARGE, message))
}

fn read_saved<P: Tcc>(saved: &[u8]) -> Result<Saved<P::Order, P::Hold>, Error> {
    expand::decode(Encoding::MessagePack, saved).map_err(|error| {
        let message = format!("read what the try of {} saved: {}", P::DESCRIPTOR.name, error.message());
        Error::new(ErrorKind::Damaged, codes::INTERNAL, message)
    })
}

fn too_late<Order>(service: &str, attempt: &Attempt<Order>) -> Error {
    let message = format!("try branch {} of {} at {service}: the transaction's time is over", attempt.branch, attempt.xid);
    Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, message)
}

fn suppressed(claim: &FenceClaim) -> Error {
    let FenceKey { xid, branch } = &claim.key;
    let message = format!("try branch {branch} of {xid} at {}: it has been cancelled", claim.service);
    Error::new(ErrorKind::Conflict, codes::SUPPRESSED, message)
}

fn violation(claim: &FenceClaim, decision: Decision, row: Option<Row>) -> Error {
    let FenceKey { xid, branch } = &claim.key;
    let found = row.map_or("was never tried".to_owned(), |row| format!("is {row:?}"));
    let message = format!("{decision} branch {branch} of {xid} at {}: it {found}", claim.service);
    Error::new(ErrorKind::Conflict, codes::FENCE_VIOLATION, message)
}
