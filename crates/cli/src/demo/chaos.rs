//! Chaos: kills one process after the other while transfers are open, and measures when each is of use again.
//!
//! Kills are a fifth of the file apart. The next one waits until the process before it has answered, and the driver hands out
//! nothing more while it waits, so that transfers are left to be open when it comes.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use settee::trace::TraceContext;
use settee::txn::{LeaseXids, TransactionControl};
use settee::{Context, Reply};
use settee_payments::api::{Account, Notify, Payment};
use tokio::time::Instant;

use super::clients::Clients;
use super::supervisor::Supervisor;
use super::topology::{Role, ledger_key};
use crate::failure::Failure;

/// Who is killed, in this order.
const VICTIMS: [Role; 4] = [Role::Server, Role::Ledger(0), Role::Payment, Role::Notify];

/// Between two probes of a process that was killed.
const PROBE_EVERY: Duration = Duration::from_millis(10);

/// How long one probe may take: a call to a process that is not there must not hide that it came back.
const PROBE: Duration = Duration::from_millis(100);

/// How long a process may take to come back, before that is a finding of its own.
const RECOVERY: Duration = Duration::from_secs(60);

/// One kill and what it cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Strike {
    /// The application that was killed.
    pub(crate) killed: &'static str,
    /// From the kill to the first success of an operation, begun after it, that needs that very process; `None`: never.
    pub(crate) first_success_after_ms: Option<u64>,
}

type Probing<'a> = Pin<Box<dyn Future<Output = Strike> + Send + 'a>>;

/// The kills of one demo.
pub(crate) struct Chaos<'a> {
    supervisor: &'a Supervisor,
    clients: &'a Clients,
    /// After how many ended transfers whom to kill.
    due: VecDeque<(usize, Role)>,
    probing: Option<Probing<'a>>,
    strikes: Vec<Strike>,
    /// Duplicates that processes had suppressed when they were killed, which they forget.
    duplicates_forgotten: u64,
}

impl<'a> Chaos<'a> {
    /// Kills spread over `transfers`; none unless `enabled`.
    pub(crate) fn new(supervisor: &'a Supervisor, clients: &'a Clients, enabled: bool, transfers: usize) -> Self {
        let due = if enabled { thresholds(transfers) } else { VecDeque::new() };
        Self { supervisor, clients, due, probing: None, strikes: Vec::new(), duplicates_forgotten: 0 }
    }

    /// Whether no further transfer may begin: a kill is due, and the process before it is not back.
    pub(crate) fn holds(&self, ended: usize) -> bool {
        self.is_probing() && self.is_due(ended)
    }

    /// Whether a process that was killed is being waited for.
    pub(crate) fn is_probing(&self) -> bool {
        self.probing.is_some()
    }

    /// Kills the next process if enough transfers have ended. Called while others are open.
    pub(crate) async fn strike_if_due(&mut self, ended: usize) -> Result<(), Failure> {
        if !self.is_due(ended) || self.is_probing() {
            return Ok(());
        }
        let Some((_, role)) = self.due.pop_front() else { return Ok(()) };
        if role == Role::Notify {
            let counts = probe(|| self.clients.notify.counts()).await;
            self.duplicates_forgotten += counts.map_or(0, |counts| counts.duplicates_suppressed);
        }
        let killed = self.supervisor.kill(role).await?;
        tracing::info!(%role, ended, "killed");
        self.probing = Some(Box::pin(first_success(self.clients, role, killed)));
        Ok(())
    }

    /// Waits until the process that was killed is of use again.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn probed(&mut self) {
        let Some(probing) = &mut self.probing else { return std::future::pending().await };
        let strike = probing.await;
        self.probing = None;
        self.strikes.push(strike);
    }

    /// What was killed, and duplicates that were forgotten with it.
    pub(crate) fn into_strikes(self) -> (Vec<Strike>, u64) {
        (self.strikes, self.duplicates_forgotten)
    }

    fn is_due(&self, ended: usize) -> bool {
        self.due.front().is_some_and(|(after, _)| ended >= *after)
    }
}

fn thresholds(transfers: usize) -> VecDeque<(usize, Role)> {
    let parts = VICTIMS.len() + 1;
    VICTIMS.iter().enumerate().map(|(index, role)| (transfers * (index + 1) / parts, *role)).collect()
}

async fn first_success(clients: &Clients, role: Role, killed: Instant) -> Strike {
    let give_up = killed + RECOVERY;
    let mut success = None;
    while success.is_none() && Instant::now() < give_up {
        let next = Instant::now() + PROBE_EVERY;
        success = answers(clients, role).await.then(|| killed.elapsed());
        tokio::time::sleep_until(next).await;
    }
    let after_ms = success.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    Strike { killed: role.application(), first_success_after_ms: after_ms }
}

/// Whether an operation succeeds that nobody but this process can perform.
async fn answers(clients: &Clients, role: Role) -> bool {
    match role {
        Role::Server => probe(|| clients.transactions.lease(LeaseXids { count: 1 })).await.is_some(),
        // No account is behind the last character there is, so the answer is a success and empty.
        Role::Ledger(ledger) => probe(|| clients.account.list(ledger_key(ledger), char::MAX.to_string())).await.is_some(),
        Role::Payment => probe(|| clients.payment.known(Vec::new())).await.is_some(),
        Role::Notify => probe(|| clients.notify.counts()).await.is_some(),
    }
}

/// One call that takes no longer than a probe may and leaves no trace.
async fn probe<T, R, F: Future<Output = Reply<T, R>>>(call: impl FnOnce() -> F) -> Option<T> {
    let trace = TraceContext { sampled: false, ..TraceContext::root() };
    let context = Context { trace, ..Context::root("demo") }.with_timeout(PROBE);
    let answer = tokio::time::timeout(PROBE, context.scope(async { call().await })).await;
    answer.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_victim_falls_once_and_with_a_fifth_of_the_file_before_and_behind_it() {
        let plan: Vec<_> = thresholds(100).into_iter().map(|(after, role)| (after, role.application())).collect();
        assert_eq!(plan, [(20, "server"), (40, "account"), (60, "payment"), (80, "notify")]);
        assert_eq!(thresholds(101).back().unwrap().0, 80);
    }
}
