//! The tiles of the overview: one figure for each component, what belongs to it in a line, and a picture where there is one.

use maud::{Markup, html};
use settee::Timestamp;
use settee::job::control::{JobView, RunStatus};
use settee::mq::control::TopicView;
use settee::registry::control::ServiceView;
use settee::trace::control::{TraceStats, TraceSummary};
use settee::txn::TransactionStats;

use super::Overview;
use crate::console::badge::Tone;
use crate::console::chart::{self, Part};
use crate::console::sources::{self, Asked};
use crate::console::{figure, traces, transactions};

/// What stands on a tile.
struct Tile {
    figure: String,
    of: &'static str,
    line: Markup,
    picture: Markup,
}

/// All tiles.
pub(super) fn of(overview: &Overview, now: Timestamp) -> Markup {
    html! {
        div.tiles {
            (tile("Instances", "/console/instances", &overview.services, |services| of_services(services)))
            (tile("Transactions", "/console/transactions", &overview.transactions, of_transactions))
            (tile("Messages", "/console/topics", &overview.topics, |topics| of_topics(topics)))
            (tile("Jobs", "/console/jobs", &overview.jobs, |jobs| of_jobs(jobs, now)))
            (tile("Traces", "/console/traces", &overview.traces, |traces| of_traces(traces, overview.trace_stats.as_ref().ok())))
        }
    }
}

fn tile<T>(name: &str, link: &str, asked: &Asked<T>, show: impl FnOnce(&T) -> Tile) -> Markup {
    html! {
        a.tile href=(link) {
            h2 { (name) }
            @match asked {
                Ok(answer) => {
                    @let Tile { figure, of, line, picture } = show(answer);
                    p.figure { b { (figure) } " " (of) }
                    p.about { (line) }
                    (picture)
                },
                Err(_) => p.figure { b { "?" } " no answer" },
            }
        }
    }
}

fn of_services(all: &[ServiceView]) -> Tile {
    let users = all.iter().filter(|service| !sources::is_own(&service.name));
    let (served, missing): (Vec<_>, Vec<_>) = users.partition(|service| !service.instances.is_empty());
    let instances: usize = served.iter().map(|service| service.instances.len()).sum();
    let orphans: usize = served.iter().map(|service| service.orphans.len()).sum();
    let parts = [
        Part { name: "published", tone: Tone::Good, count: (instances - orphans.min(instances)) as u64 },
        Part { name: "orphans", tone: Tone::Warn, count: orphans as u64 },
    ];
    Tile {
        figure: figure::length(instances),
        of: if instances == 1 { "instance" } else { "instances" },
        line: html! { "of " (figure::counted(served.len() as u64, "service")) @if !missing.is_empty() { ", " (missing.len()) " served by nobody" } },
        picture: chart::shares(&parts),
    }
}

fn of_transactions(stats: &TransactionStats) -> Tile {
    Tile {
        figure: figure::count(stats.open),
        of: "open",
        line: html! {
            @if stats.parked > 0 { b { (figure::count(stats.parked)) " parked" } ", " }
            (figure::count(stats.committed)) " committed, " (figure::count(stats.aborted)) " aborted"
        },
        picture: chart::shares(&transactions::parts(stats)),
    }
}

fn of_topics(topics: &[TopicView]) -> Tile {
    let groups = || topics.iter().flat_map(|topic| &topic.groups);
    let (lag, dead): (u64, u64) = (groups().map(|group| group.lag_messages).sum(), groups().map(|group| group.dead).sum());
    let stored: u64 = topics.iter().map(|topic| topic.messages).sum();
    // Each group has its own copy to do.
    let due: u64 = topics.iter().map(|topic| topic.messages * topic.groups.len() as u64).sum();
    let parts = [
        Part { name: "done", tone: Tone::Good, count: due.saturating_sub(lag + dead) },
        Part { name: "to do", tone: Tone::Busy, count: lag },
        Part { name: "dead letters", tone: Tone::Warn, count: dead },
    ];
    Tile {
        figure: figure::count(lag),
        of: "to do",
        line: html! {
            (figure::count(stored)) " stored in " (figure::counted(topics.len() as u64, "topic"))
            @if dead > 0 { ", " b { (figure::counted(dead, "dead letter")) } }
        },
        picture: chart::shares(&parts),
    }
}

fn of_jobs(jobs: &[JobView], now: Timestamp) -> Tile {
    let next = jobs.iter().filter_map(|job| job.next_due).min();
    let runs = || jobs.iter().flat_map(|job| &job.last_runs).map(|run| run.state);
    let count = |is: fn(RunStatus) -> bool| runs().filter(|state| is(*state)).count() as u64;
    let parts = [
        Part { name: "succeeded", tone: Tone::Good, count: count(|state| state == RunStatus::Succeeded) },
        Part { name: "running", tone: Tone::Busy, count: count(|state| state == RunStatus::Dispatched) },
        Part {
            name: "planned or skipped",
            tone: Tone::Idle,
            count: count(|state| matches!(state, RunStatus::Planned | RunStatus::Skipped)),
        },
        Part { name: "unknown", tone: Tone::Warn, count: count(|state| state == RunStatus::Unknown) },
        Part { name: "failed", tone: Tone::Bad, count: count(|state| state == RunStatus::Failed) },
    ];
    Tile {
        figure: figure::length(jobs.len()),
        of: if jobs.len() == 1 { "job" } else { "jobs" },
        line: html! { @match next { Some(next) => { "next due " (figure::moment(next, now)) }, None => "none is due" } },
        picture: chart::shares(&parts),
    }
}

fn of_traces(newest: &[TraceSummary], stats: Option<&TraceStats>) -> Tile {
    let failed = newest.iter().filter(|trace| trace.failed).count();
    Tile {
        figure: stats.map_or_else(|| "?".to_owned(), |stats| figure::count(stats.spans)),
        of: "spans",
        line: html! {
            @if let Some(stats) = stats { "of " (figure::counted(u64::from(stats.processes), "process")) ", " }
            (failed) " of the last " (figure::length(newest.len())) " traces failed"
        },
        picture: traces::strip(newest),
    }
}
