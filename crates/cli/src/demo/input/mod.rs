//! What the demo is fed: a file of transfers (CSV or ISO 20022 `pain.001`) and a file of accounts, or both made up.
//!
//! A file is read whole and taken whole. What makes a *file* wrong refuses it here, with every line that is wrong.
//! What makes one *transfer* wrong (a negative amount, an unknown account, no funds) is kept as written: that is
//! the payment service's answer to give. The readers look at bytes only, so they are the same for a file and for
//! the samples inside the binary.

mod accounts;
mod control;
mod csv_file;
mod generate;
mod pain001;
mod problem;
mod source;
mod transfers;
#[cfg(test)]
mod write;
mod xml;

use std::path::Path;

use settee_payments::money;

pub(crate) use self::accounts::{AccountRow, AccountStatus};
pub(crate) use self::generate::{Shape, generate};
#[cfg(test)]
pub(crate) use self::money::NotMinor;
pub(crate) use self::money::{Currency, Decimal, pointed};
pub(crate) use self::problem::Problems;
#[cfg(test)]
pub(crate) use self::write::{write_accounts, write_transfers};

use self::source::Source;

/// A file of transfers, accepted whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// What the file was written in.
    pub(crate) format: Format,
    /// `GrpHdr/MsgId`; CSV has none.
    pub(crate) message_id: Option<String>,
    /// In file order, at least one.
    pub(crate) instructions: Vec<Instruction>,
}

/// The formats a transfers file may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// RFC 4180 with the header `id,debtor,creditor,amount,currency,text`.
    Csv,
    /// ISO 20022 `pain.001.001.03`.
    Pain001V03,
    /// ISO 20022 `pain.001.001.09`.
    Pain001V09,
}

/// One transfer somebody asks for, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// 1-based place in the file.
    pub(crate) position: u64,
    /// 1-based line on which the transfer begins.
    pub(crate) line: u64,
    /// What makes the transfer the same transfer when it is sent again. Not empty; may occur twice in a file.
    pub(crate) id: String,
    /// Account to take from. Not empty; need not exist.
    pub(crate) debtor: String,
    /// Account to give to. Not empty; need not exist.
    pub(crate) creditor: String,
    /// May be zero, negative, or finer than `currency` allows.
    pub(crate) amount: Decimal,
    /// Of `amount`; the accounts may have another.
    pub(crate) currency: Currency,
    /// Remittance text, possibly empty or of several lines.
    pub(crate) text: String,
    /// What an ISO 20022 answer has to repeat; empty for CSV.
    pub(crate) references: References,
}

/// The references of an ISO 20022 transfer exactly as given, `NOTPROVIDED` included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct References {
    /// `PmtInf/PmtInfId`.
    pub(crate) payment_information_id: Option<String>,
    /// `PmtId/InstrId`.
    pub(crate) instruction_id: Option<String>,
    /// `PmtId/EndToEndId`.
    pub(crate) end_to_end_id: Option<String>,
}

/// Reads a file of transfers: XML if its first character other than space is `<`, else CSV.
///
/// # Errors
/// What is wrong with the file, up to 20 lines of it. Nothing of the file is then used.
pub(crate) fn read_transfers(path: &Path) -> Result<Batch, Problems> {
    parse_transfers(path, &source::read(path)?)
}

/// [`read_transfers`] for bytes already at hand; `file` is only what problems call them.
///
/// # Errors
/// As [`read_transfers`], except that the file exists.
pub(crate) fn parse_transfers(file: &Path, bytes: &[u8]) -> Result<Batch, Problems> {
    let source = Source::decode(file, bytes)?;
    if source.text.trim_start().starts_with('<') { pain001::parse(&source) } else { transfers::parse(&source) }
}

/// Reads a file of accounts, CSV with the header `account,owner,currency,opening_balance,status`.
///
/// # Errors
/// What is wrong with the file, up to 20 lines of it. Nothing of the file is then used.
pub(crate) fn read_accounts(path: &Path) -> Result<Vec<AccountRow>, Problems> {
    parse_accounts(path, &source::read(path)?)
}

/// [`read_accounts`] for bytes already at hand; `file` is only what problems call them.
///
/// # Errors
/// As [`read_accounts`], except that the file exists.
pub(crate) fn parse_accounts(file: &Path, bytes: &[u8]) -> Result<Vec<AccountRow>, Problems> {
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
