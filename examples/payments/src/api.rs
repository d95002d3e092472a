//! What the services say to each other: shared with callers, no SQL.

use serde::{Deserialize, Serialize};
use settee::txn::LocalTx;
use settee::{Reply, refusal, service, tcc};

/// The topic of settled transfers.
pub const TRANSFERS: &str = "transfers";

/// The job that proves that no money was made or lost.
pub const RECONCILE: &str = "reconcile";

/// Accounts and their balances. An argument `ledger` is any account of the ledger that is meant: it leads the call there.
#[service("pay.Account")]
pub trait Account {
    /// One account.
    #[rpc(idempotent, route = "account")]
    async fn find(&self, account: String) -> Reply<Balance, Refusal>;

    /// Opens accounts that are not there yet, all in one commit. Those of other ledgers are left out. `Invalid`, and none is
    /// opened, when the ledger would hold more of a currency than [`MAX_OPENED_MINOR`](crate::money::MAX_OPENED_MINOR).
    #[rpc(idempotent, route = "ledger")]
    async fn open(&self, ledger: String, accounts: Vec<NewAccount>) -> Reply<()>;

    /// The sums of one ledger, one entry a currency.
    #[rpc(idempotent, route = "ledger")]
    async fn totals(&self, ledger: String) -> Reply<Vec<Total>>;

    /// Accounts of one ledger behind `after`, in order; at most a thousand.
    #[rpc(idempotent, route = "ledger")]
    async fn list(&self, ledger: String, after: String) -> Reply<Vec<Balance>>;
}

/// Takes money from an account: held by the try, moved by the confirm.
#[tcc("pay.Debit", route = account)]
pub trait Debit {
    type Tx: LocalTx;
    /// Freezes the amount.
    async fn attempt(&self, tx: &mut Self::Tx, order: &Leg) -> Reply<Hold, Refusal>;
    /// Takes what was frozen.
    async fn confirm(&self, tx: &mut Self::Tx, order: &Leg, hold: &Hold) -> Reply<()>;
    /// Gives back what was frozen.
    async fn cancel(&self, tx: &mut Self::Tx, order: &Leg, hold: &Hold) -> Reply<()>;
}

/// Gives money to an account: checked by the try, added by the confirm.
#[tcc("pay.Credit", route = account)]
pub trait Credit {
    type Tx: LocalTx;
    /// Checks that the account can take it.
    async fn attempt(&self, tx: &mut Self::Tx, order: &Leg) -> Reply<Hold, Refusal>;
    /// Adds the amount.
    async fn confirm(&self, tx: &mut Self::Tx, order: &Leg, hold: &Hold) -> Reply<()>;
    /// Nothing was held.
    async fn cancel(&self, tx: &mut Self::Tx, order: &Leg, hold: &Hold) -> Reply<()>;
}

/// Moves money between two accounts.
#[service("pay.Payment")]
pub trait Payment {
    /// Transfers once for each id: the same order again repeats the first outcome, another order under it is `AM05`.
    #[rpc(idempotent)]
    async fn transfer(&self, order: Transfer) -> Reply<Receipt, Refusal>;

    /// Which of these orders already have their outcome.
    #[rpc(idempotent)]
    async fn known(&self, orders: Vec<Transfer>) -> Reply<Vec<bool>>;
}

/// What the notifier has done.
#[service("pay.Notify")]
pub trait Notify {
    /// Counts.
    #[rpc(idempotent)]
    async fn counts(&self) -> Reply<Notified>;

    /// How many of these transfers were notified.
    #[rpc(idempotent)]
    async fn notified(&self, transfers: Vec<String>) -> Reply<u64>;
}

/// A transfer as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Its identity: `EndToEndId`.
    pub id: String,
    /// From.
    pub debtor: String,
    /// To.
    pub creditor: String,
    /// The amount as written, such as `12.50`.
    pub amount: String,
    /// The currency's ISO 4217 code.
    pub currency: String,
    /// What the creditor reads.
    pub text: String,
}

