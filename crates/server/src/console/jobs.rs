//! Jobs: when each is due, and its last runs as a strip.

use maud::{Markup, html};
use settee::Timestamp;
use settee::job::Schedule;
use settee::job::control::{JobView, RunView};

use super::badge::{self, Tone, badge};
use super::layout::{self, Column, Tab};
use super::pager::Pager;
use super::sources::Asked;
use super::{Page, Visit, figure, text};

const COLUMNS: [Column; 6] = [
    Column::Words("Job"),
    Column::Words("State"),
    Column::Words("Schedule"),
    Column::Words("Application"),
    Column::Words("Next due"),
    Column::Words("Last runs, newest first"),
];

/// The page of all jobs.
pub(super) fn page(jobs: Asked<Vec<JobView>>, visit: &Visit) -> Page {
    layout::listing(("Jobs", Tab::Jobs), &jobs, none, |jobs| listed(jobs, visit))
}

/// What stands where no job is.
fn none() -> Markup {
    layout::empty(
        "No job is registered yet.",
        &html! {
            "A service registers one when it starts: " code { "App::job(Job::new(\"reconcile\", handler).cron(\"0 0 2 * * *\"))" } "."
        },
    )
}

fn listed(jobs: &[JobView], visit: &Visit) -> Markup {
    let pager = Pager::of(jobs, visit);
    let rows = html! { @for job in pager.shown { (row(job, visit.now)) } };
    html! {
        (layout::table("Jobs", &COLUMNS, &rows))
        (pager.links(visit, "jobs"))
    }
}

fn row(job: &JobView, now: Timestamp) -> Markup {
    let definition = &job.definition;
    let (tone, state) = state(job, now);
    html! {
        tr {
            th scope="row" { a href={ "/console/jobs/" (definition.name) } { (text::shown(&definition.name)) } }
            td { (badge(tone, state)) }
            td { (schedule(&definition.schedule)) }
            td { (text::shown(&definition.application)) }
            td { (figure::maybe_moment(job.next_due, now)) }
            td { (strip(&job.last_runs, now)) }
        }
    }
}

/// Runs as a row of signs, each with its words.
pub(super) fn strip(runs: &[RunView], now: Timestamp) -> Markup {
    html! {
        @if runs.is_empty() { span.none { "none yet" } } @else {
            ol.runs { @for run in runs {
                @let (tone, state) = badge::of_run(run.state);
                li title=(run.due) { (badge(tone, state)) span { (figure::moment(run.due, now)) } }
            } }
        }
    }
}

/// How late a due time may be before it is overdue: what the scheduler itself calls no misfire.
const LATE: std::time::Duration = settee_core::job::misfire::TOLERANCE;

/// How a job is, in a word.
pub(super) fn state(job: &JobView, now: Timestamp) -> (Tone, &'static str) {
    match job.next_due {
        _ if job.paused => (Tone::Warn, "paused"),
        Some(due) if now.since(due) > LATE => (Tone::Warn, "overdue"),
        Some(_) => (Tone::Good, "active"),
        None => (Tone::Idle, "not due"),
    }
}

/// When a job is due, in the words of its definition.
pub(super) fn schedule(schedule: &Schedule) -> Markup {
    html! { @match schedule {
        Schedule::Cron { expression, zone, .. } => { code { (text::shown(expression)) } " " (text::shown(zone)) },
        Schedule::Every { period, .. } => { "every " (figure::duration(*period)) },
        Schedule::Once { due } => { "once, " time datetime=(due) { (due) } },
        Schedule::OnDemand => "on demand",
    } }
}
