//! One global transaction, as its beginner holds it.
//!
//! ```text
//! begin ──> attempt ──> attempt ──> commit        two round trips: the tries together, then the decision
//!      \──> Begin, beside the first try ──┘       commit waits for its answer
//! ```

use std::fmt;
use std::future::Future;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::error::{Code, ErrorKind, codes};
use settee_core::id::{BranchId, Xid};
use settee_core::planted::Bug;
use settee_core::txn::{Cause, Decision, MAX_TIMEOUT};
use settee_core::{Certainty, Context, Error, Instant, env};
use tokio::sync::OnceCell;

use super::control::{Begin, Decide, Decided, TransactionControl};
use super::joins::{Call, Joins, millis};
use super::tcc::TccClient;
use super::transactions::Transactions;
use crate::rpc::Reply;

/// How long after the transaction's own deadline its commit may still wait for an answer: a fail-over of the coordinator
/// takes about a second, and an answer is worth more to the caller than an early "unknown".
const PATIENCE: Duration = Duration::from_secs(5);

/// One asking for a decision; then it is asked again, which is safe. Longer than a slow group commit.
const DECIDE_TIMEOUT: Duration = Duration::from_secs(2);

/// The wait between two of them.
const DECIDE_AGAIN: Duration = Duration::from_millis(100);

/// A global transaction. Dropped without a commit it aborts.
#[must_use = "a transaction that is dropped aborts"]
pub struct GlobalTransaction {
    transactions: Transactions,
    name: String,
    reference: Option<String>,
    deadline: Instant,
    xid: OnceCell<Xid>,
    joins: Joins,
    begin: Mutex<Started>,
}

/// The begin, which travels beside the first try.
#[derive(Default)]
struct Started {
    is_begun: bool,
    /// `None`: nothing was sent, or the decision has been asked for.
    under_way: Option<env::JoinHandle<Result<(), Error>>>,
}

impl GlobalTransaction {
    pub(super) fn new(transactions: Transactions, name: &str, timeout: Duration) -> Self {
        Self {
            transactions,
            name: name.to_owned(),
            reference: None,
            deadline: Instant::now() + timeout.min(MAX_TIMEOUT),
            xid: OnceCell::new(),
            joins: Joins::default(),
            begin: Mutex::default(),
        }
    }

    /// The same, with the business key that people will search for, such as an end-to-end id.
    pub fn with_reference(mut self, reference: &str) -> Self {
        self.reference = Some(reference.to_owned());
        self
    }

    /// Its identity. Waits only while the process has no leased xids yet.
    ///
    /// # Errors
    /// No xid could be leased; nothing happened.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn xid(&self) -> Result<Xid, Error> {
        self.xid.get_or_try_init(|| self.transactions.next_xid()).await.copied().map_err(Error::of_step)
    }

    /// Tries one branch. Several may run at once; each call is a branch of its own, numbered in the order of the calls.
    ///
    /// # Errors
    /// [`Fault::Refused`](crate::Fault::Refused) when the participant said no; the transaction can then only abort. A failure
    /// of certainty `NotDone` leaves the branch out, and another may be tried instead; `Unknown` forbids COMMIT.
    ///
    /// # Cancel safety
    /// A try that is dropped counts as unknown: the transaction can then only abort.
    pub fn attempt<'a, C: TccClient>(
        &'a self,
        client: &'a C,
        order: C::Order,
    ) -> impl Future<Output = Reply<C::Hold, C::Refusal>> + Send + 'a {
        let branch = BranchId::root(self.joins.next_call());
        async move {
            let xid = self.xid().await?;
            let deadline = self.deadline;
            // What is too late is not begun either.
            if deadline > Instant::now() {
                self.begin_once(xid);
            }
            self.joins.attempt(Call { xid, branch, deadline }, client, order).await
        }
    }

    /// Commits: every branch will be confirmed, and this returns as soon as that is durable.
    ///
    /// # Errors
    /// `NotDone`: it was aborted, and every branch is being cancelled. `Unknown`: nobody answered; [`Transactions::ask`] later.
    ///
    /// # Cancel safety
    /// A commit that is dropped may still happen: ask.
    pub async fn commit(self) -> Result<(), Error> {
        if !self.begin.lock().is_begun {
            return Ok(());
        }
        let xid = self.xid().await?;
        let decided = self.settle(Decision::Commit).await.map_err(Error::of_step)?;
        match decided.decision {
            Decision::Commit => Ok(()),
            Decision::Abort => Err(aborted(xid, decided.cause).of_step()),
        }
    }

    /// Aborts: every branch will be cancelled, and this returns as soon as that is durable.
    ///
    /// # Errors
    /// Nobody answered. It aborts all the same, at its deadline at the latest.
    ///
    /// # Cancel safety
    /// It aborts all the same.
    pub async fn abort(self) -> Result<(), Error> {
        if !self.begin.lock().is_begun {
            return Ok(());
        }
        self.settle(Decision::Abort).await.map(|_| ()).map_err(Error::of_step)
    }

    /// The Begin is awaited first, so that a decision finds what it is about. Whether it failed does not matter: a COMMIT of
    /// what never began is answered ABORT. One that was turned away says why, and at once; the branches are still cancelled.
    async fn settle(&self, decision: Decision) -> Result<Decided, Error> {
        let mut settling = self.settling(decision).await?;
        match settling.begun().await {
            Err(error) if decision == Decision::Commit && is_turned_away(&error) => {
                settling.wish.decision = Decision::Abort;
                let context = Context { deadline: None, ..Context::current() };
                env::spawn(context.scope(async move { settling.run().await.ok() }));
                Err(error)
            }
            _ => settling.run().await,
        }
    }

    async fn settling(&self, decision: Decision) -> Result<Settling, Error> {
        let xid = self.xid().await?;
        let begin = self.begin.lock().under_way.take();
        let wish = Decide { xid, decision, branches: self.joins.close() };
        let give_up_at = self.deadline + PATIENCE;
        Ok(Settling { transactions: self.transactions.clone(), begin, wish, give_up_at })
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn begin_once(&self, xid: Xid) {
        let mut started = self.begin.lock();
        if std::mem::replace(&mut started.is_begun, true) {
            return;
        }
        let begin = Begin {
            xid,
            name: self.name.clone(),
            reference: self.reference.clone(),
            timeout_ms: millis(self.remaining()),
            application: self.transactions.application().to_owned(),
        };
        let transactions = self.transactions.clone();
        started.under_way = Some(crate::spawn(async move {
            let begun = transactions.control().begin(begin).await.map_err(Error::from);
            begun.inspect_err(|error| tracing::debug!(%xid, %error, "the begin of a transaction was not acknowledged"))
        }));
    }
}

