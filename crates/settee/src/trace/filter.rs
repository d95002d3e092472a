//! The serving side of a call's span.

use settee_core::trace::{SpanKind, SpanOutcome};

use super::Tracer;
use crate::rpc::{Answer, Filter, Incoming, Next};

/// Services whose calls are not traced: spans about sending spans would never end, and the registry's streams are endless.
const UNTRACED: &[&str] = &["settee.Traces", "settee.Registry"];

/// Opens a server span around every call.
#[derive(Clone, Debug)]
pub struct ServerSpans(Tracer);

impl ServerSpans {
    /// Spans of `tracer`.
    #[must_use]
    pub fn new(tracer: Tracer) -> Self {
        Self(tracer)
    }
}

impl Filter for ServerSpans {
    fn call(&self, mut incoming: Incoming, next: Next) -> crate::expand::BoxFuture<'static, Answer> {
        if UNTRACED.contains(&incoming.service.name) {
            return next.run(incoming);
        }
        let span = self.0.open(incoming.context.trace, SpanKind::Server, incoming.service.name, incoming.descriptor().name);
        incoming.context = span.context(incoming.context);
        Box::pin(async move {
            let context = incoming.context.clone();
            let answer = context.scope(next.run(incoming)).await;
            span.finish(match &answer {
                Answer::Value(_) | Answer::Stream(_) => Ok(SpanOutcome::Success),
                Answer::Refused { .. } => Ok(SpanOutcome::Refused),
                Answer::Failed(error) => Err(error),
            });
            answer
        })
    }
}
