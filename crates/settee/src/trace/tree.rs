//! The spans of one trace as the tree that they are: who started what.
//!
//! Left out: how it is drawn. The command line does it with letters, the console with bars.

use std::collections::{BTreeMap, BTreeSet};

use settee_core::trace::{SpanId, SpanRecord};

/// Each span behind its parent, with how deep it is; siblings in the order of `spans`.
///
/// Every span comes once, whatever foreign processes say of their parents: one whose parent is not here stands at the margin, and
/// so do spans that name each other.
///
/// ```
/// assert!(settee::trace::in_order(&[]).is_empty());
/// ```
#[must_use]
pub fn in_order(spans: &[SpanRecord]) -> Vec<(usize, &SpanRecord)> {
    let known: BTreeSet<_> = spans.iter().map(|span| span.span).collect();
    let mut children: BTreeMap<SpanId, Vec<&SpanRecord>> = BTreeMap::new();
    let mut waiting = Vec::new();
    for span in spans.iter().rev() {
        match known.contains(&span.parent) && span.parent != span.span {
            true => children.entry(span.parent).or_default().push(span),
            false => waiting.push((0, span)),
        }
    }
    let mut ordered = Vec::with_capacity(spans.len());
    // By a stack of our own: a foreign chain of spans must not use up the process's.
    while let Some((depth, span)) = waiting.pop() {
        ordered.push((depth, span));
        waiting.extend(children.remove(&span.span).unwrap_or_default().into_iter().map(|child| (depth + 1, child)));
    }
    // Spans that say of each other that they are the parent: nobody makes them, and none may be left out.
    ordered.extend(children.into_values().flatten().map(|span| (0, span)));
    ordered
}

#[cfg(test)]
mod tests {
    use settee_core::Timestamp;
    use settee_core::trace::{SpanKind, SpanOutcome, TraceId};

    use super::*;

    fn span(id: u64, parent: u64) -> SpanRecord {
        SpanRecord {
            trace: TraceId(1),
            span: SpanId(id),
            parent: SpanId(parent),
            name: format!("s{id}"),
            kind: SpanKind::Internal,
            application: "a".into(),
            process: "a".into(),
            start: Timestamp::EPOCH,
            duration_us: 1,
            outcome: SpanOutcome::Success,
        }
    }

    fn lines(spans: &[SpanRecord]) -> Vec<(u64, usize)> {
        in_order(spans).iter().map(|(depth, span)| (span.span.0, *depth)).collect()
    }

    #[test]
    fn a_span_stands_below_its_parent_and_one_without_its_parent_at_the_margin() {
        let spans = [span(1, 0), span(4, 9), span(2, 1), span(3, 2), span(5, 1)];
        assert_eq!(lines(&spans), [(1, 0), (2, 1), (3, 2), (5, 1), (4, 0)]);
    }

    #[test]
    fn no_span_is_left_out_or_doubled_whatever_parents_are_named() {
        let spans = [span(1, 2), span(2, 1), span(3, 3), span(4, 4), span(4, 4), span(5, 9)];
        let mut ids: Vec<_> = lines(&spans).into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3, 4, 4, 5]);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let spans: Vec<_> = (1..=100_000).map(|id| span(id, id - 1)).collect();
        assert_eq!(lines(&spans).last(), Some(&(100_000, 99_999)));
    }
}
