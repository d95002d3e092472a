//! One trace as text: a line for each span, below the span that started it, with a bar that shows when it was under way.
//!
//! Starts are by the clock of each process: on several machines a bar may stand where it cannot have been.

use std::collections::BTreeSet;
use std::time::Duration;

use settee::trace::{SpanKind, SpanOutcome, SpanRecord, TraceId, in_order};
use settee_core::Timestamp;

use crate::output;

/// Letters of a bar: a line with long names still fits a wide terminal.
const BAR: u128 = 32;

/// The trace, its extent, and its spans.
#[must_use]
pub(super) fn of(trace: TraceId, spans: &[SpanRecord]) -> String {
    let extent = Extent::of(spans);
    let processes: BTreeSet<_> = spans.iter().map(|span| &span.process).collect();
    let head = format!("{trace}: {} spans from {} processes, {}", spans.len(), processes.len(), extent.length());
    let rows = in_order(spans).into_iter().map(|(depth, span)| {
        [
            format!("{}{}", "  ".repeat(depth), span.name),
            side(span.kind).to_owned(),
            span.process.clone(),
            millis(micros(span.start.since(extent.first))),
            millis(span.duration_us),
            outcome(&span.outcome).to_owned(),
            extent.bar(span),
        ]
    });
    format!("{head}\n{}", output::table(["SPAN", "SIDE", "PROCESS", "START", "TOOK", "OUTCOME", ""], rows))
}

/// Microseconds as people read them.
pub(super) fn millis(micros: u64) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}

/// From the first start to the last end.
struct Extent {
    first: Timestamp,
    last: Timestamp,
}

impl Extent {
    fn of(spans: &[SpanRecord]) -> Self {
        let first = spans.iter().map(|span| span.start).min().unwrap_or_default();
        let last = spans.iter().map(end).max().unwrap_or_default();
        Self { first, last }
    }

    fn length(&self) -> String {
        millis(micros(self.last.since(self.first)))
    }

    fn bar(&self, span: &SpanRecord) -> String {
        let whole = self.last.since(self.first).as_micros().max(1);
        let column = |at: Timestamp| usize::try_from(at.since(self.first).as_micros() * BAR / whole).unwrap_or(0);
        let (from, to) = (column(span.start), column(end(span)));
        format!("{}{}", " ".repeat(from), "█".repeat((to - from).max(1)))
    }
}

fn end(span: &SpanRecord) -> Timestamp {
    span.start.after(Duration::from_micros(span.duration_us))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn side(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Job => "job",
        SpanKind::Internal => "internal",
    }
}

fn outcome(outcome: &SpanOutcome) -> &str {
    match outcome {
        SpanOutcome::Success => "success",
        SpanOutcome::Refused => "refused",
        SpanOutcome::Failed(code) => code,
    }
}

#[cfg(test)]
mod tests {
    use settee::trace::SpanId;

    use super::*;

    fn span(id: u64, parent: u64, name: &str, kind: SpanKind, start_us: i64, duration_us: u64) -> SpanRecord {
        SpanRecord {
            trace: TraceId(7),
            span: SpanId(id),
            parent: SpanId(parent),
            name: name.into(),
            kind,
            application: "bank".into(),
            process: if kind == SpanKind::Client { "bank@1" } else { "bank@2" }.into(),
            start: Timestamp::from_micros(start_us),
            duration_us,
            outcome: SpanOutcome::Success,
        }
    }

    #[test]
    fn a_reader_sees_who_started_what_and_where_the_time_went() {
        let mut late = span(3, 2, "pay.Debit.attempt", SpanKind::Client, 4_000, 4_000);
        late.outcome = SpanOutcome::Failed("RPC0002".into());
        let spans = [
            span(1, 0, "pay.Payment.transfer", SpanKind::Client, 0, 8_000),
            span(2, 1, "pay.Payment.transfer", SpanKind::Server, 1_000, 7_000),
            late,
            span(9, 8, "transfers", SpanKind::Consumer, 7_999, 1),
        ];
        let expected = "\
00000000000000000000000000000007: 4 spans from 2 processes, 8.0 ms
SPAN                    SIDE      PROCESS  START   TOOK    OUTCOME
pay.Payment.transfer    client    bank@1   0.0 ms  8.0 ms  success  ████████████████████████████████
  pay.Payment.transfer  server    bank@2   1.0 ms  7.0 ms  success      ████████████████████████████
    pay.Debit.attempt   client    bank@1   4.0 ms  4.0 ms  RPC0002                  ████████████████
transfers               consumer  bank@2   7.9 ms  0.0 ms  success                                 █";
        assert_eq!(of(TraceId(7), &spans), expected);
    }
}