impl Drop for GlobalTransaction {
    fn drop(&mut self) {
        let (Some(begin), Some(xid)) = (self.begin.lock().under_way.take(), self.xid.get()) else { return };
        let wish = Decide { xid: *xid, decision: Decision::Abort, branches: self.joins.close() };
        let give_up_at = self.deadline + PATIENCE;
        let settling = Settling { transactions: self.transactions.clone(), begin: Some(begin), wish, give_up_at };
        // Without a runtime nobody can be told; the deadline aborts it.
        if tokio::runtime::Handle::try_current().is_ok() {
            let context = Context { deadline: None, ..Context::current() };
            env::spawn(context.scope(async move { settling.run().await.ok() }));
        }
    }
}

impl fmt::Debug for GlobalTransaction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("GlobalTransaction").field("name", &self.name).field("xid", &self.xid.get()).finish_non_exhaustive()
    }
}

/// A decision being asked for, until it is answered.
struct Settling {
    transactions: Transactions,
    begin: Option<env::JoinHandle<Result<(), Error>>>,
    wish: Decide,
    give_up_at: Instant,
}

impl Settling {
    /// What became of the Begin, as far as anybody knows in time.
    async fn begun(&mut self) -> Result<(), Error> {
        let Some(begin) = self.begin.take() else { return Ok(()) };
        let ended = tokio::time::timeout_at(self.give_up_at, begin).await;
        ended.ok().and_then(Result::ok).unwrap_or(Ok(()))
    }

    async fn run(mut self) -> Result<Decided, Error> {
        let _its_outcome_does_not_matter = self.begun().await;
        let mut may_have_arrived = false;
        loop {
            let error = match self.ask().await {
                Ok(decided) => return Ok(decided),
                Err(error) => error,
            };
            may_have_arrived |= error.certainty() != Certainty::NotDone && !Bug::CommitCallsUnknownFailed.is_planted();
            if is_final(&error) || Context::current().is_expired() || Instant::now() + DECIDE_AGAIN >= self.give_up_at {
                let certainty = if may_have_arrived { Certainty::Unknown } else { Certainty::NotDone };
                return Err(error.with_certainty(certainty));
            }
            tokio::time::sleep(DECIDE_AGAIN).await;
        }
    }

    async fn ask(&self) -> Result<Decided, Error> {
        let context = Context::current().with_timeout(DECIDE_TIMEOUT);
        let asked = context.scope(self.transactions.control().decide(self.wish.clone()));
        match tokio::time::timeout(DECIDE_TIMEOUT, asked).await {
            Ok(answered) => answered.map_err(Error::from),
            Err(_elapsed) => {
                let message = format!("decide {}: no answer within {DECIDE_TIMEOUT:?}", self.wish.xid);
                Err(Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, message).unknown())
            }
        }
    }
}

/// Whether the coordinator certainly did not begin the transaction, for want of room: nobody else will ask for its COMMIT.
fn is_turned_away(begin: &Error) -> bool {
    begin.certainty() == Certainty::NotDone && matches!(begin.kind(), ErrorKind::Full | ErrorKind::Limited)
}

/// Whether asking again would be answered the same.
fn is_final(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::Conflict | ErrorKind::Unsupported)
}

fn aborted(xid: Xid, cause: Cause) -> Error {
    let code: Code = match cause {
        Cause::BranchUnknown => codes::BRANCH_UNKNOWN,
        _ => codes::DECIDED_OTHERWISE,
    };
    Error::new(ErrorKind::Conflict, code, format!("commit {xid}: it was aborted because of {cause}"))
}
