//! The two files of the demo as CSV: transfers and accounts.

use std::path::Path;

use settee_cli::input::{AccountRow, parse_accounts, write_accounts};

use crate::transfers;

/// Checks one input.
///
/// # Panics
/// When something does not hold.
pub fn one(input: &[u8]) {
    transfers::check(input);
    match transfers::BUDGET.spend(input.len(), || parse_accounts(Path::new("input"), input)) {
        Ok(accounts) => written_again(&accounts),
        Err(problems) => transfers::refused(&problems, input),
    }
}

fn written_again(accounts: &[AccountRow]) {
    let mut csv = Vec::new();
    write_accounts(&mut csv, accounts).expect("a vector takes everything");
    assert_eq!(parse_accounts(Path::new("again"), &csv).as_deref(), Ok(accounts));
}
