//! Ends tries that nobody finished: whose beginner died before the coordinator heard of them, or whose answer was lost.
//!
//! A row that stays TRIED past its deadline is asked about. What the coordinator says is final, so phase two is run here.

use std::time::Duration;

use settee_core::id::FencingToken;
use settee_core::{Error, env};

use super::control::{Inquire, Inquiry, TransactionControl};
use super::drive::run_phase_two;
use super::protocol::PhaseTwo;
use super::store::{FenceKey, LocalStore, OverdueQuery};
use super::tcc::Tcc;

/// How often overdue tries are looked for. The query reads an index and mostly finds nothing.
pub const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How long after the deadline a try is left alone: phase two is normally on its way, and asking too early costs a call.
pub const SWEEP_GRACE: Duration = Duration::from_secs(2);

/// Rows of one page. A dead beginner leaves few; after an outage the pages follow one another.
const PAGE: usize = 100;

/// Asks about every overdue try of one service; returns how many ended.
pub(super) async fn pass<P, S, C>(store: &S, handler: &P::Handler, control: &C) -> usize
where
    P: Tcc,
    S: LocalStore<Tx = P::Tx>,
    C: TransactionControl,
{
    let service = P::DESCRIPTOR.name;
    let deadline_before = env::wall_clock().before(SWEEP_GRACE);
    let (mut after, mut ended) = (None, 0);
    loop {
        let query = OverdueQuery { service, deadline_before, after, limit: PAGE };
        let page = match store.overdue(query).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(service, %error, "cannot look for overdue tries");
                return ended;
            }
        };
        for key in &page {
            match end::<P, S, C>(store, handler, control, key).await {
                Ok(has_ended) => ended += usize::from(has_ended),
                Err(error) => tracing::warn!(service, xid = %key.xid, branch = %key.branch, %error, "cannot end an overdue try"),
            }
        }
        if page.len() < PAGE {
            return ended;
        }
        after = page.into_iter().last();
    }
}

async fn end<P, S, C>(store: &S, handler: &P::Handler, control: &C, key: &FenceKey) -> Result<bool, Error>
where
    P: Tcc,
    S: LocalStore<Tx = P::Tx>,
    C: TransactionControl,
{
    let question = Inquire { xid: key.xid, branch: Some(key.branch.clone()) };
    let Inquiry::Decided(decided) = control.inquire(question).await? else { return Ok(false) };
    let FenceKey { xid, branch } = key.clone();
    // The owner is not known here, and need not be: a decision never changes.
    let phase_two = PhaseTwo { xid, branch, decision: decided.decision, token: FencingToken::default() };
    run_phase_two::<P, S>(store, handler, &phase_two).await?;
    tracing::info!(%xid, branch = %key.branch, decision = %decided.decision, "ended an overdue try");
    Ok(true)
}
