//! Recent traces: how long they took as a picture, and each with a way to its waterfall.

use std::time::Duration;

use maud::{Markup, html};
use settee::trace::control::TraceSummary;

use super::badge::{Tone, badge};
use super::chart::{self, BARS, Bar};
use super::layout::{self, Column, Tab};
use super::pager::Pager;
use super::sources::{self, Asked};
use super::{Page, Visit, figure, text};

/// Traces that are looked at, the newest of those that the server keeps.
pub(super) const LOOKED_AT: u32 = 1_000;

const COLUMNS: [Column; 7] = [
    Column::Words("Trace"),
    Column::Words("Began with"),
    Column::Words("When"),
    Column::Number("Took"),
    Column::Number("Spans"),
    Column::Number("Processes"),
    Column::Words("Failures"),
];

/// Which traces, and in which order. Calls to settee itself are many and say little, so they come only where they are asked for, or
/// failed.
const SHOWS: [(&str, &str); 4] =
    [("newest", "Newest first"), ("slowest", "Slowest first"), ("failed", "With a failure"), ("all", "All, settee's own too")];

/// The page of recent traces.
pub(super) fn page(traces: Asked<Vec<TraceSummary>>, visit: &Visit) -> Page {
    let body = html! {
        (layout::head(None, &html! { "Traces" }, &html! {}))
        @match traces {
            Err(error) => (layout::unanswered(&error)),
            Ok(traces) if traces.is_empty() => section.card { (none()) },
            Ok(traces) => (listed(traces, visit)),
        }
    };
    Page::new("Traces", Tab::Traces, body)
}

/// What stands where no trace is.
fn none() -> Markup {
    layout::empty(
        "No trace is kept.",
        &html! {
            "Every call, message and run leaves spans here, unless a process is started with " code { "settee.trace = false" }
            ". The server keeps the last ones in memory; a restart forgets them."
        },
    )
}

fn listed(traces: Vec<TraceSummary>, visit: &Visit) -> Markup {
    let show = visit.query.get("show").unwrap_or_default();
    let (picture, looked_at) = (strip(&traces), traces.len());
    let chosen = chosen(traces, show);
    let pager = Pager::of(&chosen, visit);
    let rows = html! { @for trace in pager.shown { (row(trace, visit)) } };
    html! {
        (layout::card(&format!("The last {BARS}"), &html! { span.none { "oldest to newest, taller is slower" } }, &picture))
        section.card {
            div.tools { (filters(show, visit)) }
            @if chosen.is_empty() {
                (layout::empty("None is like that.", &html! { (figure::counted(looked_at as u64, "recent trace")) " looked at." }))
            } @else {
                (layout::table("Recent traces", &COLUMNS, &rows))
                (pager.links(visit, "recent traces"))
            }
        }
    }
}

fn chosen(mut traces: Vec<TraceSummary>, show: &str) -> Vec<TraceSummary> {
    match show {
        "all" => {}
        "failed" => traces.retain(|trace| trace.failed),
        _ => traces.retain(|trace| !sources::is_own(&trace.name)),
    }
    if show == "slowest" {
        traces.sort_by_key(|trace| std::cmp::Reverse(trace.duration_us));
    }
    traces
}

fn filters(show: &str, visit: &Visit) -> Markup {
    let base = visit.query.without("page");
    let is_known = SHOWS.iter().any(|(word, _)| *word == show);
    html! {
        nav.filters aria-label="Which traces" {
            @for (word, name) in SHOWS {
                @let is_here = word == show || (!is_known && word == SHOWS[0].0);
                a href=(base.with("show", word).link(&visit.path)) aria-current=[is_here.then_some("true")] { (name) }
            }
        }
    }
}

/// The durations of the newest traces of services, from the oldest of them on.
pub(super) fn strip(traces: &[TraceSummary]) -> Markup {
    let newest: Vec<_> = traces.iter().filter(|trace| !sources::is_own(&trace.name)).take(BARS).collect();
    let bar = |trace: &&TraceSummary| Bar {
        duration: took(trace),
        tone: if trace.failed { Tone::Bad } else { Tone::Busy },
        title: format!("{}, {}", text::plain(&trace.name), figure::duration(took(trace))),
    };
    let bars: Vec<_> = newest.iter().rev().map(bar).collect();
    let failed = newest.iter().filter(|trace| trace.failed).count();
    let slowest = newest.iter().map(|trace| took(trace)).max().unwrap_or_default();
    let slowest = figure::duration(slowest);
    chart::strip(&bars, &format!("{} traces, {failed} with a failure, the slowest took {slowest}", bars.len()))
}

fn took(trace: &TraceSummary) -> Duration {
    Duration::from_micros(trace.duration_us)
}

fn row(trace: &TraceSummary, visit: &Visit) -> Markup {
    let id = trace.trace.to_string();
    html! {
        tr {
            th scope="row" { a href={ "/console/traces/" (id) } { (text::identity(&id)) } }
            td { (text::shown(&trace.name)) }
            td { (figure::moment(trace.start, visit.now)) }
            td.n { (figure::duration(took(trace))) }
            td.n { (trace.spans) }
            td.n { (trace.processes) }
            td { @if trace.failed { (badge(Tone::Bad, "failed")) } @else { span.none { "none" } } }
        }
    }
}
