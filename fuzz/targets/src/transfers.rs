//! A file of transfers in any format: taken whole, or refused with the lines that are wrong.

use std::path::Path;

use settee_cli::input::{Batch, Instruction, MAX_LISTED, Problems, parse_transfers, write_transfers};

use crate::budget::Budget;

/// A line of two bytes is remembered by its number, in a vector that has just doubled; a transfer takes a few hundred bytes, and
/// cannot be said in fewer than sixteen. The fixed part is mostly the buffer of the CSV reader.
pub(crate) const BUDGET: Budget = Budget { fixed: 128 << 10, per_byte: 64 };

/// Checks one file.
pub(crate) fn check(input: &[u8]) {
    match BUDGET.spend(input.len(), || parse_transfers(Path::new("input"), input)) {
        Ok(batch) => accepted(&batch, input),
        Err(problems) => refused(&problems, input),
    }
}

fn accepted(batch: &Batch, input: &[u8]) {
    let grouped: usize = batch.payments.iter().map(|payment| payment.transfers).sum();
    assert!(grouped == batch.instructions.len() && grouped > 0, "{grouped} of {}", batch.instructions.len());
    let mut line = 1;
    for (place, transfer) in batch.instructions.iter().enumerate() {
        assert_eq!(transfer.position, place as u64 + 1);
        assert!((line..=lines(input)).contains(&transfer.line), "line {} after {line}", transfer.line);
        line = transfer.line;
        let ids = [&transfer.id, &transfer.debtor, &transfer.creditor];
        assert!(ids.iter().all(|id| !id.trim().is_empty() && !id.contains(char::is_control)), "{transfer:?}");
    }
    written_again(batch);
}

fn written_again(batch: &Batch) {
    let mut csv = Vec::new();
    write_transfers(&mut csv, batch).expect("a vector takes everything");
    let again = parse_transfers(Path::new("again"), &csv).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(again.instructions.iter().map(content).eq(batch.instructions.iter().map(content)), "{again:?}");
}

/// What CSV can hold.
fn content(transfer: &Instruction) -> [String; 6] {
    let Instruction { id, debtor, creditor, amount, currency, text, .. } = transfer.clone();
    [id, debtor, creditor, amount.to_string(), currency.to_string(), text]
}

/// What must hold of every refusal of a file.
pub(crate) fn refused(problems: &Problems, input: &[u8]) {
    let count = problems.listed.len();
    assert!((1..=MAX_LISTED).contains(&count) && (problems.unlisted == 0 || count == MAX_LISTED), "{problems:?}");
    assert!(problems.listed.is_sorted_by_key(|problem| problem.line), "{problems}");
    for problem in &problems.listed {
        assert!(!problem.reason.is_empty() && !problem.reason.contains(char::is_control), "{problem:?}");
        let is_whole = problem.line.is_none() && problem.reason.starts_with("no ");
        assert!(is_whole || problem.line.is_some_and(|line| (1..=lines(input)).contains(&line)), "{problem:?}");
    }
    let shown = problems.to_string().lines().count();
    assert_eq!(shown, count + usize::from(problems.unlisted > 0), "a line each: {problems}");
}

fn lines(input: &[u8]) -> u64 {
    1 + input.iter().filter(|byte| **byte == b'\n').count() as u64
}
