//! The headers that carry a context over an edge: `traceparent`, deadline, caller, criticality, baggage.
//!
//! The input is a header a line, `key: value`, as HTTP has them; the first line is also read as a `traceparent` alone.

use settee::Context;
use settee::rpc::{ContextReader, write_context};
use settee_core::context::Criticality;
use settee_core::trace::{SpanId, TraceContext, TraceId};

use crate::budget::Budget;

/// A line is a pair of a tree.
const BUDGET: Budget = Budget { fixed: 16 << 10, per_byte: 64 };

/// Checks one input.
///
/// # Panics
/// When something does not hold.
pub fn one(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let first = text.lines().next().unwrap_or_default();
    trace(first);
    identities(first);
    let headers: Vec<_> = text.lines().filter_map(|line| line.split_once(": ")).collect();
    let context = BUDGET.spend(input.len(), || read(headers.iter().copied()));
    carried(&context);
}

fn trace(text: &str) {
    let Ok(read) = text.parse::<TraceContext>() else { return };
    assert!(read.trace.0 != 0 && read.span.0 != 0, "zero is nobody");
    let written = read.to_string();
    assert_eq!(written.parse(), Ok(read), "{text:?}");
    // Of the flags only one is ours; a later version may say more behind them.
    let ours = "00-".len() + 32 + 1 + 16;
    assert!(text.len() >= written.len() && text[2..ours] == written[2..ours], "{text:?} became {written:?}");
}

fn identities(text: &str) {
    if let Ok(id) = text.parse::<TraceId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Ok(id) = text.parse::<SpanId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}

fn read<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Context {
    let mut reader = ContextReader::default();
    for (key, value) in headers {
        reader.header(key, value);
    }
    reader.finish(None)
}

fn carried(context: &Context) {
    assert!(context.criticality != Criticality::Control, "a peer cannot claim to be settee itself");
    let carried: usize = context.baggage.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert!(carried <= Context::BAGGAGE_LIMIT, "{carried} bytes of baggage");

    let mut written = Vec::new();
    write_context(context, context.remaining(), |key, value| written.push((key.to_owned(), value.to_owned())));
    let again = read(written.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    assert_eq!((&again.caller, again.criticality, &again.baggage), (&context.caller, context.criticality, &context.baggage));
    assert_eq!(again.deadline.is_some(), context.deadline.is_some());
    if context.trace.span.0 != 0 {
        assert_eq!(again.trace, context.trace);
    }
}
