//! What needs somebody: everything that does not get better by itself, the worst first.

use maud::{Markup, html};
use settee::Timestamp;
use settee::job::control::{JobView, RunStatus};
use settee::mq::control::TopicView;
use settee::registry::control::ServiceView;
use settee_core::Error;

use super::Overview;
use crate::console::badge::{Tone, badge};
use crate::console::{figure, jobs, sources, text};

/// Lines that are shown; behind them stands how many more there are.
const LINES: usize = 10;

/// Something that needs somebody.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Need {
    tone: Tone,
    pub(super) what: String,
    link: String,
}

impl Need {
    fn warn(what: String, link: impl Into<String>) -> Self {
        Self { tone: Tone::Warn, what, link: link.into() }
    }

    fn bad(what: String, link: impl Into<String>) -> Self {
        Self { tone: Tone::Bad, what, link: link.into() }
    }
}

/// All of it, the worst first.
pub(super) struct Needs(pub(super) Vec<Need>);

/// What of `overview` needs somebody.
pub(super) fn of(overview: &Overview, now: Timestamp) -> Needs {
    let mut needs = unanswered(overview);
    if let Ok(stats) = overview.transactions.as_ref()
        && stats.parked > 0
    {
        let what = format!("{} for an operator", figure::counted(stats.parked, "parked transaction"));
        needs.push(Need::bad(what, "/console/transactions?show=parked"));
    }
    needs.extend(overview.topics.iter().flatten().flat_map(of_topic));
    needs.extend(overview.jobs.iter().flatten().filter_map(|job| of_job(job, now)));
    needs.extend(overview.services.iter().flatten().filter_map(of_service));
    needs.sort_by_key(|need| std::cmp::Reverse(need.tone));
    Needs(needs)
}

fn unanswered(overview: &Overview) -> Vec<Need> {
    let errors: [(Option<&Error>, &str); 5] = [
        (overview.services.as_ref().err(), "/console/instances"),
        (overview.transactions.as_ref().err(), "/console/transactions"),
        (overview.topics.as_ref().err(), "/console/topics"),
        (overview.jobs.as_ref().err(), "/console/jobs"),
        (overview.traces.as_ref().err(), "/console/traces"),
    ];
    let failed = errors.into_iter().filter_map(|(error, link)| Some((error?, link)));
    failed.map(|(error, link)| Need::bad(format!("no answer: {}", error.message()), link)).collect()
}

fn of_topic(topic: &TopicView) -> Vec<Need> {
    let link = format!("/console/topics/{}", topic.name);
    let mut needs = Vec::new();
    if topic.parked > 0 {
        needs.push(Need::bad(
            format!("topic {}: {} parked", topic.name, figure::counted(u64::from(topic.parked), "partition")),
            &link,
        ));
    }
    if topic.paused {
        needs.push(Need::warn(format!("topic {}: deliveries are paused", topic.name), &link));
    }
    for group in &topic.groups {
        if group.dead > 0 {
            let what = format!("group {} of {}: {}", group.name, topic.name, figure::counted(group.dead, "dead letter"));
            needs.push(Need::warn(what, &link));
        }
        if group.consumers == 0 && group.lag_messages > 0 {
            let behind = figure::counted(group.lag_messages, "message");
            needs.push(Need::warn(format!("group {} of {}: {behind} and no consumer", group.name, topic.name), &link));
        }
    }
    needs
}

fn of_job(job: &JobView, now: Timestamp) -> Option<Need> {
    let name = &job.definition.name;
    let link = format!("/console/jobs/{name}");
    match job.last_runs.iter().find(|run| run.state.is_over()).map(|run| run.state) {
        Some(RunStatus::Failed) => Some(Need::bad(format!("job {name}: its last run failed"), link)),
        Some(RunStatus::Unknown) => Some(Need::warn(format!("job {name}: whether its last run happened is unknown"), link)),
        _ if jobs::state(job, now).1 == "overdue" => {
            Some(Need::warn(format!("job {name}: it is overdue, no instance takes it"), link))
        }
        _ => None,
    }
}

fn of_service(service: &ServiceView) -> Option<Need> {
    let (orphans, link) = (service.orphans.len() as u64, "/console/instances");
    match service.instances.is_empty() && !sources::is_own(&service.name) {
        true => Some(Need::warn(format!("service {}: somebody looks for it, nobody serves it", service.name), link)),
        false if orphans > 0 => {
            Some(Need::warn(format!("service {}: {} probed", service.name, figure::counted(orphans, "orphan")), link))
        }
        false => None,
    }
}

impl Needs {
    pub(super) fn shown(&self) -> Markup {
        let hidden = self.0.len().saturating_sub(LINES);
        let Some(worst) = self.0.first() else {
            return html! { section.card.well { (badge(Tone::Good, "all is well")) span { "Nothing waits for an operator." } } };
        };
        html! {
            section.card.needs.(worst.tone.class()) aria-label="What needs somebody" {
                ul { @for need in self.0.iter().take(LINES) {
                    li { (badge(need.tone, if need.tone == Tone::Bad { "act" } else { "look" })) a href=(need.link) { (text::shown(&need.what)) } }
                } }
                @if hidden > 0 { p.note { "and " (figure::length(hidden)) " more" } }
            }
        }
    }
}
