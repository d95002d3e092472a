//! Accounts as CSV: `account,owner,currency,opening_balance,status`.

use std::collections::BTreeMap;

use super::csv_file::{self, Record};
use super::money::{Currency, MAX_OPENED_MINOR, Money};
use super::problem::{Findings, Problem, Problems, quoted};
use super::source::{Source, check_id, check_text};
use super::transfers::{parse_amount, parse_currency};

/// The columns, in order.
pub(super) const HEADER: [&str; 5] = ["account", "owner", "currency", "opening_balance", "status"];

/// One account as the ledger shall open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// Account number, unique within the file.
    pub account: String,
    /// Who owns it; may be empty.
    pub owner: String,
    /// The one currency it holds.
    pub currency: Currency,
    /// Opening balance in minor units of `currency`, never negative.
    pub opening_minor: i64,
    /// Whether it takes part in transfers.
    pub status: AccountStatus,
}

/// Whether an account takes part in transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// Gives and takes.
    Open,
    /// Refuses both sides of a transfer, whatever its balance.
    Closed,
}

impl AccountStatus {
    /// `open` or `closed`, as in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Closed].into_iter().find(|status| status.as_str() == text)
    }
}

pub(super) fn parse(source: &Source<'_>) -> Result<Vec<AccountRow>, Problems> {
    let mut findings = Findings::default();
    let mut rows = Vec::new();
    let mut first_lines = BTreeMap::new();
    let mut opened = Opened::default();
    csv_file::read(source, &HEADER, &mut findings, |record, findings| {
        if let Some(first) = first_lines.insert(record.field(0).to_owned(), record.line) {
            let account = quoted(record.field(0));
            findings.add(Problem::at(record.line, format!("account {account} was already on line {first}")));
        }
        match row(&record).and_then(|row| opened.with(row)) {
            Ok(row) => rows.push(row),
            Err(reason) => findings.add(Problem::at(record.line, reason)),
        }
    });
    if findings.is_empty() && rows.is_empty() {
        findings.add(Problem::whole("no accounts"));
    }
    findings.settle(source.file, None)?;
    Ok(rows)
}

/// What the accounts of a file are opened with, by currency; `None` once that is more than ledgers may hold.
#[derive(Default)]
struct Opened(BTreeMap<Currency, Option<i64>>);

impl Opened {
    /// Counts an account. Only the line that goes over the bound is refused: those behind it are no news.
    fn with(&mut self, row: AccountRow) -> Result<AccountRow, String> {
        let currency = row.currency;
        let sum = self.0.entry(currency).or_insert(Some(0));
        let Some(before) = *sum else { return Ok(row) };
        *sum = before.checked_add(row.opening_minor).filter(|minor| *minor <= MAX_OPENED_MINOR);
        let most = Money { minor: MAX_OPENED_MINOR, currency };
        sum.map(|_| row).ok_or_else(|| format!("opening balances add up to more than {most}"))
    }
}

fn row(record: &Record) -> Result<AccountRow, String> {
    let [account, owner, currency, balance, status] = [0, 1, 2, 3, 4].map(|column| record.field(column));
    check_id("account", account)?;
    check_text("owner", owner)?;
    let currency = parse_currency(currency)?;
    let opening_minor = parse_amount("opening_balance", balance)?
        .minor(currency.exponent())
        .map_err(|error| format!("opening_balance {} {error}", quoted(balance)))?;
    let status =
        AccountStatus::parse(status).ok_or_else(|| format!("status {} is neither `open` nor `closed`", quoted(status)))?;
    Ok(AccountRow { account: account.to_owned(), owner: owner.to_owned(), currency, opening_minor, status })
}
