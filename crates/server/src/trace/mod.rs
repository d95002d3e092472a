//! Recent traces, in memory: bounded, oldest out first, gone with the process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use settee::Reply;
use settee::trace::control::{TraceControl, TraceStats, TraceSummary};
use settee::trace::{SpanOutcome, SpanRecord, TraceId};

/// Spans kept: at some 300 bytes each about 20 MiB, two thousand transfers.
const SPANS: usize = 65_536;

/// Spans of one trace that are kept; a loop that traces itself must not push everything else out.
const SPANS_OF_ONE: usize = 1_024;

/// Names of processes remembered.
const PROCESSES: usize = 4_096;

/// Bytes of each text of a span that are kept: names have some thirty, and what anybody sends must not fill the memory.
const TEXT_BYTES: usize = 256;

/// The collector. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Traces(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    traces: BTreeMap<TraceId, Vec<SpanRecord>>,
    /// In order of first arrival.
    order: VecDeque<TraceId>,
    spans: usize,
    taken: u64,
    processes: BTreeSet<String>,
}

impl Traces {
    /// An empty collector.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl TraceControl for Traces {
    async fn ingest(&self, spans: Vec<SpanRecord>) -> Reply<()> {
        self.0.lock().take(spans);
        Ok(())
    }

    async fn recent(&self, limit: u32) -> Reply<Vec<TraceSummary>> {
        let kept = self.0.lock();
        let newest = kept.order.iter().rev().take(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(newest.filter_map(|trace| summary(*trace, kept.traces.get(trace)?)).collect())
    }

    async fn show(&self, trace: TraceId) -> Reply<Vec<SpanRecord>> {
        let mut spans = self.0.lock().traces.get(&trace).cloned().unwrap_or_default();
        spans.sort_by_key(|span| (span.start, span.span));
        Ok(spans)
    }

    async fn stats(&self) -> Reply<TraceStats> {
        Ok(self.0.lock().stats())
    }
}

impl Kept {
    fn take(&mut self, spans: Vec<SpanRecord>) {
        for span in spans.into_iter().map(shortened) {
            self.taken += 1;
            if self.processes.len() < PROCESSES {
                self.processes.insert(span.process.clone());
            }
            let trace = self.traces.entry(span.trace).or_insert_with(|| {
                self.order.push_back(span.trace);
                Vec::new()
            });
            if trace.len() < SPANS_OF_ONE {
                trace.push(span);
                self.spans += 1;
            }
        }
        while self.spans > SPANS {
            let Some(oldest) = self.order.pop_front() else { break };
            self.spans -= self.traces.remove(&oldest).map_or(0, |spans| spans.len());
        }
    }

    fn stats(&self) -> TraceStats {
        let summaries: Vec<_> = self.traces.iter().filter_map(|(trace, spans)| summary(*trace, spans)).collect();
        let widest = summaries.iter().map(|summary| summary.processes).max().unwrap_or(0);
        let among_widest = summaries.iter().filter(|summary| summary.processes == widest);
        TraceStats {
            spans: self.taken,
            processes: u32::try_from(self.processes.len()).unwrap_or(u32::MAX),
            widest,
            slowest: among_widest.max_by_key(|summary| summary.duration_us).map(|summary| summary.trace),
        }
    }
}

/// The same span, its texts cut to what is kept of them.
fn shortened(mut span: SpanRecord) -> SpanRecord {
    let cut = |text: &mut String| {
        if text.len() > TEXT_BYTES {
            text.truncate(text.floor_char_boundary(TEXT_BYTES));
            text.shrink_to_fit();
        }
    };
    [&mut span.name, &mut span.application, &mut span.process].into_iter().for_each(cut);
    if let SpanOutcome::Failed(code) = &mut span.outcome {
        cut(code);
    }
    span
}

fn summary(trace: TraceId, spans: &[SpanRecord]) -> Option<TraceSummary> {
    let first = spans.iter().min_by_key(|span| span.start)?;
    let end = |span: &SpanRecord| span.start.after(std::time::Duration::from_micros(span.duration_us));
    let last = spans.iter().map(end).max()?;
    let processes: BTreeSet<_> = spans.iter().map(|span| &span.process).collect();
    Some(TraceSummary {
        trace,
        name: first.name.clone(),
        start: first.start,
        duration_us: u64::try_from(last.since(first.start).as_micros()).unwrap_or(u64::MAX),
        spans: u32::try_from(spans.len()).unwrap_or(u32::MAX),
        processes: u32::try_from(processes.len()).unwrap_or(u32::MAX),
        failed: spans.iter().any(|span| matches!(span.outcome, SpanOutcome::Failed(_))),
    })
}

#[cfg(test)]
mod tests {
    use settee::Timestamp;
    use settee::trace::{SpanId, SpanKind};

    use super::*;

    fn span(trace: u128, process: &str, start_ms: i64, duration_us: u64) -> SpanRecord {
        SpanRecord {
            trace: TraceId(trace),
            span: SpanId(1),
            parent: SpanId(0),
            name: "pay.Payment.transfer".into(),
            kind: SpanKind::Server,
            application: process.into(),
            process: process.into(),
            start: Timestamp::from_millis(start_ms),
            duration_us,
            outcome: SpanOutcome::Success,
        }
    }

    #[tokio::test]
    async fn the_slowest_is_looked_for_among_the_traces_that_cross_most_processes() {
        let traces = Traces::new();
        let spans =
            vec![span(1, "a", 0, 90_000), span(2, "a", 0, 10), span(2, "b", 5, 10), span(3, "a", 0, 10), span(3, "b", 9, 10)];
        traces.ingest(spans).await.unwrap();
        let stats = traces.stats().await.unwrap();
        assert_eq!((stats.spans, stats.processes, stats.widest, stats.slowest), (5, 2, 2, Some(TraceId(3))));
    }

    #[tokio::test]
    async fn one_endless_trace_and_many_traces_stay_within_their_bounds() {
        let traces = Traces::new();
        traces.ingest((0..SPANS_OF_ONE * 3).map(|_| span(1, "a", 0, 1)).collect()).await.unwrap();
        assert_eq!(traces.show(TraceId(1)).await.unwrap().len(), SPANS_OF_ONE);
        traces.ingest((0..SPANS).map(|n| span(n as u128 + 2, "a", 0, 1)).collect()).await.unwrap();
        assert!(traces.0.lock().spans <= SPANS);
        assert!(traces.show(TraceId(1)).await.unwrap().is_empty(), "the oldest goes first");
    }

    #[tokio::test]
    async fn a_span_with_endless_texts_takes_no_more_memory_than_others() {
        let (traces, endless) = (Traces::new(), "é".repeat(1 << 20));
        let outcome = SpanOutcome::Failed(endless.clone());
        let application = endless.clone();
        traces.ingest(vec![SpanRecord { name: endless.clone(), application, outcome, ..span(1, &endless, 0, 1) }]).await.unwrap();
        let kept = traces.show(TraceId(1)).await.unwrap().remove(0);
        let SpanOutcome::Failed(code) = kept.outcome else { panic!("it failed") };
        for text in [kept.name, kept.application, kept.process, code] {
            assert_eq!((text.len(), text.capacity()), (TEXT_BYTES, TEXT_BYTES));
        }
        assert!(traces.0.lock().processes.iter().all(|process| process.len() <= TEXT_BYTES));
    }
}
