//! The handle with which an application begins global transactions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use settee_core::error::{ErrorKind, codes};
use settee_core::id::{BranchId, Xid};
use settee_core::txn::{BranchSummary, Decision, TryState};
use settee_core::{Context, Error};

use super::control::{Decide, Inquire, Inquiry, TransactionControl, TransactionControlClient};
use super::global::GlobalTransaction;
use super::lease::Leases;
use super::tcc::TccClient;
use crate::rpc::{Fault, Never};

/// Begins global transactions. Cheap to clone; make one a process.
///
/// ```no_run
/// use std::time::Duration;
/// use settee::txn::{TccClient, Transactions};
///
/// async fn transfer<D, C>(transactions: &Transactions, debit: (&D, D::Order), credit: (&C, C::Order)) -> settee::Result<()>
/// where
///     D: TccClient<Refusal = settee::Never>,
///     C: TccClient<Refusal = settee::Never>,
/// {
///     let transfer = transactions.begin("transfer", Duration::from_secs(5)).with_reference("E2E-1");
///     tokio::try_join!(transfer.attempt(debit.0, debit.1), transfer.attempt(credit.0, credit.1))?;
///     transfer.commit().await
/// }
/// ```
#[derive(Clone)]
pub struct Transactions(Arc<Inner>);

struct Inner {
    control: TransactionControlClient,
    application: String,
    leases: Leases,
}

impl Transactions {
    /// Transactions of `application`, coordinated by whoever `control` reaches.
    #[must_use]
    pub fn new(control: TransactionControlClient, application: &str) -> Self {
        Self(Arc::new(Inner { control, application: application.to_owned(), leases: Leases::default() }))
    }

    /// A global transaction that aborts unless it commits within `timeout`, at most an hour. Nothing is sent yet: what is
    /// never tried costs nothing.
    pub fn begin(&self, name: &str, timeout: Duration) -> GlobalTransaction {
        GlobalTransaction::new(self.clone(), name, timeout)
    }

    /// What was decided: for a caller whose commit ended Unknown. An xid that never began is aborted by asking.
    ///
    /// # Errors
    /// The coordinator could not be asked: always `Unknown`, for the transaction may have happened. Ask again.
    ///
    /// # Cancel safety
    /// Asking again is always safe.
    pub async fn ask(&self, xid: Xid) -> Result<Inquiry, Error> {
        self.0.control.inquire(Inquire { xid, branch: None }).await.map_err(not_told)
    }

    /// Waits until phase two has ended everywhere: what was committed is then where it belongs, what was aborted is released.
    ///
    /// # Errors
    /// Always `Unknown`, for the transaction may have happened. The coordinator could not be asked, or phase two takes longer than
    /// the call may: ask again. `PARKED` when it cannot end by itself.
    ///
    /// # Cancel safety
    /// Asking again is always safe.
    pub async fn end(&self, xid: Xid) -> Result<Decision, Error> {
        match self.0.control.ended(xid).await.map_err(not_told)? {
            Inquiry::Decided(decided) => Ok(decided.decision),
            Inquiry::Undecided => Err(not_ended(xid)),
            Inquiry::Parked => Err(parked(xid)),
        }
    }

    /// Brings a transaction that an earlier life of this process may have left behind to its end: aborts it unless it was
    /// committed, and waits until that has ended everywhere. `branches` are those it would have had, see [`Transactions::branch`].
    ///
    /// # Errors
    /// As [`Transactions::end`].
    ///
    /// # Cancel safety
    /// Asking again is always safe.
    pub async fn resolve(&self, xid: Xid, branches: Vec<BranchSummary>) -> Result<Decision, Error> {
        self.0.control.decide(Decide { xid, decision: Decision::Abort, branches }).await.map_err(not_told)?;
        self.end(xid).await
    }

    /// The branch that the `call`-th attempt of a transaction (from 1) makes with `order`, of unknown outcome.
    #[must_use]
    pub fn branch<C: TccClient>(call: u32, client: &C, order: &C::Order) -> BranchSummary {
        BranchSummary {
            branch: BranchId::root(call),
            service: client.service().to_owned(),
            route: client.route(order).map(|key| key.as_str().to_owned()),
            state: TryState::Unknown,
        }
    }

    pub(super) fn control(&self) -> &TransactionControlClient {
        &self.0.control
    }

    pub(super) fn application(&self) -> &str {
        &self.0.application
    }

    pub(super) async fn next_xid(&self) -> Result<Xid, Error> {
        let xid = self.0.leases.next(&self.0.control).await?;
        if self.0.leases.is_low() {
            self.refill_in_background();
        }
        Ok(xid)
    }

    fn refill_in_background(&self) {
        let inner = self.0.clone();
        let context = Context { deadline: None, ..Context::root(&inner.application) };
        settee_core::env::spawn(context.scope(async move { inner.leases.refill(&inner.control).await }));
    }
}

/// That a question was certainly not answered says nothing about what it was asked about: `?` in the handler that wants the
/// transaction must not tell its caller that nothing happened.
fn not_told(fault: Fault<Never>) -> Error {
    Error::from(fault).unknown()
}

fn not_ended(xid: Xid) -> Error {
    let message = format!("wait for the end of transaction {xid}: it is still open");
    Error::new(ErrorKind::Unavailable, codes::WRITE_UNKNOWN, message).unknown()
}

fn parked(xid: Xid) -> Error {
    let message = format!("wait for the end of transaction {xid}: it is parked; see `settee transactions show {xid}`");
    Error::new(ErrorKind::Conflict, codes::PARKED, message).unknown()
}

impl fmt::Debug for Transactions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Transactions({})", self.0.application)
    }
}
