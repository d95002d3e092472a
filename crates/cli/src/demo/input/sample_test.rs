//! The samples under `examples/payments`: they are what their README says, and damage to them is never misread.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::generate::remainder;
use super::{AccountRow, AccountStatus, Batch, Instruction, NotMinor, parse_accounts, parse_transfers};

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../../../../examples/payments/samples/", $name))
    };
}

const ACCOUNTS: &str = sample!("accounts.csv");
const CSV: &str = sample!("transfers.csv");
const PAIN_03: &str = sample!("transfers.pain.001.001.03.xml");
const PAIN_09: &str = sample!("transfers.pain.001.001.09.xml");
const README: &str = sample!("README.md");

fn read(text: &str) -> Batch {
    parse_transfers(Path::new("sample"), text.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn accounts() -> Vec<AccountRow> {
    parse_accounts(Path::new("accounts.csv"), ACCOUNTS.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// Balances and ids so far: the payment service in twenty lines, one transfer after the other.
struct Ledger {
    rows: BTreeMap<String, AccountRow>,
    ids: BTreeSet<String>,
}

impl Ledger {
    fn new() -> Self {
        Self { rows: accounts().into_iter().map(|row| (row.account.clone(), row)).collect(), ids: BTreeSet::new() }
    }

    fn settle(&mut self, transfer: &Instruction) -> Result<i64, &'static str> {
        let minor = match transfer.amount.minor(transfer.currency.exponent()) {
            _ if !self.ids.insert(transfer.id.clone()) => return Err("AM05"),
            Ok(0) => return Err("AM01"),
            Ok(minor) => minor,
            Err(NotMinor::Negative | NotMinor::TooManyDecimals) => return Err("AM12"),
            Err(NotMinor::TooLarge) => i64::MAX,
        };
        let side = |account: &String| self.rows.get(account).ok_or("AC01");
        let (debtor, creditor) = (side(&transfer.debtor)?, side(&transfer.creditor)?);
        match (debtor, creditor) {
            _ if [debtor, creditor].iter().any(|row| row.status == AccountStatus::Closed) => return Err("AC04"),
            _ if debtor.account == creditor.account => return Err("AG01"),
            _ if [debtor, creditor].iter().any(|row| row.currency != transfer.currency) => return Err("AM03"),
            _ if debtor.opening_minor < minor => return Err("AM04"),
            _ => {}
        }
        self.rows.get_mut(&transfer.debtor).unwrap().opening_minor -= minor;
        self.rows.get_mut(&transfer.creditor).unwrap().opening_minor += minor;
        Ok(minor)
    }
}

/// The rows of the README's table whose third column is a code, as (first column, id, code).
fn promised(title: &str) -> Vec<(u64, String, String)> {
    let section = README.split("## ").find(|section| section.starts_with(title)).unwrap();
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = section.lines().map(cells).filter(|row| row.len() == 6);
    rows.filter_map(|row| Some((row[1].parse().ok()?, row[2].clone(), row[3].clone()))).collect()
}

#[test]
fn every_transfer_of_the_csv_ends_as_its_readme_says() {
    let (mut ledger, batch) = (Ledger::new(), read(CSV));
    assert_eq!(batch.instructions.len(), 200);
    let outcome = |transfer: &Instruction| Some((transfer.line, transfer.id.clone(), ledger.settle(transfer).err()?.into()));
    let refused: Vec<(u64, String, String)> = batch.instructions.iter().filter_map(outcome).collect();
    assert_eq!(refused, promised("What `transfers.csv` gives"));
    let mut counts = BTreeMap::new();
    refused.iter().for_each(|(_, _, code)| *counts.entry(code.as_str()).or_insert(0) += 1);
    let codes = [("AC01", 3), ("AC04", 3), ("AG01", 2), ("AM01", 2), ("AM03", 3), ("AM04", 5), ("AM05", 3), ("AM12", 4)];
    assert_eq!(counts, BTreeMap::from(codes));
}

#[test]
fn the_outcome_does_not_depend_on_the_order() {
    let (mut ledger, opening) = (Ledger::new(), accounts());
    let (mut debits, mut credits, mut short) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for transfer in read(CSV).instructions {
        match ledger.settle(&transfer) {
            Ok(minor) => {
                *debits.entry(transfer.debtor).or_insert(0) += minor;
                *credits.entry(transfer.creditor).or_insert(0) += minor;
            }
            Err("AM04") => short.push(transfer),
            Err(_) => {}
        }
    }
    let opened = |account: &str| opening.iter().find(|row| row.account == account).unwrap().opening_minor;
    assert!(debits.iter().all(|(account, sum)| *sum <= opened(account)));
    for transfer in short {
        let most = opened(&transfer.debtor) + credits.get(&transfer.debtor).copied().unwrap_or(0);
        assert!(transfer.amount.minor(transfer.currency.exponent()).unwrap() > most, "{}", transfer.id);
    }
}

#[test]
fn both_xml_files_hold_the_same_transfers_and_end_as_the_readme_says() {
    let (old, new) = (read(PAIN_03), read(PAIN_09));
    assert_eq!(old.original.message_id.as_deref(), Some("DEMO-20260325-1"));
    let without_line = |transfer: &Instruction| Instruction { line: 0, ..transfer.clone() };
    let contents = |batch: &Batch| batch.instructions.iter().map(without_line).collect::<Vec<_>>();
    assert_eq!((contents(&old), &old.original.message_id), (contents(&new), &new.original.message_id));
    let mut ledger = Ledger::new();
    let outcome = |transfer: &Instruction| Some((transfer.position, transfer.id.clone(), ledger.settle(transfer).err()?.into()));
    assert_eq!(new.instructions.iter().filter_map(outcome).collect::<Vec<_>>(), promised("What both XML files give"));
    assert_eq!((old.instructions[6].id.as_str(), old.instructions[7].id.as_str()), ("UJ-7782", "DEMO-20260325-1#8"));
}

#[test]
fn account_numbers_have_valid_check_digits() {
    let rows = accounts();
    let ibans: Vec<_> = rows.iter().filter(|row| row.account.starts_with(char::is_alphabetic)).collect();
    assert_eq!((rows.len(), ibans.len()), (40, 38));
    for row in ibans {
        let (head, number) = row.account.split_at(4);
        assert_eq!(remainder(&format!("{number}{head}")), 1, "{}", row.account);
    }
}

fn cut_everywhere(document: &str) {
    let whole = read(document);
    for end in 0..document.len() {
        if let Ok(batch) = parse_transfers(Path::new("cut"), &document.as_bytes()[..end]) {
            assert!(end >= document.trim_end().len() && batch == whole, "cut at byte {end}");
        }
    }
}

#[test]
fn an_older_xml_file_cut_anywhere_is_refused_or_complete() {
    cut_everywhere(PAIN_03);
}

#[test]
fn a_newer_xml_file_cut_anywhere_is_refused_or_complete() {
    cut_everywhere(PAIN_09);
}

#[test]
fn a_csv_file_cut_anywhere_gives_no_transfer_another_amount_or_account() {
    // The last part alone, with its quotes and line breaks: cutting the whole takes long and shows no more.
    let header = CSV.lines().next().unwrap();
    let short = format!("{header}\n{}", &CSV[CSV.find("tr-171").unwrap()..]);
    let whole = read(&short);
    for end in 0..short.len() {
        let Ok(batch) = parse_transfers(Path::new("cut"), &short.as_bytes()[..end]) else { continue };
        let (last, before) = batch.instructions.split_last().unwrap();
        assert_eq!(before, &whole.instructions[..before.len()]);
        let original = &whole.instructions[before.len()];
        let expected = Instruction { text: last.text.clone(), ..original.clone() };
        assert!(*last == expected && original.text.starts_with(&last.text), "cut at byte {end}");
    }
}

#[test]
fn a_damaged_byte_never_crashes_a_reader() {
    for (at, symbol) in (0..PAIN_09.len()).step_by(3).zip(b"<>&;\"'/!]-=? \n\r\x00\xff".iter().cycle()) {
        let mut damaged = PAIN_09.as_bytes().to_vec();
        damaged[at] = *symbol;
        drop(parse_transfers(Path::new("damaged"), &damaged));
    }
    for (at, symbol) in (0..ACCOUNTS.len()).zip(b"\",\r\n\x00\xff-.9".iter().cycle()) {
        let mut damaged = ACCOUNTS.as_bytes().to_vec();
        damaged[at] = *symbol;
        drop(parse_accounts(Path::new("damaged"), &damaged));
    }
}
