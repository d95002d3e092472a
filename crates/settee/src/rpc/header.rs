//! The header keys between settee peers, and how a [`Context`] becomes headers and comes back.
//!
//! Time crosses as the time that is left, never as a wall-clock moment: two machines need not agree on the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use settee_core::context::Criticality;
use settee_core::planted::Bug;
use settee_core::trace::TraceContext;
use settee_core::{Context, Timestamp, env};

pub(crate) const SERVICE: &str = "service";
pub(crate) const METHOD: &str = "method";
pub(crate) const CALLER: &str = "app";
pub(crate) const TRACE: &str = "traceparent";
pub(crate) const DEADLINE: &str = "deadline_ms";
pub(crate) const CRITICALITY: &str = "criticality";
pub(crate) const CREDIT: &str = "credit";
pub(crate) const XID: &str = "xid";
pub(crate) const STREAM: &str = "stream";
pub(crate) const OUTCOME: &str = "outcome";
pub(crate) const REFUSAL: &str = "refusal";
pub(crate) const BAGGAGE: &str = "baggage.";

/// Values of [`OUTCOME`]; absent means a value.
pub(crate) const REFUSED: &str = "refused";
pub(crate) const FAILED: &str = "failed";

/// Writes `context` as headers; `left` is the time before its deadline.
pub fn write_context(context: &Context, left: Option<Duration>, mut put: impl FnMut(&str, &str)) {
    put(TRACE, context.trace.header().as_str());
    if !context.caller.is_empty() {
        put(CALLER, &context.caller);
    }
    if let Some(left) = left.map(|left| left + wall_clock_if_planted()) {
        put(DEADLINE, itoa::Buffer::new().format(left.as_millis()));
    }
    if context.criticality != Criticality::Normal {
        put(CRITICALITY, criticality_name(context.criticality));
    }
    let mut budget = Context::BAGGAGE_LIMIT;
    for (key, value) in &*context.baggage {
        let Some(left) = budget.checked_sub(key.len() + value.len()) else { break };
        budget = left;
        put(&format!("{BAGGAGE}{key}"), value);
    }
}

/// Collects a context from headers. What cannot be read is left out: a bad header never fails a call.
#[derive(Debug, Default)]
pub struct ContextReader {
    trace: Option<TraceContext>,
    deadline: Option<Duration>,
    caller: Option<Arc<str>>,
    criticality: Criticality,
    baggage: BTreeMap<String, String>,
    baggage_bytes: usize,
}

impl ContextReader {
    /// Takes a header in; what it is about decides whether it counts.
    pub fn header(&mut self, key: &str, value: &str) {
        match key {
            TRACE => self.trace = value.parse().ok(),
            DEADLINE => {
                let left = value.parse().ok().map(Duration::from_millis);
                self.deadline = left.map(|left| left.saturating_sub(wall_clock_if_planted()));
            }
            CALLER => self.caller = Some(value.into()),
            CRITICALITY => self.criticality = criticality_of(value),
            _ => self.baggage(key, value),
        }
    }

    fn baggage(&mut self, key: &str, value: &str) {
        let Some(key) = key.strip_prefix(BAGGAGE) else { return };
        self.baggage_bytes += key.len() + value.len();
        if self.baggage_bytes <= Context::BAGGAGE_LIMIT {
            self.baggage.insert(key.to_owned(), value.to_owned());
        }
    }

    /// The context; `timeout` is the frame's own, where the sender wrote no deadline header.
    #[must_use]
    pub fn finish(self, timeout: Option<Duration>) -> Context {
        let mut context = Context::of_trace(self.trace.unwrap_or_else(TraceContext::root), "");
        context.caller = self.caller.unwrap_or(context.caller);
        context.criticality = self.criticality;
        if !self.baggage.is_empty() {
            context.baggage = Arc::new(self.baggage);
        }
        match self.deadline.or(timeout) {
            Some(left) => context.with_timeout(left),
            None => context,
        }
    }
}

/// The time that [`Bug::WallClockDeadline`] counts deadlines from; nothing without it.
fn wall_clock_if_planted() -> Duration {
    if Bug::WallClockDeadline.is_planted() { env::wall_clock().since(Timestamp::EPOCH) } else { Duration::ZERO }
}

fn criticality_name(criticality: Criticality) -> &'static str {
    match criticality {
        Criticality::Sheddable => "sheddable",
        Criticality::Normal => "normal",
        Criticality::Critical => "critical",
        Criticality::Control => "control",
    }
}

/// Only settee's own control services may be control traffic, and they are known by name: a peer cannot claim it.
fn criticality_of(name: &str) -> Criticality {
    match name {
        "sheddable" => Criticality::Sheddable,
        "critical" => Criticality::Critical,
        _ => Criticality::Normal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(context: &Context) -> Context {
        let mut reader = ContextReader::default();
        write_context(context, context.remaining(), |key, value| reader.header(key, value));
        reader.finish(None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_context_crosses_an_edge_with_the_time_that_is_left() {
        let mut context = Context::root("payment").with_timeout(Duration::from_secs(3));
        context.trace = context.trace.child();
        tokio::time::advance(Duration::from_secs(1)).await;
        let carried = carried(&context);
        assert_eq!(carried.trace, context.trace);
        assert_eq!(carried.remaining(), Some(Duration::from_secs(2)));
        assert_eq!(&*carried.caller, "payment");
    }

    #[test]
    fn baggage_over_its_limit_stays_behind_on_both_sides() {
        let mut context = Context::root("a");
        let long = "x".repeat(Context::BAGGAGE_LIMIT);
        context.baggage = Arc::new([("a".into(), "1".into()), ("b".into(), long)].into());
        assert_eq!(carried(&context).baggage.len(), 1);
    }
}
