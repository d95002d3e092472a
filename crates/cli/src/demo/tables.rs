//! The report for people: a few tables, with every reason spelled out.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use super::report::Report;
use crate::output::{NOTHING, cell};

/// What is said of a transfer that has no answer.
pub(crate) const NO_OUTCOME: &str = "no outcome in time";

/// The whole report as text.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    for table in [transfers(report), money(report), behind(report), chaos(report)].into_iter().flatten() {
        let _strings_take_everything = writeln!(text, "{table}\n");
    }
    let time = format!("{} transfers/s over {} s", report.throughput_per_s, report.seconds);
    let latency = format!("p50 {} ms, p99 {} ms", cell(report.latency_ms.p50), cell(report.latency_ms.p99));
    let memory = cell(report.peak_rss_bytes.map(|bytes| format!("{} MiB", bytes >> 20)));
    text + &format!("{time}; {latency}; largest process {memory}")
}

fn transfers(report: &Report) -> Option<Table> {
    let transfers = &report.transfers;
    let mut table = table(["transfers", "", ""]);
    table.add_row(["accepted", "", &transfers.accepted.to_string()]);
    for (code, count) in &transfers.by_reason {
        table.add_row([code.as_str(), reason(code), &count.to_string()]);
    }
    table.add_row(["unknown", NO_OUTCOME, &transfers.unknown.to_string()]);
    table.add_row(["read", "", &transfers.read.to_string()]);
    if transfers.replayed > 0 {
        table.add_row(["replayed", "of these, settled or refused in an earlier run", &transfers.replayed.to_string()]);
    }
    Some(right_aligned(table, &[2]))
}

fn money(report: &Report) -> Option<Table> {
    let mut table = table(["money", "before", "after", ""]);
    for (currency, before) in &report.money.before {
        let after = report.money.after.get(currency).map_or(NOTHING, String::as_str);
        table.add_row([currency.as_str(), before, after, if before == after { "conserved" } else { "DIFFERS" }]);
    }
    if !report.money.conserved {
        table.add_row(["NOT CONSERVED", "", "", ""]);
    }
    Some(right_aligned(table, &[1, 2]))
}

/// What went on behind the transfers.
fn behind(report: &Report) -> Option<Table> {
    let Report { transactions, messages, job, flow, trace, .. } = report;
    let mut table = table(["behind them", ""]);
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    let (committed, aborted) = (cell(transactions.committed), cell(transactions.aborted));
    let (parked, open) = (cell(transactions.parked), cell(transactions.open));
    row("transactions", format!("{committed} committed, {aborted} aborted, {parked} parked, {open} open"));
    let (sent, applied, dead) = (cell(messages.sent), cell(messages.applied), cell(messages.dead));
    let again = cell(messages.duplicates_suppressed);
    row("messages", format!("{sent} sent, {applied} applied, {again} came again, {dead} dead"));
    row("reconcile job", format!("{} run, {}", job.runs, if job.reconciled { "reconciled" } else { "NOT RECONCILED" }));
    row("flow rules", format!("{} calls refused for a while", flow.limited));
    if let (Some(id), Some(spans), Some(processes)) = (&trace.slowest_trace_id, trace.spans, trace.processes) {
        row("slowest trace", format!("{id}: {spans} spans from {processes} processes"));
    }
    Some(table)
}

fn chaos(report: &Report) -> Option<Table> {
    let mut table = table(["killed", "of use again after"]);
    for strike in &report.chaos {
        let after = strike.first_success_after_ms.map_or_else(|| "never".to_owned(), |after| format!("{after} ms"));
        table.add_row([strike.killed.to_owned(), after]);
    }
    (!report.chaos.is_empty()).then(|| right_aligned(table, &[1]))
}

/// ISO 20022 external status reasons in plain words.
pub(crate) fn reason(code: &str) -> &'static str {
    match code {
        "AC01" => "unknown account",
        "AC04" => "closed account",
        "AG01" => "debtor and creditor are the same account",
        "AM01" => "the amount is zero",
        "AM02" => "more than the account can hold",
        "AM03" => "the currency is not the account's",
        "AM04" => "insufficient funds",
        "AM05" => "the id was used before",
        "AM12" => "the amount is negative, or too fine for its currency",
        "FF01" => "the file cannot be used",
        _ => "",
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn right_aligned(mut table: Table, columns: &[usize]) -> Table {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
