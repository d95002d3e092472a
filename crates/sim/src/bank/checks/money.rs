//! I1: no money is made or lost, at any instant.

use std::collections::BTreeMap;

use super::Evidence;
use crate::bank::books::Ledger;
use crate::history::Violation;

fn violation(detail: impl std::fmt::Display) -> Violation {
    Violation::new("I1", detail)
}

/// At the end: the sums are what the accounts were opened with, nothing is frozen, no balance is below zero.
pub(in crate::bank) fn i1_no_money_is_made_or_lost(evidence: &Evidence) -> Vec<Violation> {
    let mut found = at_an_instant(&evidence.ledgers);
    let mut sums = BTreeMap::<&str, (i64, i64)>::new();
    for account in evidence.ledgers.iter().flat_map(|ledger| &ledger.accounts) {
        let (balance, opened) = sums.entry(&account.currency).or_default();
        *balance += account.balance;
        *opened += account.opened;
        if account.frozen != 0 {
            found.push(violation(format_args!("{} of {} are still frozen", account.frozen, account.account)));
        }
    }
    for (currency, (balance, opened)) in sums {
        if balance != opened {
            found.push(violation(format_args!("{currency}: {balance} of {opened} are there")));
        }
    }
    if evidence.accounts_opened && evidence.ledgers.iter().any(|ledger| ledger.accounts.is_empty()) {
        found.push(violation("accounts that were opened are gone"));
    }
    found
}

/// While the system runs, at one instant: each account is what its entries say, and what is free to be spent never exceeds what
/// there was. A credit may be made before its debit; the debtor's part is frozen then.
pub(in crate::bank) fn at_an_instant(ledgers: &[Ledger]) -> Vec<Violation> {
    let mut found = Vec::new();
    let (mut free, mut opened) = (BTreeMap::<&str, i64>::new(), BTreeMap::<&str, i64>::new());
    for account in ledgers.iter().flat_map(|ledger| &ledger.accounts) {
        *free.entry(&account.currency).or_default() += account.balance - account.frozen;
        *opened.entry(&account.currency).or_default() += account.opened;
        if account.balance < 0 || account.frozen < 0 || account.frozen > account.balance {
            found.push(violation(format_args!("{} has {}, {} frozen", account.account, account.balance, account.frozen)));
        }
        if account.balance != account.entered {
            let (name, balance, entered) = (&account.account, account.balance, account.entered);
            found.push(violation(format_args!("{name} has {balance}, its entries say {entered}")));
        }
    }
    for (currency, free) in free {
        if free > opened[currency] {
            found.push(violation(format_args!("{currency}: {free} can be spent, {} were there", opened[currency])));
        }
    }
    found
}
