//! Accounts and transfers made up from a seed: the same seed gives the same files, byte for byte, on any machine.
//!
//! Opening balances are generous, so nearly every transfer can be settled in any order; what is *refused* is shown by
//! the samples, what is *fast* by these. Names are invented and account numbers have valid check digits.

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::accounts::{AccountRow, AccountStatus};
use super::money::{Currency, Decimal};
use super::{Batch, Instruction, References};

/// Who pays whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// Anybody anybody else, about ten transfers an account, in four currencies.
    Random,
    /// One employer its employees, in euros: every transfer meets at one account.
    Payroll,
}

/// Makes `count` transfers of a shape and the accounts they need, all open.
///
/// With `count` 0 the batch is empty, which no reader would accept from a file.
pub(crate) fn generate(shape: Shape, count: u32, seed: u64) -> (Vec<AccountRow>, Batch) {
    let mut random = StdRng::seed_from_u64(seed);
    let (accounts, instructions) = match shape {
        Shape::Random => random_transfers(&mut random, count),
        Shape::Payroll => payroll(&mut random, count),
    };
    (accounts, Batch::without_header(instructions))
}

/// What a random transfer moves at most, in euros or the like of them.
const LARGEST_TRANSFER: i64 = 5_000;

/// What a random account opens with: forty of the largest transfers, of which it makes about ten.
const RANDOM_OPENING: i64 = 200_000;

/// What a salary is at most, in euros.
const LARGEST_SALARY: i64 = 9_000;

/// A currency and the bank at which its accounts are kept.
struct Market {
    currency: &'static str,
    country: &'static str,
    bank: &'static str,
    /// Digits of an account number within the bank.
    number_width: usize,
    /// How many of its units make the like of a euro.
    units: i64,
}

const MARKETS: [Market; 4] = [
    Market { currency: "EUR", country: "DE", bank: "70090100", number_width: 10, units: 1 },
    Market { currency: "CHF", country: "CH", bank: "08390", number_width: 12, units: 1 },
    Market { currency: "JPY", country: "CH", bank: "08391", number_width: 12, units: 150 },
    Market { currency: "KWD", country: "KW", bank: "NDHA", number_width: 22, units: 1 },
];

const FIRST_NAMES: [&str; 16] = [
    "Alma", "Bruno", "Chiyo", "Dario", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Keiko", "Lina", "Mateo", "Noor",
    "Oskar", "Pia",
];

const LAST_NAMES: [&str; 16] = [
    "Achterberg",
    "Bellandi",
    "Cassel",
    "Dravec",
    "Eskola",
    "Farouq",
    "Gerber",
    "Hoshino",
    "Imfeld",
    "Jansky",
    "Keller",
    "Lindqvist",
    "Morandi",
    "Nasser",
    "Okabe",
    "Perrin",
];

const PURPOSES: [&str; 8] = ["Rent", "Invoice", "Order", "Refund", "Loan", "Insurance", "Tuition", "Repair"];

fn random_transfers(random: &mut StdRng, count: u32) -> (Vec<AccountRow>, Vec<Instruction>) {
    // Accounts of a market are `markets` apart, so a step of that much finds somebody with the same currency.
    let markets = MARKETS.len();
    let total = (count as usize / 10 + 20).next_multiple_of(markets);
    let accounts: Vec<_> = (0..total).map(|index| MARKETS[index % markets].account(random, index, RANDOM_OPENING)).collect();
    let transfer = |index: u32| {
        let debtor = pick(random, total);
        let creditor = (debtor + markets * (1 + pick(random, total / markets - 1))) % total;
        let text = format!("{} {}", PURPOSES[pick(random, PURPOSES.len())], random.random_range(1_000..10_000_u32));
        let minor = random.random_range(1..=MARKETS[debtor % markets].minor(LARGEST_TRANSFER));
        instruction(index, &accounts[debtor], &accounts[creditor], minor, text)
    };
    let instructions = (0..count).map(transfer).collect();
    (accounts, instructions)
}

