//! A finished span: what happened, where, how long it took and how it ended.

use serde::{Deserialize, Serialize};

use super::{SpanId, TraceId};
use crate::time::Timestamp;

/// One finished span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanRecord {
    /// The trace it belongs to.
    pub trace: TraceId,
    /// Its own identity.
    pub span: SpanId,
    /// The span that started it; zero at a root.
    pub parent: SpanId,
    /// What was done, such as `pay.Account.balance`.
    pub name: String,
    /// Which side of which edge.
    pub kind: SpanKind,
    /// The application that did it.
    pub application: String,
    /// The process that did it: unique while it runs.
    pub process: String,
    /// When it started, by that process's wall clock.
    pub start: Timestamp,
    /// How long it took, in microseconds, by its monotonic clock.
    pub duration_us: u64,
    /// How it ended.
    pub outcome: SpanOutcome,
}

/// Which side of which edge a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// A call as its caller sees it.
    Client,
    /// A call as its server sees it.
    Server,
    /// A message as its sender sees it.
    Producer,
    /// A message as its handler sees it.
    Consumer,
    /// A run of a job.
    Job,
    /// Work inside a process.
    Internal,
}

/// How a span ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanOutcome {
    /// As it should.
    Success,
    /// With a business "no".
    Refused,
    /// With a failure of this code.
    Failed(String),
}
