//! Moves finished spans to the collector, in batches, and never holds anybody up: what cannot be sent is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use settee_core::shutdown::Shutdown;

use super::control::{TraceControl, TraceControlClient};
use super::tracer::FinishedSpans;

/// Spans of one batch at most: a frame of some 200 KiB.
const BATCH: usize = 512;

/// Between two batches, so that a batch is worth its call.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the last spans may take at a stop.
const FLUSH: Duration = Duration::from_millis(500);

/// Exports until the tracer is gone or the stop; then flushes once. Counts dropped spans in `lost`.
///
/// # Cancel safety
/// Spans of the batch that is under way are lost.
pub async fn export(mut finished: FinishedSpans, collector: TraceControlClient, lost: Arc<AtomicU64>, shutdown: Shutdown) {
    while let Some(Some(batch)) = shutdown.or(finished.take(BATCH)).await {
        send(&collector, batch, &lost).await;
        if shutdown.or(tokio::time::sleep(PAUSE)).await.is_none() {
            break;
        }
    }
    let flush = async {
        while let Some(batch) = finished.take_ready(BATCH) {
            send(&collector, batch, &lost).await;
        }
    };
    let _what_is_left_is_lost = tokio::time::timeout(FLUSH, flush).await;
}

async fn send(collector: &TraceControlClient, batch: Vec<settee_core::trace::SpanRecord>, lost: &AtomicU64) {
    let count = batch.len();
    if let Err(error) = collector.ingest(batch).await {
        lost.fetch_add(count as u64, Ordering::Relaxed);
        tracing::debug!(%error, count, "export spans");
    }
}
