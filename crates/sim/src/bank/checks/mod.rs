//! What must hold of the bank when a seed is over, one file for each group of invariants.
//!
//! Each check is a function of what the nodes noted, what the databases hold and what the server answers; it returns what does
//! not hold. Evidence is gathered once, by an observer, while the healed system runs.

pub(super) mod bounds;
pub(super) mod calls;
pub(super) mod limits;
pub(super) mod messages;
pub(super) mod money;
pub(super) mod registry;
pub(super) mod runs;
pub(super) mod store;
pub(super) mod transfers;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use settee::job::JobControlClient;
use settee::job::control::{ListRuns, RunView};
use settee::mq::control::{DeadLetter, DeadLetterQuery, TopicView};
use settee::mq::{MessageControl, MessageControlClient};
use settee::rpc::{Channels, StaticInstances};
use settee::trace::Tracer;
use settee::txn::{ListTransactions, State, TransactionStats, TransactionSummary, TransactionView};
use settee::txn::{TransactionControl, TransactionControlClient};
use settee::{Certainty, Error, Reply};
use settee_payments::api::{RECONCILE, TRANSFERS};
use settee_payments::notify;

use super::books::{self, Ledger};
use super::desk::Served;
use super::journal::Order;
use super::letters::{self, Known};
use super::runs::{BEAT, Fired, ONCE, TIDY};
use super::stage::{Stage, call_context, sleep_between};
use super::till::Coin;
use crate::history::Violation;
use crate::run::Checks;
use crate::world::World;

/// How often the observer asks before it says that nobody answers.
const ASKS: usize = 5;

/// Entries of a page that is asked for.
const PAGE: u32 = 500;

/// Everything that the checks look at.
pub(super) struct Evidence {
    pub(super) orders: BTreeMap<String, Order>,
    pub(super) errands: BTreeMap<String, Result<(), Certainty>>,
    pub(super) accounts_opened: bool,
    pub(super) ledgers: Vec<Ledger>,
    pub(super) outcomes: BTreeMap<String, String>,
    pub(super) notifications: Vec<String>,
    pub(super) stats: TransactionStats,
    pub(super) transactions: Vec<TransactionSummary>,
    /// Those that were aborted, with their branches.
    pub(super) aborted: Vec<TransactionView>,
    pub(super) letters: Known,
    pub(super) topics: Vec<TopicView>,
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) dead_transfers: Vec<DeadLetter>,
    pub(super) firings: Fired,
    pub(super) coins: BTreeMap<u64, Coin>,
    pub(super) desk: Served,
    pub(super) runs: BTreeMap<&'static str, Vec<RunView>>,
}

/// The checks of one seed.
pub(super) struct Bank(pub(super) Arc<Stage>);

impl Drop for Bank {
    fn drop(&mut self) {
        self.0.folder.give_back();
    }
}

impl Checks for Bank {
    fn invariants<'a>(&'a mut self, world: &'a World) -> Pin<Box<dyn Future<Output = Vec<Violation>> + 'a>> {
        Box::pin(async move {
            let evidence = match gather(&self.0).await {
                Ok(evidence) => evidence,
                Err(error) => {
                    // Why it does not: most often its store.
                    let mut found = store::i15_the_store_opens_after_every_crash(&self.0);
                    found.push(Violation::new("liveness", format_args!("the healed system does not answer: {error}")));
                    return found;
                }
            };
            count(world, &evidence);
            let held = [
                money::i1_no_money_is_made_or_lost(&evidence),
                transfers::i2_every_transaction_ends_everywhere_alike(&evidence),
                transfers::i16_what_was_told_is_true(&evidence),
                messages::i3_no_acknowledged_message_is_lost(&evidence),
                messages::i4_no_effect_is_invented_or_repeated(&evidence),
                messages::i5_effects_of_a_key_keep_their_order(&evidence),
                runs::i6_every_run_has_one_effect(&self.0, &evidence),
                runs::i7_tokens_never_go_backwards(&self.0, &evidence),
                limits::i9_limits_hold_and_let_go(world, &evidence),
                calls::i10_calls_happen_once_and_are_answered(world, &evidence),
                registry::i8_every_client_knows_every_instance(&self.0),
                store::i15_the_store_opens_after_every_crash(&self.0),
            ];
            held.into_iter().flatten().collect()
        })
    }
}

