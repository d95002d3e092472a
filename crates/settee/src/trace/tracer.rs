//! Opening and finishing spans.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use settee_core::trace::{SpanKind, SpanOutcome, SpanRecord, TraceContext};
use settee_core::{Context, Error, Instant, Timestamp, env};
use tokio::sync::mpsc;

/// Finished spans that wait for the exporter; at a thousand calls a second this is two seconds of them.
const QUEUE: usize = 8_192;

/// Opens spans for one process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    application: Arc<str>,
    process: Arc<str>,
    queue: mpsc::Sender<SpanRecord>,
    dropped: AtomicU64,
}

/// The finished spans of one process, for its exporter.
#[derive(Debug)]
pub struct FinishedSpans(mpsc::Receiver<SpanRecord>);

/// A span that is under way. Dropping it unfinished records nothing.
#[derive(Debug)]
pub struct OpenSpan {
    tracer: Option<Arc<Inner>>,
    trace: TraceContext,
    parent: TraceContext,
    name: String,
    kind: SpanKind,
    start: Timestamp,
    started: Instant,
}

impl Tracer {
    /// A tracer for `application`, running as `process`, and where its finished spans come out.
    #[must_use]
    pub fn new(application: &str, process: &str) -> (Self, FinishedSpans) {
        let (queue, finished) = mpsc::channel(QUEUE);
        let inner = Inner { application: application.into(), process: process.into(), queue, dropped: AtomicU64::new(0) };
        (Self(Some(Arc::new(inner))), FinishedSpans(finished))
    }

    /// A tracer that records nothing: identities still cross every edge.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Spans that were dropped because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.dropped.load(Ordering::Relaxed))
    }

    /// Opens the span of a call that is being made.
    pub(crate) fn client(&self, now: Instant, context: &Context, service: &str, method: &str) -> OpenSpan {
        self.open_at(now, context.trace, SpanKind::Client, service, method)
    }

    /// Opens a span below `parent`, named `scope.action`.
    #[must_use]
    pub fn open(&self, parent: TraceContext, kind: SpanKind, scope: &str, action: &str) -> OpenSpan {
        self.open_at(Instant::now(), parent, kind, scope, action)
    }

    /// As [`Tracer::open`], for who knows the time already.
    pub(crate) fn open_at(&self, now: Instant, parent: TraceContext, kind: SpanKind, scope: &str, action: &str) -> OpenSpan {
        let tracer = self.0.as_ref().filter(|tracer| parent.sampled && tracer.takes_a_span()).cloned();
        let (name, start) = match tracer {
            Some(_) => (format!("{scope}.{action}"), env::wall_clock()),
            None => (String::new(), Timestamp::EPOCH),
        };
        OpenSpan { tracer, trace: parent.child(), parent, name, kind, start, started: now }
    }
}

impl Inner {
    /// Whether a span that is opened now is worth its cost. Where thousands a second are dropped, most of them are dropped here.
    fn takes_a_span(&self) -> bool {
        if self.queue.capacity() > 0 || tracing::enabled!(target: "settee::digest", tracing::Level::DEBUG) {
            return true;
        }
        self.dropped.fetch_add(1, Ordering::Relaxed);
        false
    }
}

impl OpenSpan {
    /// `context` with this span as the open one.
    #[must_use]
    pub fn context(&self, mut context: Context) -> Context {
        context.trace = self.trace;
        context
    }

    /// The identities of the span.
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        self.trace
    }

    /// Ends the span with how the work ended.
    pub fn finish(self, outcome: Result<SpanOutcome, &Error>) {
        let Some(tracer) = self.tracer else { return };
        let record = SpanRecord {
            trace: self.trace.trace,
            span: self.trace.span,
            parent: self.parent.span,
            name: self.name,
            kind: self.kind,
            application: tracer.application.to_string(),
            process: tracer.process.to_string(),
            start: self.start,
            duration_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            outcome: outcome.unwrap_or_else(|error| SpanOutcome::Failed(error.code().as_str().to_owned())),
        };
        digest(&record);
        if tracer.queue.try_send(record).is_err() {
            tracer.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One line a finished span, under the target `settee::digest`: what SOFATracer writes to its digest logs.
fn digest(record: &SpanRecord) {
    tracing::debug!(
        target: "settee::digest",
        trace = %record.trace,
        span = %record.span,
        parent = %record.parent,
        kind = ?record.kind,
        application = record.application,
        name = record.name,
        elapsed_us = record.duration_us,
        outcome = ?record.outcome,
    );
}

impl FinishedSpans {
    /// Waits for spans and takes up to `limit` of them; `None` when the tracer is gone.
    ///
    /// # Cancel safety
    /// No span is lost.
    pub async fn take(&mut self, limit: usize) -> Option<Vec<SpanRecord>> {
        let mut batch = Vec::new();
        let taken = self.0.recv_many(&mut batch, limit).await;
        (taken > 0).then_some(batch)
    }

    /// Takes up to `limit` spans that are there now; `None` when there are none.
    pub fn take_ready(&mut self, limit: usize) -> Option<Vec<SpanRecord>> {
        let batch: Vec<_> = std::iter::from_fn(|| self.0.try_recv().ok()).take(limit).collect();
        (!batch.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_drops_spans_and_counts_them_and_never_waits() {
        let (tracer, mut finished) = Tracer::new("payment", "payment-1");
        for _ in 0..QUEUE + 3 {
            tracer.open(TraceContext::root(), SpanKind::Internal, "a", "b").finish(Ok(SpanOutcome::Success));
        }
        assert_eq!(tracer.dropped(), 3);
        assert_eq!(finished.take(usize::MAX).await.unwrap().len(), QUEUE);
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<parking_lot::Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn every_span_that_ends_is_one_line_with_what_an_operator_searches_for() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(move || writer.clone()).with_ansi(false);
        let (tracer, _finished) = Tracer::new("payment", "payment-1");
        let span = tracer.open(TraceContext::root(), SpanKind::Server, "pay.Payment", "transfer");
        let trace = span.trace().trace.to_string();
        tracing::subscriber::with_default(subscriber.finish(), || span.finish(Ok(SpanOutcome::Success)));
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in ["settee::digest", &trace, "kind=Server", "application=\"payment\"", "elapsed_us=", "outcome=Success"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[tokio::test]
    async fn an_unsampled_trace_still_gets_identities() {
        let (tracer, _finished) = Tracer::new("payment", "payment-1");
        let parent = TraceContext { sampled: false, ..TraceContext::root() };
        let span = tracer.open(parent, SpanKind::Client, "a", "b");
        assert_eq!(span.trace().trace, parent.trace);
        assert_ne!(span.trace().span.0, 0);
    }
}
