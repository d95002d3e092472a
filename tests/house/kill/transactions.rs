//! Global transactions of two branches in a database of our own: each decision that was answered stands, and is carried out once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use settee::app::App;
use settee::error::codes;
use settee::txn::{Decision, LocalTx, TransactionControl, TransactionControlClient, Transactions as Begins, Xid};
use settee::{Error, Reply, Result, tcc};
use settee_sqlx::{Database, DatabaseOptions, Tx};
use sqlx::{Row, query};

use super::PATIENCE;
use super::verdict::Wrong;
use crate::patiently;

/// How long a transaction may stay undecided: a server that was killed is back well before.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One of so many transactions is aborted.
const ABORTS: u64 = 8;

/// Questions to the coordinator at a time.
const AT_ONCE: usize = 32;

const EFFECTS: &str = "CREATE TABLE IF NOT EXISTS effects (
        id    TEXT    NOT NULL,
        leg   INTEGER NOT NULL,
        times INTEGER NOT NULL,
        PRIMARY KEY (id, leg)
    ) WITHOUT ROWID";
/// No key stands in the way of a second effect, so that it shows.
const EFFECT: &str = "INSERT INTO effects (id, leg, times) VALUES (?1, ?2, 1) ON CONFLICT DO UPDATE SET times = times + 1";
const EFFECTS_OF: &str = "SELECT leg, times FROM effects WHERE id = ?1";
const ALL: &str = "SELECT id, COUNT(*) AS legs, MAX(times) AS times FROM effects GROUP BY id";

/// One branch: its effect is a row.
#[tcc("kill.Leg")]
pub(super) trait Leg {
    type Tx: LocalTx;
    async fn attempt(&self, tx: &mut Self::Tx, order: &Order) -> Reply<Held>;
    async fn confirm(&self, tx: &mut Self::Tx, order: &Order, held: &Held) -> Reply<()>;
    async fn cancel(&self, tx: &mut Self::Tx, order: &Order, held: &Held) -> Reply<()>;
}

/// What a branch is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    id: String,
    leg: u32,
}

/// Nothing is held: the effect comes with the confirmation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Held {}

struct Legs;

impl Leg for Legs {
    type Tx = Tx;

    async fn attempt(&self, _: &mut Tx, _: &Order) -> Reply<Held> {
        Ok(Held {})
    }

    async fn confirm(&self, tx: &mut Tx, order: &Order, _: &Held) -> Reply<()> {
        query(EFFECT).bind(&order.id).bind(order.leg).execute(tx).await?;
        Ok(())
    }

    async fn cancel(&self, _: &mut Tx, _: &Order, _: &Held) -> Reply<()> {
        Ok(())
    }
}

/// The transactions of one run. Cheap to clone.
#[derive(Clone)]
pub(super) struct Transactions(Arc<Inner>);

struct Inner {
    begins: Begins,
    control: TransactionControlClient,
    legs: LegClient,
    effects: Database,
    number: AtomicU64,
    noted: Mutex<Noted>,
}

/// Decisions that were answered: since the last check, and before.
#[derive(Default)]
struct Noted {
    fresh: Vec<Answered>,
    checked: Vec<Answered>,
}

#[derive(Clone, Debug)]
struct Answered {
    id: String,
    xid: Xid,
    decision: Decision,
}

impl Transactions {
    /// Adds the branch to `app`, with its database in `folder`.
    pub(super) async fn join(app: App, folder: &Path) -> Result<(App, Self)> {
        let effects = Database::open(folder.join("legs.db"), DatabaseOptions::default()).await?;
        let mut tx = effects.begin().await?;
        query(EFFECTS).execute(&mut tx).await.map_err(Error::internal)?;
        tx.commit().await?;
        let app = app.participate(LegServer::new(Legs, effects.clone()));
        let inner = Inner {
            begins: app.transactions(),
            control: app.control(),
            legs: app.client(),
            effects,
            number: AtomicU64::new(0),
            noted: Mutex::default(),
        };
        Ok((app, Self(Arc::new(inner))))
    }

    /// One transaction: whether its decision was answered.
    pub(super) async fn once(self) -> bool {
        let number = self.0.number.fetch_add(1, Ordering::Relaxed);
        let Some(answered) = self.0.decide(number).await else { return false };
        self.noted().fresh.push(answered);
        true
    }

    /// What is wrong with the decisions that were answered since the last time.
    pub(super) async fn check(&self) -> Vec<Wrong> {
        let fresh = std::mem::take(&mut self.noted().fresh);
        let check = |answered: Answered| async move { [self.0.stands(&answered).await, self.0.is_carried_out(&answered).await] };
        let wrong: Vec<_> = stream::iter(fresh.clone()).map(check).buffer_unordered(AT_ONCE).collect().await;
        self.noted().checked.extend(fresh);
        wrong.into_iter().flatten().flatten().collect()
    }

