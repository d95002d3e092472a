//! The order keeper: hands transfers out concurrently, so that every outcome is the one of processing the file line by line.
//!
//! Only "insufficient funds" depends on order. For each account the keeper knows a lower bound of what is available: what the
//! ledger said at the start, less every debit handed out, plus every credit that ended accepted. Then
//!
//! ```text
//! the bound covers the debit            -> accepted in any order: goes at once
//! it does not, earlier touches are open -> waits: an earlier credit may still cover it
//! it does not, nothing earlier is open  -> goes, and the ledger decides
//! ```
//! A debit that waits, or that the ledger has yet to decide, is *undecided*: nothing later touches its account, neither a debit
//! that could take its money nor a credit that would make it accepted. Waiting is always for something earlier, so it ends.

use std::collections::{BTreeSet, VecDeque};

/// Transfers that wait at most before no further ones are looked at: bounds memory, and is far above any useful concurrency.
const WINDOW: usize = 4_096;

/// What a transfer does if it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Movement {
    /// The account that pays, by its number in [`OrderKeeper::new`].
    pub(crate) debtor: usize,
    /// The account that is paid; another one.
    pub(crate) creditor: usize,
    /// How much, above zero.
    pub(crate) minor: i64,
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The money moved.
    Accepted,
    /// It did not, and will not.
    Rejected,
    /// Nobody could tell: it counts as debited and never as credited.
    Unknown,
}

/// Which transfers may be under way. Transfers are named by their place in the file, from 0.
#[derive(Debug)]
pub(crate) struct OrderKeeper {
    /// `None`: moves nothing whatever becomes of it, so its order does not matter.
    movements: Vec<Option<Movement>>,
    accounts: Vec<Account>,
    /// How many were looked at.
    seen: usize,
    waiting: usize,
    ready: VecDeque<usize>,
}

#[derive(Debug, Default)]
struct Account {
    /// What is available at least; wider than an amount, since a debit that the ledger refuses is subtracted too.
    bound: i128,
    /// Not yet handed out, in either role.
    waiting: BTreeSet<usize>,
    /// Not yet ended, in either role.
    open: BTreeSet<usize>,
    /// Debits that wait or that the ledger decides.
    undecided: BTreeSet<usize>,
}

impl OrderKeeper {
    /// A keeper for a file, over accounts of which `available` minor units are there to be taken.
    pub(crate) fn new(available: &[i64], movements: Vec<Option<Movement>>) -> Self {
        let account = |minor: &i64| Account { bound: i128::from(*minor), ..Account::default() };
        let accounts = available.iter().map(account).collect();
        Self { movements, accounts, seen: 0, waiting: 0, ready: VecDeque::new() }
    }

    /// A transfer that may go now. It is under way until [`OrderKeeper::ended`] is told; `None`: not before something ends.
    pub(crate) fn next(&mut self) -> Option<usize> {
        if let Some(ready) = self.ready.pop_front() {
            return Some(ready);
        }
        while self.waiting < WINDOW && self.seen < self.movements.len() {
            let transfer = self.seen;
            self.seen += 1;
            let Some(movement) = self.movements[transfer] else { return Some(transfer) };
            self.enter(transfer, movement);
            if self.try_release(transfer, movement) {
                return Some(transfer);
            }
        }
        None
    }

    /// Takes note of how a transfer ended, which may let others go.
    pub(crate) fn ended(&mut self, transfer: usize, how: Ended) {
        let Some(movement) = self.movements[transfer] else { return };
        let Movement { debtor, creditor, minor } = movement;
        match how {
            Ended::Accepted => self.accounts[creditor].bound += i128::from(minor),
            Ended::Rejected => self.accounts[debtor].bound += i128::from(minor),
            Ended::Unknown => {}
        }
        self.accounts[debtor].undecided.remove(&transfer);
        for account in [debtor, creditor] {
            self.accounts[account].open.remove(&transfer);
        }
        self.release_at(vec![debtor, creditor]);
    }

    fn enter(&mut self, transfer: usize, movement: Movement) {
        self.waiting += 1;
        self.accounts[movement.debtor].undecided.insert(transfer);
        for account in [movement.debtor, movement.creditor] {
            self.accounts[account].open.insert(transfer);
            self.accounts[account].waiting.insert(transfer);
        }
    }

    /// Lets go what can go now at accounts where something changed, and where that changes something in turn.
    fn release_at(&mut self, mut changed: Vec<usize>) {
        while let Some(account) = changed.pop() {
            let candidates: Vec<_> = self.candidates(account).collect();
            for transfer in candidates {
                let Some(movement) = self.movements[transfer] else { continue };
                if self.try_release(transfer, movement) {
                    self.ready.push_back(transfer);
                    changed.extend([movement.debtor, movement.creditor]);
                }
            }
        }
    }

    /// What waits at an account, up to and with the first undecided debit: nothing behind that can go before it.
    fn candidates(&self, account: usize) -> impl Iterator<Item = usize> + '_ {
        let account = &self.accounts[account];
        let first = account.undecided.first().copied().unwrap_or(usize::MAX);
        account.waiting.range(..=first).copied()
    }

    /// Hands a waiting transfer out if it may go.
    fn try_release(&mut self, transfer: usize, movement: Movement) -> bool {
        let Movement { debtor, creditor, minor } = movement;
        let free = |account: &Account| account.undecided.first().is_none_or(|first| *first >= transfer);
        if !free(&self.accounts[debtor]) || !free(&self.accounts[creditor]) {
            return false;
        }
        let covered = self.accounts[debtor].bound >= i128::from(minor);
        if !covered && self.accounts[debtor].open.first() != Some(&transfer) {
            return false;
        }
        self.waiting -= 1;
        for account in [debtor, creditor] {
            self.accounts[account].waiting.remove(&transfer);
        }
        let payer = &mut self.accounts[debtor];
        payer.bound -= i128::from(minor);
        if covered {
            payer.undecided.remove(&transfer);
        }
        true
    }
}

#[cfg(test)]
#[path = "order_test.rs"]
mod tests;
