//! The report as CSV: RFC 4180, UTF-8, CR LF, a row for each transfer of the file and in its order.
//!
//! A file that was refused has a row for each thing that is wrong with it, with an empty `id`: it speaks of the whole file.

use std::io::{self, Write};

use super::super::driver::Answer;
use super::super::input::{Batch, Instruction, Problems, csv_writer};
use super::super::tables;
use super::Content;
use super::pain002::UNUSABLE_FILE;
use super::status::Status;

/// The columns, in order. More may follow in later versions; none moves.
const HEADER: [&str; 9] = ["id", "status", "reason", "explanation", "debtor", "creditor", "amount", "currency", "xid"];

/// Writes a whole report.
pub(super) fn write(out: impl Write, content: &Content<'_>) -> io::Result<()> {
    let mut rows = csv_writer(out);
    rows.write_record(HEADER)?;
    match content {
        Content::Settled { batch, answers } => settled(&mut rows, batch, answers)?,
        Content::Refused { problems, .. } => refused(&mut rows, problems)?,
    }
    rows.flush()
}

fn settled(rows: &mut csv::Writer<impl Write>, batch: &Batch, answers: &[Answer]) -> io::Result<()> {
    for (transfer, answer) in batch.instructions.iter().zip(answers) {
        rows.write_record(row(transfer, answer))?;
    }
    Ok(())
}

fn row(transfer: &Instruction, answer: &Answer) -> [String; HEADER.len()] {
    let (reason, explanation, xid) = match answer {
        Answer::Accepted(xid) => (String::new(), "", xid.map(|xid| xid.to_string())),
        Answer::Refused(code) => (code.to_string(), tables::reason(code), None),
        Answer::Unknown => (String::new(), tables::NO_OUTCOME, None),
    };
    let (id, debtor, creditor) = (transfer.id.clone(), transfer.debtor.clone(), transfer.creditor.clone());
    let (amount, currency) = (transfer.amount.to_string(), transfer.currency.code().to_owned());
    let status = Status::of(answer).code().to_owned();
    [id, status, reason, explanation.to_owned(), debtor, creditor, amount, currency, xid.unwrap_or_default()]
}

fn refused(rows: &mut csv::Writer<impl Write>, problems: &Problems) -> io::Result<()> {
    let status = Status::Rejected.code();
    problems.lines().try_for_each(|line| Ok(rows.write_record(["", status, UNUSABLE_FILE, &line, "", "", "", "", ""])?))
}
