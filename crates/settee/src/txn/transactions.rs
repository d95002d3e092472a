//! The handle with which an application begins global transactions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use settee_core::id::Xid;
use settee_core::{Context, Error};

use super::control::{Inquire, Inquiry, TransactionControl, TransactionControlClient};
use super::global::GlobalTransaction;
use super::lease::Leases;

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
    /// The coordinator could not be asked; ask again.
    ///
    /// # Cancel safety
    /// Asking again is always safe.
    pub async fn ask(&self, xid: Xid) -> Result<Inquiry, Error> {
        Ok(self.0.control.inquire(Inquire { xid, branch: None }).await?)
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

impl fmt::Debug for Transactions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Transactions({})", self.0.application)
    }
}
