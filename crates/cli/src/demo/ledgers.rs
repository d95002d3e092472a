//! The ledgers as the demo sees them from outside: opens accounts, reads balances, adds sums up.

use std::collections::BTreeMap;

use settee::{Error, Reply};
use settee_core::registry::Share;
use settee_payments::api::{Account, Balance, NewAccount};

use super::clients::Clients;
use super::input::{AccountRow, AccountStatus, Currency, pointed};
use super::repeat::repeat;
use super::topology::{LEDGERS, ledger_key};
use crate::failure::Failure;

/// Accounts opened in one commit.
const OPENED_AT_ONCE: usize = 500;

/// Pages of accounts that are read at most: a billion accounts, far beyond any file.
const PAGES: usize = 1_000_000;

/// Opens the accounts that are not there yet, each in its ledger.
pub(crate) async fn open(clients: &Clients, rows: &[AccountRow]) -> Result<(), Failure> {
    for ledger in 0..LEDGERS {
        let own = |row: &&AccountRow| Share::of_key(&row.account, LEDGERS).index == ledger;
        let accounts: Vec<_> = rows.iter().filter(own).map(new_account).collect();
        for chunk in accounts.chunks(OPENED_AT_ONCE) {
            answered(repeat(clients.patience, |_| {}, || clients.account.open(ledger_key(ledger), chunk.to_vec())).await)?;
        }
    }
    Ok(())
}

/// Every account of every ledger.
pub(crate) async fn balances(clients: &Clients) -> Result<BTreeMap<String, Balance>, Failure> {
    let mut all = BTreeMap::new();
    for ledger in 0..LEDGERS {
        let mut after = String::new();
        for _ in 0..PAGES {
            let page =
                answered(repeat(clients.patience, |_| {}, || clients.account.list(ledger_key(ledger), after.clone())).await)?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.account);
            all.extend(page.into_iter().map(|balance| (balance.account.clone(), balance)));
        }
    }
    Ok(all)
}

/// What all ledgers hold together, in minor units of each currency.
pub(crate) type Sums = BTreeMap<String, i128>;

/// Adds up the ledgers.
pub(crate) async fn sums(clients: &Clients) -> Result<Sums, Failure> {
    let mut sums = Sums::new();
    for ledger in 0..LEDGERS {
        for total in answered(repeat(clients.patience, |_| {}, || clients.account.totals(ledger_key(ledger))).await)? {
            *sums.entry(total.currency).or_default() += i128::from(total.minor);
        }
    }
    Ok(sums)
}

/// Sums as people write them: with the decimals of their currency.
pub(crate) fn as_decimals(sums: &Sums) -> BTreeMap<String, String> {
    let exponent = |code: &str| Currency::parse(code).map_or(0, Currency::exponent);
    let text = |(code, minor): (&String, &i128)| (code.clone(), pointed(*minor < 0, minor.unsigned_abs(), exponent(code)));
    sums.iter().map(text).collect()
}

/// The value, or the failure that stood to the end.
pub(crate) fn answered<T>(reply: Reply<T>) -> Result<T, Failure> {
    reply.map_err(|fault| Error::from(fault).into())
}

fn new_account(row: &AccountRow) -> NewAccount {
    NewAccount {
        account: row.account.clone(),
        owner: row.owner.clone(),
        currency: row.currency.code().to_owned(),
        minor: row.opening_minor,
        closed: row.status == AccountStatus::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_and_have_the_decimals_of_their_currency() {
        let sums = Sums::from([("EUR".into(), 5), ("JPY".into(), 120), ("KWD".into(), i128::from(i64::MAX) * 2)]);
        let text = as_decimals(&sums);
        assert_eq!(text["EUR"], "0.05");
        assert_eq!(text["JPY"], "120");
        assert_eq!(text["KWD"], "18446744073709551.614");
    }
}
