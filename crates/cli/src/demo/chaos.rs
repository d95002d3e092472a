//! Chaos: kills one process after the other while transfers are open, and measures when each is of use again.
//!
//! Kills are a fifth of the file apart. The next one waits until the process before it has answered. A transfer is kept back for
//! each kill that is still to come, so that one is open when it comes, however fast the file is: one that was settled before is
//! over faster than a process comes back.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use settee::trace::TraceContext;
use settee::txn::{LeaseXids, TransactionControl};
use settee::{Context, Reply};
use settee_payments::api::{Account, Notify, Payment, Transfer};
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

/// How far the file is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// Transfers that ended.
    pub(crate) ended: usize,
    /// Transfers that were handed out and have not ended.
    pub(crate) under_way: usize,
    /// Transfers that were not handed out.
    pub(crate) left: usize,
}

/// What became of all kills.
#[derive(Debug)]
pub(crate) struct Struck {
    /// What was killed.
    pub(crate) strikes: Vec<Strike>,
    /// Who was to be killed, and was not: no transfer was left to be open.
    pub(crate) spared: Vec<&'static str>,
    /// Duplicates that processes had suppressed when they were killed, and forgot with it.
    pub(crate) duplicates_forgotten: u64,
}

/// After how many ended transfers whom to kill, in order.
#[derive(Debug, Default)]
struct KillPlan(VecDeque<(usize, Role)>);

/// The kills of one demo.
pub(crate) struct Chaos<'a> {
    supervisor: &'a Supervisor,
    clients: &'a Clients,
    plan: KillPlan,
    probing: Option<Probing<'a>>,
    strikes: Vec<Strike>,
    /// Duplicates that processes had suppressed when they were killed, which they forget.
    duplicates_forgotten: u64,
}

impl<'a> Chaos<'a> {
    /// Kills spread over `transfers`; none unless `enabled`.
    pub(crate) fn new(supervisor: &'a Supervisor, clients: &'a Clients, enabled: bool, transfers: usize) -> Self {
        let plan = if enabled { KillPlan::spread(transfers) } else { KillPlan::default() };
        Self { supervisor, clients, plan, probing: None, strikes: Vec::new(), duplicates_forgotten: 0 }
    }

    /// How many further transfers may begin now.
    pub(crate) fn room(&self, course: Course) -> usize {
        self.plan.room(course, self.is_probing())
    }

    /// Whether a process that was killed is being waited for.
    pub(crate) fn is_probing(&self) -> bool {
        self.probing.is_some()
    }

    /// Whether a process is to be killed now.
    pub(crate) fn is_due(&self, ended: usize) -> bool {
        self.plan.is_due(ended) && !self.is_probing()
    }

    /// Kills the process that is due. Called while transfers are open; `order` is one that callers ask for.
    pub(crate) async fn strike(&mut self, ended: usize, order: &Transfer) -> Result<(), Failure> {
        let Some(role) = self.plan.next(ended) else { return Ok(()) };
        if role == Role::Notify {
            let counts = probe(|| self.clients.notify.counts()).await;
            self.duplicates_forgotten += counts.map_or(0, |counts| counts.duplicates_suppressed);
        }
        let killed = self.supervisor.kill(role).await?;
        tracing::info!(%role, ended, "killed");
        self.probing = Some(Box::pin(first_success(self.clients, role, order.clone(), killed)));
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

    /// What became of every kill that was asked for.
    pub(crate) fn into_struck(self) -> Struck {
        let spared = self.plan.0.iter().map(|(_, role)| role.application()).collect();
        Struck { strikes: self.strikes, spared, duplicates_forgotten: self.duplicates_forgotten }
    }
}

impl KillPlan {
    fn spread(transfers: usize) -> Self {
        let parts = VICTIMS.len() + 1;
        Self(VICTIMS.iter().enumerate().map(|(index, role)| (transfers * (index + 1) / parts, *role)).collect())
    }