/// One side of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// The transfer.
    pub transfer: String,
    /// The account of this side.
    pub account: String,
    /// Minor units.
    pub minor: i64,
    /// The currency's ISO 4217 code.
    pub currency: String,
}

/// What a try holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Minor units.
    pub minor: i64,
}

/// A transfer that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The transfer.
    pub transfer: String,
    /// The global transaction that made it.
    pub xid: String,
}

/// The message about a transfer that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The transfer.
    pub transfer: String,
    /// The account that paid.
    pub debtor: String,
    /// Minor units.
    pub minor: i64,
    /// The currency's ISO 4217 code.
    pub currency: String,
}

/// An account to be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAccount {
    /// The account.
    pub account: String,
    /// Whose it is.
    pub owner: String,
    /// The currency's ISO 4217 code.
    pub currency: String,
    /// What it starts with, in minor units.
    pub minor: i64,
    /// Whether it is closed.
    pub closed: bool,
}

/// An account's balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The account.
    pub account: String,
    /// The currency's ISO 4217 code.
    pub currency: String,
    /// Minor units, those that are frozen included.
    pub minor: i64,
    /// Minor units that are frozen.
    pub frozen_minor: i64,
    /// Whether it is closed.
    pub closed: bool,
}

/// The sum of a ledger in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// The currency's ISO 4217 code.
    pub currency: String,
    /// Minor units, those that are frozen included.
    pub minor: i64,
    /// Minor units that are frozen.
    pub frozen_minor: i64,
    /// Minor units with which the accounts were opened.
    pub opened_minor: i64,
}

/// What the notifier has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notified {
    /// Rows in its table.
    pub rows: u64,
    /// Messages that came again and changed nothing, since the process started.
    pub duplicates_suppressed: u64,
}

/// Why a transfer is refused: ISO 20022 external status reason codes.
#[refusal]
pub enum Refusal {
    /// The id was used for another transfer.
    #[code("AM05")]
    DuplicateId,
    /// The amount is zero.
    #[code("AM01")]
    ZeroAmount,
    /// The amount is negative, or has more decimals than its currency.
    #[code("AM12")]
    InvalidAmount,
    /// There is no such account.
    #[code("AC01")]
    UnknownAccount,
    /// The account is closed.
    #[code("AC04")]
    ClosedAccount,
    /// Debtor and creditor are one account.
    #[code("AG01")]
    SameAccount,
    /// The account has another currency.
    #[code("AM03")]
    OtherCurrency,
    /// The debtor has too little.
    #[code("AM04")]
    InsufficientFunds,
    /// The creditor's account cannot hold so much.
    #[code("AM02")]
    TooLarge,
}

impl Refusal {
    /// The place of this reason among those that apply to one transfer: the first is the one that is given.
    #[must_use]
    pub fn rank(&self) -> u8 {
        match self {
            Self::DuplicateId => 0,
            Self::ZeroAmount => 1,
            Self::InvalidAmount => 2,
            Self::UnknownAccount => 3,
            Self::ClosedAccount => 4,
            Self::SameAccount => 5,
            Self::OtherCurrency => 6,
            Self::InsufficientFunds => 7,
            Self::TooLarge => 8,
        }
    }
}

impl Transfer {
    /// The debtor's side, of `minor` units.
    #[must_use]
    pub fn debit(&self, minor: i64) -> Leg {
        self.leg(&self.debtor, minor)
    }

    /// The creditor's side, of `minor` units.
    #[must_use]
    pub fn credit(&self, minor: i64) -> Leg {
        self.leg(&self.creditor, minor)
    }

    fn leg(&self, account: &str, minor: i64) -> Leg {
        Leg { transfer: self.id.clone(), account: account.to_owned(), minor, currency: self.currency.clone() }
    }
}
