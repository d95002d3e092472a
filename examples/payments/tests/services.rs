//! The services of this example in one process: real handlers, branches and consumers, real SQLite; no sockets, and a clock that
//! the test advances.

use std::path::Path;
use std::time::Duration;

use settee::app::{App, Running};
use settee::config::Settings;
use settee::mq::{Outgoing, Producer};
use settee::testing::System;
use settee::txn::{SWEEP_EVERY, SWEEP_GRACE};
use settee_payments::api::{
    Account, AccountClient, DebitClient, Leg, NewAccount, Notified, Notify, NotifyClient, Payment, PaymentClient, Refusal,
    Settled, TRANSFERS, Transfer,
};
use settee_payments::{account, notify, payment};
use settee_sqlx::DatabaseOptions;
use tempfile::TempDir;

/// The accounts: one of each ledger.
const ADA: &str = "A-1";
const BEN: &str = "A-2";

/// The services, and a caller of them.
struct Bank {
    caller: App,
    accounts: AccountClient,
    payments: PaymentClient,
    notifications: NotifyClient,
    _running: Vec<Running>,
    _folder: TempDir,
}

impl Bank {
    /// Two ledgers with 100 francs on an account each, a payment and a notify service.
    async fn start(system: &System) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut running = Vec::new();
        for share in ["0/2", "1/2"] {
            running.push(system.start(ledger(folder.path(), share).await).await);
        }
        let payment = payment::Config { database: folder.path().join("payment.db") };
        let payment = payment::service(app("payment"), &payment, DatabaseOptions::default()).await.unwrap();
        running.push(system.start(payment).await);
        let notify = notify::Config { database: folder.path().join("notify.db") };
        let notify = notify::service(app("notify"), &notify, DatabaseOptions::default()).await.unwrap();
        running.push(system.start(notify).await);

        let caller = app("test");
        let (accounts, payments, notifications) = (caller.client(), caller.client(), caller.client());
        let bank = Self { caller, accounts, payments, notifications, _running: running, _folder: folder };
        for account in [ADA, BEN] {
            bank.accounts.open(account.into(), vec![with_100_francs(account)]).await.unwrap();
        }
        bank
    }

    /// What an account has in minor units, and what of it is frozen.
    async fn balance(&self, account: &str) -> (i64, i64) {
        let balance = self.accounts.find(account.into()).await.unwrap();
        (balance.minor, balance.frozen_minor)
    }

    async fn notified(&self) -> Notified {
        self.notifications.counts().await.unwrap()
    }
}

fn app(name: &str) -> App {
    App::new(name, Settings::default()).unwrap()
}

async fn ledger(folder: &Path, share: &str) -> App {
    let settings = Settings { share: Some(share.into()), ..Settings::default() };
    let config = account::Config { database: folder.join(format!("ledger-{}.db", share.replace('/', "-of-"))) };
    account::service(App::new("account", settings).unwrap(), &config, DatabaseOptions::default()).await.unwrap()
}

fn with_100_francs(account: &str) -> NewAccount {
    NewAccount { account: account.into(), owner: "somebody".into(), currency: "CHF".into(), minor: 10_000, closed: false }
}

fn transfer(id: &str, amount: &str) -> Transfer {
    let (debtor, creditor, currency, text) = (ADA.into(), BEN.into(), "CHF".into(), "rent".into());
    Transfer { id: id.into(), debtor, creditor, amount: amount.into(), currency, text }
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_is_ordered_twice_moves_money_once_and_is_told_once() {
    System::run(async |system| {
        let bank = Bank::start(&system).await;
        let receipt = bank.payments.transfer(transfer("t-1", "12.50")).await.unwrap();
        assert_eq!(bank.payments.transfer(transfer("t-1", "12.50")).await.unwrap(), receipt);
        system.settled().await;
        assert_eq!((bank.balance(ADA).await, bank.balance(BEN).await), ((8_750, 0), (11_250, 0)));
        assert_eq!(bank.notified().await, Notified { rows: 1, duplicates_suppressed: 0 });
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_transfer_moves_nothing_and_tells_nobody() {
    System::run(async |system| {
        let bank = Bank::start(&system).await;
        let refused = bank.payments.transfer(transfer("t-1", "100.01")).await.unwrap_err();
        assert_eq!(refused.refusal(), Some(&Refusal::InsufficientFunds));
        system.settled().await;
        assert_eq!((bank.balance(ADA).await, bank.balance(BEN).await), ((10_000, 0), (10_000, 0)));
        assert_eq!(bank.notified().await.rows, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn money_that_nobody_decides_about_is_free_again_soon_after_the_deadline() {
    System::run(async |system| {
        let bank = Bank::start(&system).await;
        let forgotten = bank.caller.transactions().begin("transfer", Duration::from_secs(5));
        let leg = Leg { transfer: "t-1".into(), account: ADA.into(), minor: 3_000, currency: "CHF".into() };
        forgotten.attempt(&bank.caller.client::<DebitClient>(), leg).await.unwrap();
        system.advance(Duration::from_secs(4)).await;
        assert_eq!(bank.balance(ADA).await, (10_000, 3_000));
        system.advance(Duration::from_secs(1) + SWEEP_GRACE + 2 * SWEEP_EVERY).await;
        assert_eq!(bank.balance(ADA).await, (10_000, 0));
        assert!(forgotten.commit().await.is_err(), "it was aborted");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_published_twice_is_notified_once() {
    System::run(async |system| {
        let bank = Bank::start(&system).await;
        let settled = Settled { transfer: "t-1".into(), debtor: ADA.into(), minor: 1_250, currency: "CHF".into() };
        let message = Outgoing::encode("t-1", &settled).unwrap();
        for relay in ["first", "second"] {
            let producer = Producer::open(&bank.caller.messages(), relay).await.unwrap();
            producer.send(TRANSFERS, message.clone()).await.unwrap();
        }
        system.settled().await;
        assert_eq!(bank.notified().await, Notified { rows: 1, duplicates_suppressed: 1 });
    })
    .await;
}