    fn is_due(&self, ended: usize) -> bool {
        self.0.front().is_some_and(|(after, _)| ended >= *after)
    }

    /// Whom to kill now.
    fn next(&mut self, ended: usize) -> Option<Role> {
        if self.is_due(ended) { self.0.pop_front().map(|(_, role)| role) } else { None }
    }

    /// How many transfers may begin: all but one for each kill to come; for one that is due, just the one that it needs, and none
    /// while it waits for the process before.
    fn room(&self, course: Course, is_probing: bool) -> usize {
        match (self.is_due(course.ended), is_probing) {
            (true, true) => 0,
            (true, false) => usize::from(course.under_way == 0).min(course.left),
            (false, _) => course.left.saturating_sub(self.0.len()),
        }
    }
}

async fn first_success(clients: &Clients, role: Role, order: Transfer, killed: Instant) -> Strike {
    let give_up = killed + RECOVERY;
    let mut success = None;
    while success.is_none() && Instant::now() < give_up {
        let next = Instant::now() + PROBE_EVERY;
        success = answers(clients, role, &order).await.then(|| killed.elapsed());
        tokio::time::sleep_until(next).await;
    }
    let after_ms = success.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    Strike { killed: role.application(), first_success_after_ms: after_ms }
}

/// Whether an operation succeeds that nobody but this process can perform.
async fn answers(clients: &Clients, role: Role, order: &Transfer) -> bool {
    match role {
        Role::Server => probe(|| clients.transactions.lease(LeaseXids { count: 1 })).await.is_some(),
        // No account is behind the last character there is, so the answer is a success and empty.
        Role::Ledger(ledger) => probe(|| clients.account.list(ledger_key(ledger), char::MAX.to_string())).await.is_some(),
        // What became of an order stands in the service's book, which must be open again.
        Role::Payment => probe(|| clients.payment.known(vec![order.clone()])).await.is_some(),
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
        let plan: Vec<_> = KillPlan::spread(100).0.into_iter().map(|(after, role)| (after, role.application())).collect();
        assert_eq!(plan, [(20, "server"), (40, "account"), (60, "payment"), (80, "notify")]);
        assert_eq!(KillPlan::spread(101).0.back().unwrap().0, 80);
    }

    /// A file whose transfers all end before a process that was killed is back: how often each kill finds one open, and how many
    /// transfers end.
    fn struck(transfers: usize, concurrency: usize) -> (usize, usize) {
        let (mut plan, mut kills, mut is_probing) = (KillPlan::spread(transfers), 0, false);
        let mut course = Course { ended: 0, under_way: 0, left: transfers };
        loop {
            let begun = plan.room(course, is_probing).min(concurrency - course.under_way);
            course = Course { under_way: course.under_way + begun, left: course.left - begun, ..course };
            let is_struck = course.under_way > 0 && !is_probing && plan.next(course.ended).is_some();
            kills += usize::from(is_struck);
            is_probing |= is_struck;
            match (course.under_way, is_probing) {
                (0, false) => return (kills, course.ended),
                (0, true) => is_probing = false,
                _ => course = Course { ended: course.ended + 1, under_way: course.under_way - 1, ..course },
            }
        }
    }

    #[test]
    fn a_file_that_is_over_faster_than_a_process_comes_back_is_struck_as_often_all_the_same() {
        for transfers in [0, 1, 2, 3, 4, 5, 99, 100, 101, 200, 1_000] {
            for concurrency in [1, 2, 64, 1_024] {
                // A file that has fewer transfers than there are kills cannot give each of them one; it is settled even so.
                let expected = (VICTIMS.len().min(transfers), transfers);
                assert_eq!(struck(transfers, concurrency), expected, "{transfers}, {concurrency} at a time");
            }
        }
    }

    #[test]
    fn without_kills_nothing_is_kept_back() {
        assert_eq!(KillPlan::default().room(Course { ended: 0, under_way: 0, left: 7 }, false), 7);
    }
}
