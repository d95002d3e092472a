//! The bank's customers: they open accounts, order transfers under unique ids, and repeat what failed, or do not come back.

use std::sync::Arc;
use std::time::Duration;

use settee::Timestamp;
use settee::app::App;
use settee_core::env;
use settee_core::registry::Share;
use settee_payments::api::{Account, AccountClient, NewAccount, Notify, NotifyClient, Payment, PaymentClient, Transfer};
use tokio::time::sleep;

use super::journal::Told;
use super::stage::{Stage, call_context, sleep_between};
use super::{agency, desk, impostor, letters, runs, till};
use crate::faults::SAFETY;
use crate::node::Boot;

/// Shares of the ledger.
pub(super) const SHARES: u32 = 2;

/// Accounts, the last two in another currency; one more is closed.
const ACCOUNTS: usize = 12;
const CLOSED: &str = "acc-closed";

/// What an account starts with, in minor units.
const OPENED: i64 = 20_000;

/// Customers that order at a time.
const CUSTOMERS: usize = 4;

/// One in so many orders is abandoned after its first call.
const ABANDONED: usize = 3;

/// Calls for one order during the safety phase.
const CALLS: usize = 4;

/// Between two looks at the notify service.
const COUNT_EVERY: Duration = Duration::from_secs(2);

/// Before the end of the safety phase, new orders end.
const LAST_ORDERS: Duration = Duration::from_secs(3);

/// The program of the customers' node.
pub(super) async fn run(stage: Arc<Stage>, boot: Boot) {
    let app = App::new("bank", stage.settings(boot, None)).expect("the settings of the bank are right");
    let (accounts, payments, messages) = (app.client::<AccountClient>(), app.client::<PaymentClient>(), app.messages());
    let (jobs, broker, rules) = (app.control(), app.control(), app.control());
    let (till, desk, agency, transactions) = (app.client(), app.client(), app.client(), app.transactions());
    env::spawn(count_duplicates(stage.clone(), app.client()));
    let _running = app.start().await.expect("the bank's node listens");
    open(&stage, &accounts).await;
    for customer in 0..CUSTOMERS {
        env::spawn(order(stage.clone(), payments.clone(), customer));
    }
    letters::write(&stage, &messages);
    env::spawn(runs::trigger(stage.clone(), jobs));
    env::spawn(impostor::interfere(stage.clone(), broker));
    env::spawn(till::ring(stage.clone(), till));
    env::spawn(agency::send(stage.clone(), agency, transactions));
    env::spawn(desk::visit(stage.clone(), desk, rules));
    std::future::pending::<()>().await;
}

/// Messages that came again and had no effect, as the notify service counts them in each of its lives.
async fn count_duplicates(stage: Arc<Stage>, notify: NotifyClient) {
    let mut before = 0;
    loop {
        tokio::time::sleep(COUNT_EVERY).await;
        let Ok(counts) = call_context().scope(notify.counts()).await else { continue };
        let now = counts.duplicates_suppressed;
        (before.min(now)..now).for_each(|_| stage.world.reached("duplicate suppressed"));
        before = now;
    }
}

fn name(account: usize) -> String {
    format!("acc-{account:02}")
}

fn currency(account: usize) -> &'static str {
    if account + 2 < ACCOUNTS { "EUR" } else { "CHF" }
}

async fn open(stage: &Stage, client: &AccountClient) {
    let new = |account: String, currency: &str, closed| NewAccount {
        owner: account.clone(),
        account,
        currency: currency.to_owned(),
        minor: OPENED,
        closed,
    };
    let mut all: Vec<_> = (0..ACCOUNTS).map(|account| new(name(account), currency(account), false)).collect();
    all.push(new(CLOSED.to_owned(), "EUR", true));
    for index in 0..SHARES {
        let share = Share { index, of: SHARES };
        let held: Vec<_> = all.iter().filter(|account| share.holds(&account.account)).cloned().collect();
        let Some(ledger) = held.first().map(|first| first.account.clone()) else { continue };
        while call_context().scope(client.open(ledger.clone(), held.clone())).await.is_err() {
            sleep_between(100, 500).await;
        }
    }
    stage.journal.accounts_are_open();
    stage.world.record("accounts opened", "");
}

async fn order(stage: Arc<Stage>, payments: PaymentClient, customer: usize) {
    let mut number = 0;
    while stage.world.elapsed() + LAST_ORDERS < SAFETY {
        sleep_between(100, 2_500).await;
        number += 1;
        let transfer = draw(format!("t-{customer}-{number}"));
        let is_abandoned = env::random_below(ABANDONED) == 0;
        stage.journal.enter(transfer.clone(), is_abandoned);
        let calls = if is_abandoned { 1 } else { CALLS };
        insist(&stage, &payments, &transfer, calls).await;
    }
    sleep(SAFETY.saturating_sub(stage.world.elapsed())).await;
    let mine = format!("t-{customer}-");
    for (id, order) in stage.journal.orders().into_iter().filter(|(id, _)| id.starts_with(&mine)) {
        if !order.is_abandoned && order.outcome().is_none() {
            stage.world.reached("order repeated after healing");
            stage.world.record("repeat", &id);
            insist(&stage, &payments, &order.transfer, usize::MAX).await;
        }
    }
}

/// Calls until there is an outcome, or `calls` times.
async fn insist(stage: &Stage, payments: &PaymentClient, transfer: &Transfer, calls: usize) {
    for _ in 0..calls {
        stage.journal.calls(&transfer.id);
        let answer = call_context().scope(payments.transfer(transfer.clone())).await;
        let told = Told::of(&answer);
        if let Err(fault) = &answer {
            stage.world.record("no receipt", format_args!("{} {fault}", transfer.id));
        }
        stage.world.reached(told.name());
        stage.world.record("told", format_args!("{} {told:?}", transfer.id));
        let is_final = told.is_final();
        stage.journal.told(&transfer.id, told);
        if is_final {
            return;
        }
        sleep_between(50, 1_500).await;
    }
}

/// Mostly a transfer that can be made; now and then one that must be refused.
pub(super) fn draw(id: String) -> Transfer {
    let pick = |bound| env::random_below(bound);
    let (debtor, creditor) = (pick(ACCOUNTS - 2), pick(ACCOUNTS - 2));
    let mut transfer = Transfer {
        id,
        debtor: name(debtor),
        creditor: name(if creditor == debtor { (creditor + 1) % (ACCOUNTS - 2) } else { creditor }),
        amount: format!("{}.{:02}", pick(60), 1 + pick(99)),
        currency: "EUR".to_owned(),
        text: String::new(),
    };
    match pick(24) {
        0 => transfer.amount = "100000".to_owned(),
        1 => transfer.creditor = "acc-nobody".to_owned(),
        2 => transfer.creditor = CLOSED.to_owned(),
        3 => transfer.creditor = name(ACCOUNTS - 1),
        _ => {}
    }
    transfer
}

/// A due time some seconds from now, in whole milliseconds as the control plane keeps it.
pub(super) fn due_in(wait: Duration) -> Timestamp {
    env::wall_clock().after(wait)
}
