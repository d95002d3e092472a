//! What the bank's customers asked for and what they were told: the outside view against which everything is judged.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use settee::{Certainty, Fault};
use settee_payments::api::{Receipt, Refusal, Transfer};

/// What a customer was told of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It was made, by this global transaction.
    Settled(String),
    /// It was refused for ever.
    Refused(String),
    /// It certainly did not happen.
    NotDone,
    /// Nobody can tell.
    Unknown,
}

impl Told {
    pub(super) fn of(answer: &Result<Receipt, Fault<Refusal>>) -> Self {
        match answer {
            Ok(receipt) => Self::Settled(receipt.xid.clone()),
            Err(Fault::Refused(refusal)) => Self::Refused(format!("{refusal:?}")),
            Err(Fault::Failed(error)) if error.certainty() == Certainty::NotDone => Self::NotDone,
            Err(Fault::Failed(_)) => Self::Unknown,
        }
    }

    /// Whether it is an outcome.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Settled(_) | Self::Refused(_))
    }

    /// The name in the counters.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Settled(_) => "transfer settled",
            Self::Refused(_) => "transfer refused",
            Self::NotDone => "transfer told not done",
            Self::Unknown => "transfer told unknown",
        }
    }
}

/// One order.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) transfer: Transfer,
    /// Whether its customer does not come back for an answer.
    pub(super) is_abandoned: bool,
    /// Calls that were made, answered or not.
    pub(super) calls: usize,
    pub(super) told: Vec<Told>,
}

impl Order {
    /// The outcome, once the customer knows it.
    pub(super) fn outcome(&self) -> Option<&Told> {
        self.told.iter().find(|told| told.is_final())
    }
}

/// All orders, by id.
#[derive(Default)]
pub(super) struct Journal(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    orders: BTreeMap<String, Order>,
    errands: BTreeMap<String, Result<(), Certainty>>,
    accounts_opened: bool,
}

impl Journal {
    pub(super) fn enter(&self, transfer: Transfer, is_abandoned: bool) {
        let order = Order { transfer: transfer.clone(), is_abandoned, calls: 0, told: Vec::new() };
        self.0.lock().orders.insert(transfer.id, order);
    }

    pub(super) fn calls(&self, id: &str) {
        if let Some(order) = self.0.lock().orders.get_mut(id) {
            order.calls += 1;
        }
    }

    pub(super) fn told(&self, id: &str, told: Told) {
        if let Some(order) = self.0.lock().orders.get_mut(id) {
            order.told.push(told);
        }
    }

    /// Whoever sent an errand was told that it was made, or how certain it is that it was not.
    pub(super) fn errand_ended(&self, id: String, told: Result<(), Certainty>) {
        self.0.lock().errands.insert(id, told);
    }

    pub(super) fn errands(&self) -> BTreeMap<String, Result<(), Certainty>> {
        self.0.lock().errands.clone()
    }

    pub(super) fn accounts_are_open(&self) {
        self.0.lock().accounts_opened = true;
    }

    pub(super) fn are_accounts_open(&self) -> bool {
        self.0.lock().accounts_opened
    }

    pub(super) fn orders(&self) -> BTreeMap<String, Order> {
        self.0.lock().orders.clone()
    }
}
