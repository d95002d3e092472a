//! What the demo is fed: a file of transfers (CSV or ISO 20022 `pain.001`) and a file of accounts, or both made up.
//!
//! A file is read whole and taken whole. What makes a *file* wrong refuses it here, with every line that is wrong.
//! What makes one *transfer* wrong (a negative amount, an unknown account, no funds) is kept as written: that is
//! the payment service's answer to give. The readers look at bytes only, so they are the same for a file and for
//! the samples inside the binary.
//!
//! Public for who tests the readers from outside, such as the fuzz targets; not an interface.

mod accounts;
mod control;
mod csv_file;
mod generate;
mod original;
mod pain001;
mod problem;
mod source;
mod transfers;
mod write;
mod xml;

use std::path::Path;

use settee_payments::money;

pub use self::accounts::{AccountRow, AccountStatus};
pub(crate) use self::generate::{Shape, generate};
#[cfg(test)]
pub(crate) use self::money::NotMinor;
pub(crate) use self::money::pointed;
pub use self::money::{Currency, Decimal};
pub use self::original::{Format, Original, PaymentInformation, References, StatedTotals};
pub(crate) use self::original::{NAMESPACE, NOT_PROVIDED};
pub use self::problem::{MAX_LISTED, Problem, Problems};
pub(crate) use self::write::csv_writer;
pub use self::write::{write_accounts, write_transfers};

use self::source::Source;

/// A file of transfers, accepted whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What it says of itself.
    pub original: Original,
    /// How the instructions stand together, in file order.
    pub payments: Vec<PaymentInformation>,
    /// In file order, at least one.
    pub instructions: Vec<Instruction>,
}

/// One transfer somebody asks for, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// 1-based place in the file.
    pub position: u64,
    /// 1-based line on which the transfer begins.
    pub line: u64,
    /// What makes the transfer the same transfer when it is sent again. Not empty; may occur twice in a file.
    pub id: String,
    /// Account to take from. Not empty; need not exist.
    pub debtor: String,
    /// Account to give to. Not empty; need not exist.
    pub creditor: String,
    /// May be zero, negative, or finer than `currency` allows.
    pub amount: Decimal,
    /// Of `amount`; the accounts may have another.
    pub currency: Currency,
    /// Remittance text, possibly empty or of several lines.
    pub text: String,
    /// What an ISO 20022 answer has to repeat; empty for CSV.
    pub references: References,
}

/// Reads a file of transfers: XML if its first character other than space is `<`, else CSV.
///
/// # Errors
/// What is wrong with the file, up to 20 lines of it. Nothing of the file is then used.
pub fn read_transfers(path: &Path) -> Result<Batch, Problems> {
    parse_transfers(path, &source::read(path)?)
}

/// [`read_transfers`] for bytes already at hand; `file` is only what problems call them.
///
/// # Errors
/// As [`read_transfers`], except that the file exists.
pub fn parse_transfers(file: &Path, bytes: &[u8]) -> Result<Batch, Problems> {
    let source = Source::decode(file, bytes)?;
    if source.text.trim_start().starts_with('<') { pain001::parse(&source) } else { transfers::parse(&source) }
}

/// Reads a file of accounts, CSV with the header `account,owner,currency,opening_balance,status`.
///
/// # Errors
/// What is wrong with the file, up to 20 lines of it. Nothing of the file is then used.
pub fn read_accounts(path: &Path) -> Result<Vec<AccountRow>, Problems> {
    parse_accounts(path, &source::read(path)?)
}

/// [`read_accounts`] for bytes already at hand; `file` is only what problems call them.
///
/// # Errors
/// As [`read_accounts`], except that the file exists.
pub fn parse_accounts(file: &Path, bytes: &[u8]) -> Result<Vec<AccountRow>, Problems> {
    accounts::parse(&Source::decode(file, bytes)?)
}

#[cfg(test)]
mod csv_refusal_test;
#[cfg(test)]
mod reading_test;
#[cfg(test)]
mod sample_test;
#[cfg(test)]
mod xml_refusal_test;
