//! Transfers as CSV: `id,debtor,creditor,amount,currency,text`.

use super::csv_file::{self, Record};
use super::money::{Currency, Decimal};
use super::problem::{Findings, Problem, Problems, quoted};
use super::source::{Source, check_id, check_text};
use super::{Batch, Instruction, Original, PaymentInformation, References, StatedTotals};

/// The columns, in order.
pub(super) const HEADER: [&str; 6] = ["id", "debtor", "creditor", "amount", "currency", "text"];

pub(super) fn parse(source: &Source<'_>) -> Result<Batch, Problems> {
    let mut findings = Findings::default();
    let mut instructions = Vec::new();
    csv_file::read(source, &HEADER, &mut findings, |record, findings| {
        let position = instructions.len() as u64 + 1;
        match instruction(&record, position) {
            Ok(instruction) => instructions.push(instruction),
            Err(reason) => findings.add(Problem::at(record.line, reason)),
        }
    });
    if findings.is_empty() && instructions.is_empty() {
        findings.add(Problem::whole("no transfers"));
    }
    findings.settle(source.file, Some(Original::csv()))?;
    Ok(Batch::without_header(instructions))
}

impl Batch {
    /// Transfers that nobody wrote a header for.
    pub(super) fn without_header(instructions: Vec<Instruction>) -> Self {
        let all = PaymentInformation { id: None, stated: StatedTotals::default(), transfers: instructions.len() };
        Self { original: Original::csv(), payments: vec![all], instructions }
    }
}

fn instruction(record: &Record, position: u64) -> Result<Instruction, String> {
    let [id, debtor, creditor, amount, currency, text] = [0, 1, 2, 3, 4, 5].map(|column| record.field(column));
    check_id("id", id)?;
    check_id("debtor", debtor)?;
    check_id("creditor", creditor)?;
    check_text("text", text)?;
    Ok(Instruction {
        position,
        line: record.line,
        id: id.to_owned(),
        debtor: debtor.to_owned(),
        creditor: creditor.to_owned(),
        amount: parse_amount("amount", amount)?,
        currency: parse_currency(currency)?,
        text: text.to_owned(),
        references: References::default(),
    })
}

/// An amount, or why `value` is none; `name` is how the file calls it.
pub(super) fn parse_amount(name: &str, value: &str) -> Result<Decimal, String> {
    Decimal::parse(value).map_err(|error| format!("{name} {} {error}", quoted(value)))
}

/// A currency, or that `code` is none.
pub(super) fn parse_currency(code: &str) -> Result<Currency, String> {
    Currency::parse(code).ok_or_else(|| format!("currency {} is unknown", quoted(code)))
}