    /// What is wrong with all of them at the end, also with those that nobody answered: none may be half done.
    pub(super) async fn check_all(&self) -> Vec<Wrong> {
        let mut wrong = self.check().await;
        let checked = self.noted().checked.clone();
        let check = |answered: Answered| async move { self.0.stands(&answered).await };
        let again: Vec<_> = stream::iter(checked).map(check).buffer_unordered(AT_ONCE).collect().await;
        wrong.extend(again.into_iter().flatten());
        let none_open = || async { (self.0.control.stats().await.ok()?.open == 0).then_some(()) };
        if patiently(PATIENCE, none_open).await.is_none() {
            wrong.push(Wrong::Lost(format!("transactions are still open after {PATIENCE:?}")));
        }
        wrong.extend(self.0.halves().await);
        wrong
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    async fn decide(&self, number: u64) -> Option<Answered> {
        let id = format!("t-{number}");
        let transaction = self.begins.begin("kill", TIMEOUT).with_reference(&id);
        let xid = transaction.xid().await.ok()?;
        let order = |leg| Order { id: id.clone(), leg };
        let tries = tokio::join!(transaction.attempt(&self.legs, order(1)), transaction.attempt(&self.legs, order(2)));
        let (Ok(_), Ok(_)) = tries else { return None };
        let decision = if number.is_multiple_of(ABORTS) {
            transaction.abort().await.ok().map(|()| Decision::Abort)?
        } else {
            decision_of(transaction.commit().await)?
        };
        Some(Answered { id, xid, decision })
    }

    /// Whether the coordinator still says what it answered.
    async fn stands(&self, answered: &Answered) -> Option<Wrong> {
        let Answered { xid, decision, .. } = answered;
        let ask = || async {
            match self.control.show(*xid).await.map_err(Error::from) {
                Ok(view) => Some(view.decision.map(|decision| decision.decided.decision)),
                Err(error) if *error.code() == codes::NO_TRANSACTION => Some(None),
                Err(_) => None,
            }
        };
        match patiently(PATIENCE, ask).await {
            Some(Some(found)) if found == *decision => None,
            Some(found) => Some(Wrong::Lost(format!("{decision:?} of transaction {xid}: there is {found:?}"))),
            None => Some(Wrong::Lost(format!("{decision:?} of transaction {xid}: nobody can say"))),
        }
    }

    /// Whether phase two did what was decided, once.
    async fn is_carried_out(&self, answered: &Answered) -> Option<Wrong> {
        let Answered { id, xid, decision } = answered;
        if patiently(PATIENCE, || async { self.begins.end(*xid).await.ok() }).await.is_none() {
            return Some(Wrong::Lost(format!("phase two of transaction {xid}: it does not end")));
        }
        let effects = patiently(PATIENCE, || async { self.effects_of(id).await.ok() }).await.unwrap_or_default();
        judge(*decision, &effects).map(|wrong| match wrong {
            Wrong::Lost(what) => Wrong::Lost(format!("{what} of transaction {xid}")),
            Wrong::Duplicated(what) | Wrong::FailedOpen(what) => Wrong::Duplicated(format!("{what} of transaction {xid}")),
        })
    }

    async fn effects_of(&self, id: &str) -> Result<BTreeMap<u32, u32>> {
        let rows = query(EFFECTS_OF).bind(id).fetch_all(&mut self.effects.read().await?).await.map_err(Error::internal)?;
        Ok(rows.iter().map(|row| (row.get("leg"), row.get("times"))).collect())
    }

    /// Transactions of which one branch was confirmed and the other was not, or one twice.
    async fn halves(&self) -> Vec<Wrong> {
        let read = || async {
            let mut connection = self.effects.read().await.ok()?;
            query(ALL).fetch_all(&mut connection).await.ok()
        };
        let Some(rows) = patiently(PATIENCE, read).await else {
            return vec![Wrong::Lost("the effects cannot be read".to_owned())];
        };
        let judge = |id: String, legs: u32, times: u32| match (legs, times) {
            (2, 1) => None,
            (2, _) => Some(Wrong::Duplicated(format!("an effect of transaction {id}"))),
            _ => Some(Wrong::Lost(format!("one branch of transaction {id}, whose other one was confirmed"))),
        };
        rows.iter().filter_map(|row| judge(row.get("id"), row.get("legs"), row.get("times"))).collect()
    }
}

/// What a commit's answer says about the decision; `None` when it says nothing.
fn decision_of(answer: Result<()>) -> Option<Decision> {
    match answer {
        Ok(()) => Some(Decision::Commit),
        Err(error) if [codes::DECIDED_OTHERWISE, codes::BRANCH_UNKNOWN].contains(error.code()) => Some(Decision::Abort),
        Err(_) => None,
    }
}

/// What is wrong with how often the two branches took effect.
fn judge(decision: Decision, effects: &BTreeMap<u32, u32>) -> Option<Wrong> {
    let times = [1, 2].map(|leg| effects.get(&leg).copied().unwrap_or(0));
    match (decision, times) {
        (Decision::Commit, [1, 1]) | (Decision::Abort, [0, 0]) => None,
        (Decision::Abort, _) => Some(Wrong::Lost(format!("the abort ({times:?} effects)"))),
        (Decision::Commit, [0, _] | [_, 0]) => Some(Wrong::Lost(format!("an effect ({times:?})"))),
        (Decision::Commit, _) => Some(Wrong::Duplicated(format!("an effect ({times:?})"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_that_is_missing_doubled_or_not_wanted_is_told() {
        let table = [
            (Decision::Commit, [1, 1], None),
            (Decision::Abort, [0, 0], None),
            (Decision::Commit, [1, 0], Some("lost")),
            (Decision::Commit, [0, 0], Some("lost")),
            (Decision::Commit, [2, 0], Some("lost")),
            (Decision::Commit, [1, 2], Some("duplicated")),
            (Decision::Abort, [1, 0], Some("lost")),
        ];
        for (decision, times, expected) in table {
            let effects = [(1, times[0]), (2, times[1])].into_iter().filter(|(_, times)| *times > 0).collect();
            let wrong = judge(decision, &effects).map(|wrong| wrong.to_string());
            assert_eq!(wrong.as_deref().and_then(|text| text.split(':').next()), expected, "{decision:?} {times:?}");
        }
    }
}
