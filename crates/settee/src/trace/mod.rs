//! Spans: opened at every edge, finished into a bounded queue, never in the way of the work they describe.
//!
//! A full queue drops spans and counts them; a missing or slow collector changes no outcome.

pub mod control;
mod exporter;
mod filter;
mod tracer;
mod tree;

pub use exporter::export;
pub use filter::ServerSpans;
pub use settee_core::trace::{SpanId, SpanKind, SpanOutcome, SpanRecord, TraceContext, TraceId};
pub use tracer::{FinishedSpans, OpenSpan, Tracer};
pub use tree::in_order;
