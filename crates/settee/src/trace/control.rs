//! What a collector of traces answers.

use serde::{Deserialize, Serialize};
use settee_core::Timestamp;
use settee_core::trace::{SpanRecord, TraceId};

use crate::{Reply, service};

/// Keeps recent traces. Served by `settee server`.
#[service("settee.Traces")]
pub trait TraceControl {
    /// Takes finished spans. Repeating it stores them twice, so it is not repeated: a lost batch is lost.
    async fn ingest(&self, spans: Vec<SpanRecord>) -> Reply<()>;

    /// The latest traces, newest first, at most `limit`.
    #[rpc(idempotent)]
    async fn recent(&self, limit: u32) -> Reply<Vec<TraceSummary>>;

    /// Every kept span of a trace, in order of start; empty if it is not kept.
    #[rpc(idempotent)]
    async fn show(&self, trace: TraceId) -> Reply<Vec<SpanRecord>>;

    /// What was taken in since the collector started.
    #[rpc(idempotent)]
    async fn stats(&self) -> Reply<TraceStats>;
}

/// One trace in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceSummary {
    /// The trace.
    pub trace: TraceId,
    /// What its first span did.
    pub name: String,
    /// When it started.
    pub start: Timestamp,
    /// From the first start to the last end, in microseconds.
    pub duration_us: u64,
    /// Spans kept.
    pub spans: u32,
    /// Processes that took part.
    pub processes: u32,
    /// Whether a span failed.
    pub failed: bool,
}

/// Counts of a collector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceStats {
    /// Spans taken in.
    pub spans: u64,
    /// Processes heard of.
    pub processes: u32,
    /// Most processes in one kept trace.
    pub widest: u32,
    /// The slowest kept trace that `widest` processes or more took part in, else the slowest.
    pub slowest: Option<TraceId>,
}