fn payroll(random: &mut StdRng, count: u32) -> (Vec<AccountRow>, Vec<Instruction>) {
    let market = &MARKETS[0];
    let mut employer = market.account(random, 0, i64::from(count) * LARGEST_SALARY);
    employer.owner = "Werft Achterdeck AG".into();
    let employees: Vec<_> = (1..=count as usize).map(|index| market.account(random, index, 0)).collect();
    let salary = |(index, employee)| {
        let minor = random.random_range(market.minor(LARGEST_SALARY / 4)..=market.minor(LARGEST_SALARY));
        instruction(index, &employer, employee, minor, "Salary".into())
    };
    let instructions = (0..count).zip(&employees).map(salary).collect();
    (std::iter::once(employer).chain(employees).collect(), instructions)
}

fn instruction(index: u32, debtor: &AccountRow, creditor: &AccountRow, minor: i64, text: String) -> Instruction {
    let position = u64::from(index) + 1;
    Instruction {
        position,
        line: position + 1,
        id: format!("T{position:09}"),
        debtor: debtor.account.clone(),
        creditor: creditor.account.clone(),
        amount: Decimal::from_minor(minor, debtor.currency.exponent()),
        currency: debtor.currency,
        text,
        references: References::default(),
    }
}

impl Market {
    fn account(&self, random: &mut StdRng, index: usize, opening: i64) -> AccountRow {
        let number = format!("{}{index:0width$}", self.bank, width = self.number_width);
        let (first, last) = (FIRST_NAMES[pick(random, FIRST_NAMES.len())], LAST_NAMES[pick(random, LAST_NAMES.len())]);
        AccountRow {
            account: iban(self.country, &number),
            owner: format!("{first} {last}"),
            currency: self.currency(),
            opening_minor: self.minor(opening),
            status: AccountStatus::Open,
        }
    }

    fn currency(&self) -> Currency {
        Currency::parse(self.currency).expect("the markets have currencies of ISO 4217")
    }

    /// Minor units worth about as many euros.
    fn minor(&self, euros: i64) -> i64 {
        euros * self.units * 10_i64.pow(u32::from(self.currency().exponent()))
    }
}

/// An index below `end`, drawn from 32 bits so that it does not depend on the machine's word.
fn pick(random: &mut StdRng, end: usize) -> usize {
    random.random_range(0..end as u32) as usize
}

/// `number` with country and check digits before it (ISO 13616).
fn iban(country: &str, number: &str) -> String {
    let check = 98 - remainder(&format!("{number}{country}00"));
    format!("{country}{check:02}{number}")
}

/// The text as a number, letters counting 10 to 35, modulo 97 (ISO 7064).
pub(super) fn remainder(text: &str) -> u32 {
    text.chars().filter_map(|symbol| symbol.to_digit(36)).fold(0, |rest, value| {
        let shift = if value < 10 { 10 } else { 100 };
        (rest * shift + value) % 97
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_transfers_and_another_does_not() {
        assert_eq!(generate(Shape::Random, 50, 7), generate(Shape::Random, 50, 7));
        assert_ne!(generate(Shape::Random, 50, 7), generate(Shape::Random, 50, 8));
    }

    #[test]
    fn a_benchmark_is_not_a_test_of_refusals() {
        for (shape, count) in [(Shape::Random, 2_000), (Shape::Payroll, 2_000), (Shape::Random, 1), (Shape::Payroll, 1)] {
            let (accounts, batch) = generate(shape, count, 42);
            assert_eq!(batch.instructions.len(), count as usize);
            let mut ledger: BTreeMap<_, _> =
                accounts.iter().map(|row| (row.account.as_str(), (row.currency, row.opening_minor))).collect();
            assert_eq!(ledger.len(), accounts.len(), "account numbers are unique");
            for transfer in &batch.instructions {
                let minor = transfer.amount.minor(transfer.currency.exponent()).unwrap();
                let (currency, left) = ledger[transfer.debtor.as_str()];
                assert!(minor > 0 && minor <= left && currency == transfer.currency && transfer.debtor != transfer.creditor);
                ledger.get_mut(transfer.debtor.as_str()).unwrap().1 -= minor;
                let creditor = ledger.get_mut(transfer.creditor.as_str()).unwrap();
                assert_eq!(creditor.0, currency);
                creditor.1 += minor;
            }
        }
    }

    #[test]
    fn account_numbers_have_valid_check_digits() {
        assert_eq!(iban("GB", "WEST12345698765432"), "GB82WEST12345698765432");
        for row in generate(Shape::Random, 100, 1).0 {
            let (head, number) = row.account.split_at(4);
            assert_eq!(remainder(&format!("{number}{head}")), 1, "{}", row.account);
        }
    }
}
