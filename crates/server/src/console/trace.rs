//! One trace as a waterfall: every span where it lies in time, below the span that started it, in the colour of its application.

use std::time::Duration;

use maud::{Markup, html};
use settee::Timestamp;
use settee::trace::{SpanKind, SpanOutcome, SpanRecord, TraceId, in_order};

use super::badge::{self, badge};
use super::chart::{self, Stretch};
use super::layout::{self, Column, Tab};
use super::sources::Asked;
use super::{Page, Visit, figure, text};

/// Spans that are drawn. A trace of more is a loop, and its first ones say so.
const DRAWN: usize = 300;

/// Colours of applications; a ninth has that of the first, and its name beside it like all.
const COLOURS: usize = 8;

/// Levels that are indented: deeper ones stay on the page.
const DEEPEST: usize = 12;

/// The page of one trace.
pub(super) fn page(trace: TraceId, spans: Asked<Vec<SpanRecord>>, visit: &Visit) -> Page {
    let title = format!("Trace {trace}");
    match spans {
        Ok(spans) if spans.is_empty() => absent(&trace.to_string()),
        Ok(spans) => Page::new(title, Tab::Traces, shown(trace, &spans, visit)),
        Err(error) => layout::failed(Tab::Traces, title, &error),
    }
}

/// The page of a trace that is not here, or cannot be one.
pub(super) fn absent(id: &str) -> Page {
    let why = html! {
        "No span of " code { (text::plain(id)) } " is kept: it was not traced, newer traces took its place, or it is no id of a trace. "
        "The latest: " code { "settee traces ls" } "."
    };
    layout::absent(Tab::Traces, "No such trace", &why)
}

/// What all spans of a trace are measured by.
struct Waterfall<'a> {
    begun: Timestamp,
    whole: Duration,
    /// In the order in which they come in.
    applications: Vec<&'a str>,
}

fn shown(trace: TraceId, spans: &[SpanRecord], visit: &Visit) -> Markup {
    let waterfall = Waterfall::of(spans);
    let failed = spans.iter().filter(|span| matches!(span.outcome, SpanOutcome::Failed(_))).count();
    let mut processes: Vec<_> = spans.iter().map(|span| &span.process).collect();
    processes.sort_unstable();
    processes.dedup();
    let columns = [Column::Words("Span"), Column::Axis(waterfall.whole), Column::Number("Took"), Column::Words("Outcome")];
    let rows = html! { @for (depth, span) in in_order(spans).into_iter().take(DRAWN) { (waterfall.row(depth, span)) } };
    html! {
        (layout::head(Some(("/console/traces", "Traces")), &html! { code { (trace) } }, &html! {}))
        section.card { dl.facts {
            (layout::fact("began", &figure::moment(waterfall.begun, visit.now)))
            (layout::fact("took", &html! { (figure::duration(waterfall.whole)) }))
            (layout::fact("spans", &html! { (figure::length(spans.len())) }))
            (layout::fact("processes", &html! { (processes.len()) }))
            (layout::fact("failed spans", &html! { (failed) }))
        } }
        (layout::card("Waterfall", &waterfall.legend(), &layout::table("Waterfall", &columns, &rows)))
        @if spans.len() > DRAWN { p.note { "The first " (DRAWN) " of " (figure::length(spans.len())) " spans are drawn." } }
        p.note { "Each span's place is by the wall clock of its own process: clocks of several machines may differ by more than a call takes." }
    }
}

impl<'a> Waterfall<'a> {
    fn of(spans: &'a [SpanRecord]) -> Self {
        let begun = spans.iter().map(|span| span.start).min().unwrap_or_default();
        let end = spans.iter().map(|span| span.start.after(Duration::from_micros(span.duration_us))).max().unwrap_or(begun);
        let mut applications = Vec::new();
        for span in spans {
            if !applications.contains(&span.application.as_str()) {
                applications.push(span.application.as_str());
            }
        }
        Self { begun, whole: end.since(begun), applications }
    }

    fn colour(&self, application: &str) -> String {
        let index = self.applications.iter().position(|known| *known == application).unwrap_or(0);
        format!("c{}", index % COLOURS)
    }

    fn legend(&self) -> Markup {
        html! { span.key { @for application in self.applications.iter().take(DRAWN) { span.(self.colour(application)) { (text::shown(application)) } } } }
    }

    fn row(&self, depth: usize, span: &SpanRecord) -> Markup {
        let duration = Duration::from_micros(span.duration_us);
        let from = span.start.since(self.begun);
        let title = format!("{} in {}", figure::duration(duration), text::plain(&span.process));
        let stretch = Stretch { from, to: from + duration, class: self.colour(&span.application), title };
        let (tone, outcome) = badge::of_outcome(&span.outcome);
        html! {
            tr {
                th.span scope="row" {
                    @for _ in 0..depth.min(DEEPEST) { i.deeper {} }
                    (text::shown(&span.name)) span.who { (text::shown(&span.application)) " " (kind(span.kind)) }
                }
                td.time { (chart::track(&[stretch], self.whole)) }
                td.n { (figure::duration(duration)) }
                td { @if span.outcome == SpanOutcome::Success { span.none { (outcome) } } @else { (badge(tone, &outcome)) } }
            }
        }
    }
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Client => "calls",
        SpanKind::Server => "serves",
        SpanKind::Producer => "publishes",
        SpanKind::Consumer => "consumes",
        SpanKind::Job => "runs",
        SpanKind::Internal => "works",
    }
}