async fn gather(stage: &Stage) -> Result<Evidence, Error> {
    let channels = Channels::new(Arc::new(StaticInstances::new().otherwise([stage.server])), Tracer::off());
    let transactions = channels.client::<TransactionControlClient>();
    let messages = channels.client::<MessageControlClient>();
    let jobs = channels.client::<JobControlClient>();
    let mut runs = BTreeMap::new();
    for job in [BEAT, TIDY, ONCE, RECONCILE] {
        let list = ListRuns { job: job.to_owned(), limit: PAGE };
        runs.insert(job, ask(async || jobs.runs(list.clone()).await).await?);
    }
    let ledger = |name| books::Reader::of(stage.database(name)).ledger_and_fences().map_err(Error::internal);
    let all = all_transactions(&transactions).await?;
    let mut aborted = Vec::new();
    for one in all.iter().filter(|one| one.state == State::Aborted) {
        aborted.push(ask(async || transactions.show(one.xid).await).await?);
    }
    Ok(Evidence {
        stats: ask(async || transactions.stats().await).await?,
        transactions: all,
        aborted,
        topics: ask(async || messages.topics().await).await?,
        dead_letters: dead(&messages, letters::TOPIC, letters::GROUP).await?,
        dead_transfers: dead(&messages, TRANSFERS, notify::GROUP).await?,
        runs,
        ledgers: vec![ledger("account-1")?, ledger("account-2")?],
        outcomes: books::outcomes(&stage.database("payment")).map_err(Error::internal)?,
        notifications: books::notifications(&stage.database("notify")).map_err(Error::internal)?,
        orders: stage.journal.orders(),
        errands: stage.journal.errands(),
        accounts_opened: stage.journal.are_accounts_open(),
        letters: stage.letters.known(),
        firings: stage.firings.notes(),
        coins: stage.coins.all(),
        desk: stage.desk.notes(),
    })
}

async fn ask<T>(call: impl AsyncFn() -> Reply<T>) -> Result<T, Error> {
    let mut answer = call_context().scope(call()).await;
    for _ in 1..ASKS {
        if answer.is_ok() {
            break;
        }
        sleep_between(100, 500).await;
        answer = call_context().scope(call()).await;
    }
    Ok(answer?)
}

async fn all_transactions(control: &TransactionControlClient) -> Result<Vec<TransactionSummary>, Error> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let request = ListTransactions { after, limit: PAGE, ..ListTransactions::default() };
        let page = ask(async || control.list(request.clone()).await).await?;
        all.extend(page.transactions);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

async fn dead(control: &MessageControlClient, topic: &str, group: &str) -> Result<Vec<DeadLetter>, Error> {
    let query = DeadLetterQuery { topic: topic.to_owned(), group: group.to_owned(), after: None, limit: PAGE };
    match ask(async || control.dead_letters(query.clone()).await).await {
        Err(error) if error.kind() == settee::ErrorKind::NotFound => Ok(Vec::new()),
        dead => dead,
    }
}

/// The end states that this seed reached.
fn count(world: &World, evidence: &Evidence) {
    use settee::txn::Cause;
    for transaction in &evidence.transactions {
        world.reached(match (transaction.state, transaction.cause) {
            (State::Committed, _) => "transaction committed",
            (_, Some(Cause::Application)) => "transaction aborted by its application",
            (_, Some(Cause::Deadline)) => "transaction aborted by its deadline",
            (_, Some(Cause::BranchUnknown)) => "transaction aborted for an unknown branch",
            (_, Some(Cause::Presumed)) => "transaction presumed aborted",
            _ => "transaction ended otherwise",
        });
    }
    evidence.dead_letters.iter().for_each(|_| world.reached("dead letter"));
    let repeated = evidence.letters.effects.len().saturating_sub(evidence.letters.effects.iter().collect::<BTreeSet<_>>().len());
    (0..repeated).for_each(|_| world.reached("effect repeated without an inbox"));
}
