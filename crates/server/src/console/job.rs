//! One job: how it is defined, and its runs with their slices.

use maud::{Markup, html};
use settee::Timestamp;
use settee::job::control::{JobView, RunView, SliceView, Slices};
use settee::job::{Misfire, Overlap};

use super::badge::{self, badge};
use super::layout::{self, Column, Tab};
use super::pager::Pager;
use super::sources::{Asked, Sources};
use super::{Page, Visit, figure, jobs, text};

/// Runs that are looked at: all that a coordinator keeps of a job that is well.
const RUNS: u32 = 200;

const COLUMNS: [Column; 7] = [
    Column::Words("Due"),
    Column::Words("State"),
    Column::Number("Slice"),
    Column::Words("Worker"),
    Column::Number("Attempt"),
    Column::Words("Slice's state"),
    Column::Words("Result"),
];

/// What the page shows.
pub(super) struct Job {
    pub(super) name: String,
    pub(super) job: Asked<Option<JobView>>,
    pub(super) runs: Asked<Vec<RunView>>,
}

impl Job {
    pub(super) async fn ask(sources: &Sources, name: &str) -> Self {
        let (jobs, runs) = futures::join!(sources.jobs(), sources.runs(name, RUNS));
        let job = jobs.map(|jobs| jobs.into_iter().find(|job| job.definition.name == name));
        Self { name: name.to_owned(), job, runs }
    }

    pub(super) fn page(self, visit: &Visit) -> Page {
        let title = format!("Job {}", text::plain(&self.name));
        match &self.job {
            Ok(Some(job)) => Page::new(title, Tab::Jobs, self.shown(job, visit)),
            Ok(None) => {
                let why = html! { "There is no job " code { (text::plain(&self.name)) } ". A service registers its jobs when it starts. Those there are: " code { "settee ls jobs" } "." };
                layout::absent(Tab::Jobs, "No such job", &why)
            }
            Err(error) => layout::failed(Tab::Jobs, title, error),
        }
    }

    fn shown(&self, job: &JobView, visit: &Visit) -> Markup {
        let (tone, state) = jobs::state(job, visit.now);
        html! {
            (layout::head(Some(("/console/jobs", "Jobs")), &text::shown(&job.definition.name), &badge(tone, state)))
            section.card { dl.facts { (facts(job, visit.now)) } }
            @match &self.runs {
                Err(error) => (layout::card("Runs", &html! {}, &layout::unanswered(error))),
                Ok(runs) if runs.is_empty() => (layout::card("Runs", &html! {}, &no_runs(job, visit.now))),
                Ok(runs) => (layout::card("Runs and their slices", &html! { span.none { "newest first" } }, &listed(runs, visit))),
            }
        }
    }
}

fn facts(job: &JobView, now: Timestamp) -> Markup {
    let definition = &job.definition;
    let misfire = match definition.misfire {
        Misfire::Skip => "left out",
        Misfire::Once => "made up for once",
        Misfire::All { .. } => "each made up for",
    };
    let overlap = match definition.overlap {
        Overlap::Skip => "left out",
        Overlap::Queue => "waits for its turn",
        Overlap::Allow => "runs beside it",
    };
    html! {
        (layout::fact("schedule", &jobs::schedule(&definition.schedule)))
        (layout::fact("next due", &figure::maybe_moment(job.next_due, now)))
        (layout::fact("application", &text::shown(&definition.application)))
        (layout::fact("slices", &html! { @match definition.slices { Slices::One => "one", Slices::PerShare => "one for each share" } }))
        (layout::fact("may happen twice", &html! { @if definition.idempotent { "yes" } @else { "no" } }))
        (layout::fact("attempts", &html! { (definition.retry.attempts.max(1)) ", " (figure::duration(std::time::Duration::from_millis(definition.timeout_ms))) " each" }))
        (layout::fact("missed due times", &html! { (misfire) }))
        (layout::fact("due while one is open", &html! { (overlap) }))
        (layout::fact("version", &html! { (job.version) }))
    }
}

fn no_runs(job: &JobView, now: Timestamp) -> Markup {
    let trigger = format!("{{\"trigger\":{{\"job\":\"{}\",\"due\":{}}}}}", job.definition.name, now.micros());
    layout::empty(
        "It has not run yet.",
        &html! {
            "It runs when it is due, or when it is triggered: "
            code { "settee call settee.Jobs.trigger '" (trigger) "'" } "."
        },
    )
}

fn listed(runs: &[RunView], visit: &Visit) -> Markup {
    let pager = Pager::of(runs, visit);
    let rows = html! { @for run in pager.shown { (rows(run, visit.now)) } };
    html! {
        (layout::table("Runs and their slices", &COLUMNS, &rows))
        (pager.links(visit, "runs"))
    }
}

fn rows(run: &RunView, now: Timestamp) -> Markup {
    let lines = run.slices.len().max(1);
    let (tone, state) = badge::of_run(run.state);
    html! {
        @for line in 0..lines {
            tr.more[line > 0] {
                @if line == 0 {
                    th scope="row" rowspan=(lines) {
                        (figure::moment(run.due, now))
                        @if let Some(reference) = &run.reference { div.why { (text::shown(reference)) } }
                    }
                    td rowspan=(lines) { (badge(tone, state)) }
                }
                @match run.slices.get(line) {
                    Some(slice) => (slice_cells(slice)),
                    None => td colspan="5" { span.none { "no worker was sought yet" } },
                }
            }
        }
    }
}

fn slice_cells(slice: &SliceView) -> Markup {
    let (tone, state) = badge::of_run(slice.state);
    let said = slice.cause.as_deref().or(slice.result.as_deref());
    html! {
        td.n { (slice.slice) }
        td { @match slice.worker { Some(worker) => code { (worker) }, None => span.none { "–" } } }
        td.n { (slice.attempt) }
        td { (badge(tone, state)) }
        td.why { (text::maybe(said)) }
    }
}
