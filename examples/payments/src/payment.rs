//! The payment service: each order is one global transaction over two ledgers, and has one outcome for ever.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use settee::app::App;
use settee::txn::{BranchSummary, Decision, Transactions};
use settee::{Certainty, Error, Fault, Never, Reply, refuse};
use settee_sqlx::{Database, DatabaseOptions};

use crate::api::{Account, AccountClient, CreditClient, DebitClient, Payment, PaymentServer, Receipt, Refusal, Transfer};
use crate::book::{Book, Entry};
use crate::reason::{amount, first_refusal};
use crate::turns::Turns;

/// How long a transfer may take before it is aborted.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What the payment service is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file of its book of orders.
    pub database: PathBuf,
}

/// Moves money.
#[derive(Clone, Debug)]
struct Payments {
    book: Book,
    turns: Turns,
    transactions: Transactions,
    account: AccountClient,
    debit: DebitClient,
    credit: CreditClient,
}

/// Puts the payment service together.
///
/// # Errors
/// What the database reports.
pub async fn service(app: App, config: &Config, options: DatabaseOptions) -> Reply<App> {
    let database = Database::open(&config.database, options).await?;
    let payments = Payments {
        book: Book::open(database.clone()).await?,
        turns: Turns::default(),
        transactions: app.transactions(),
        account: app.client(),
        debit: app.client(),
        credit: app.client(),
    };
    Ok(app.serve(PaymentServer::new(payments)).when_stopped(|| async move { database.close().await }))
}

impl Payment for Payments {
    async fn transfer(&self, order: Transfer) -> Reply<Receipt, Refusal> {
        // The same order again, while it is being made, waits for its outcome.
        let _turn = self.turns.wait(&order.id).await;
        let tried_before = match self.outcome(&order).await.map_err(Error::from)? {
            Entry::Settled(xid) => return Ok(receipt(&order, xid)),
            Entry::Refused(refusal) => return Err(refuse(refusal)),
            Entry::OtherContent => return Err(refuse(Refusal::DuplicateId)),
            Entry::Tried(xid) => Some(xid),
            Entry::New => None,
        };
        match self.make(&order, tried_before.as_deref()).await {
            Ok(xid) => {
                self.book.ended(&order, Some(&xid), Ok(())).await.map_err(settled)?;
                Ok(receipt(&order, xid))
            }
            Err(Fault::Refused(refusal)) => {
                self.book.ended(&order, None, Err(&refusal)).await.map_err(Error::from)?;
                Err(refuse(refusal))
            }
            failed => failed.map(|xid| receipt(&order, xid)),
        }
    }

    async fn known(&self, orders: Vec<Transfer>) -> Reply<Vec<bool>> {
        let mut known = Vec::with_capacity(orders.len());
        for order in &orders {
            // One that is being made has no outcome yet, and must not be aborted for the question.
            let turn = self.turns.try_take(&order.id);
            known.push(turn.is_some() && matches!(self.outcome(order).await?, Entry::Settled(_) | Entry::Refused(_)));
        }
        Ok(known)
    }
}

impl Payments {
    /// What became of the order so far. A transaction that nobody wrote down the end of is brought to its end first: it may
    /// have committed, and what it held must be free again before the order is tried anew. Ask only in the order's turn.
    async fn outcome(&self, order: &Transfer) -> Reply<Entry> {
        let entry = self.book.find(order).await?;
        let Entry::Tried(text) = &entry else { return Ok(entry) };
        let branches = amount(order).map_or_else(|_| Vec::new(), |minor| self.branches(order, minor));
        match self.transactions.resolve(text.parse().map_err(Error::internal)?, branches).await? {
            Decision::Commit => {
                self.book.ended(order, Some(text), Ok(())).await.map_err(settled)?;
                Ok(Entry::Settled(text.clone()))
            }
            Decision::Abort => Ok(entry),
        }
    }

    fn branches(&self, order: &Transfer, minor: i64) -> Vec<BranchSummary> {
        let debit = Transactions::branch(1, &self.debit, &order.debit(minor));
        vec![debit, Transactions::branch(2, &self.credit, &order.credit(minor))]
    }

    /// One transaction over both ledgers. It is answered when phase two has ended everywhere, so that the next order sees the
    /// money where it belongs now, and none that a refused one still holds. The one that was `tried_before` has been aborted.
    async fn make(&self, order: &Transfer, tried_before: Option<&str>) -> Reply<String, Refusal> {
        let minor = amount(order)?;
        if order.debtor == order.creditor {
            return self.refuse_same_account(order).await;
        }
        let transfer = self.transactions.begin("transfer", TIMEOUT).with_reference(&order.id);
        let xid = transfer.xid().await?;
        self.book.tried(order, &xid.to_string(), tried_before).await.map_err(Error::from)?;
        let (debited, credited) =
            tokio::join!(transfer.attempt(&self.debit, order.debit(minor)), transfer.attempt(&self.credit, order.credit(minor)),);
        let tried = first_refusal(debited.err(), credited.err());
        if tried.is_ok() {
            transfer.commit().await?;
        } else {
            transfer.abort().await?;
        }
        self.transactions.end(xid).await?;
        tried.map(|()| xid.to_string())
    }

    /// An account that is unknown or closed is the reason to give before "it is the same account".
    async fn refuse_same_account(&self, order: &Transfer) -> Reply<String, Refusal> {
        let account = self.account.find(order.debtor.clone()).await?;
        Err(refuse(if account.closed { Refusal::ClosedAccount } else { Refusal::SameAccount }))
    }
}

/// The money has moved, whatever became of the note about it.
fn settled(fault: Fault<Never>) -> Error {
    Error::from(fault).with_certainty(Certainty::Done)
}

fn receipt(order: &Transfer, xid: String) -> Receipt {
    Receipt { transfer: order.id.clone(), xid }
}
