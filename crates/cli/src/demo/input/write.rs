//! Both CSV files, written so that their readers give back what was written: RFC 4180, UTF-8, CR LF.

use std::io::{self, Write};

use super::accounts::{self, AccountRow};
use super::money::Decimal;
use super::{Batch, transfers};

/// Writes the transfers of a batch. An ISO 20022 batch loses its message id and references, which CSV cannot hold.
///
/// # Errors
/// Those of `out`, which may then hold part of the file.
pub fn write_transfers(out: impl Write, batch: &Batch) -> io::Result<()> {
    let mut writer = csv_writer(out);
    writer.write_record(transfers::HEADER)?;
    for transfer in &batch.instructions {
        let amount = transfer.amount.to_string();
        let (id, debtor, creditor) = (&transfer.id, &transfer.debtor, &transfer.creditor);
        writer.write_record([id, debtor, creditor, &amount, transfer.currency.code(), &transfer.text])?;
    }
    writer.flush()
}

/// Writes accounts.
///
/// # Errors
/// Those of `out`, which may then hold part of the file.
pub fn write_accounts(out: impl Write, rows: &[AccountRow]) -> io::Result<()> {
    let mut writer = csv_writer(out);
    writer.write_record(accounts::HEADER)?;
    for row in rows {
        let balance = Decimal::from_minor(row.opening_minor, row.currency.exponent()).to_string();
        writer.write_record([&row.account, &row.owner, row.currency.code(), &balance, row.status.as_str()])?;
    }
    writer.flush()
}

/// A writer of CSV as RFC 4180 has it, whose lines end with CR LF.
pub(crate) fn csv_writer<W: Write>(out: W) -> csv::Writer<W> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out)
}
