//! Instances: every service with its instances, how they are, and since when.

use maud::{Markup, html};
use settee::Timestamp;
use settee::registry::control::ServiceView;
use settee::registry::{Instance, PublicationId};

use super::badge::{Tone, badge};
use super::layout::{self, Column, Tab};
use super::pager::Pager;
use super::sources::{self, Asked};
use super::{Page, Visit, figure, text};

/// Instances of one service that are shown; of more, the command line lists all.
const INSTANCES: usize = 50;

const COLUMNS: [Column; 8] = [
    Column::Words("Service"),
    Column::Words("Instance"),
    Column::Words("State"),
    Column::Words("Application"),
    Column::Words("Share"),
    Column::Number("Weight"),
    Column::Words("Started"),
    Column::Number("Followers"),
];

/// The page of all services.
pub(super) fn page(services: Asked<Vec<ServiceView>>, visit: &Visit) -> Page {
    let body = html! {
        (layout::head(None, &html! { "Instances" }, &html! {}))
        @match &services {
            Err(error) => (layout::unanswered(error)),
            Ok(services) => (listed(services, visit)),
        }
    };
    Page::new("Instances", Tab::Instances, body)
}

fn listed(services: &[ServiceView], visit: &Visit) -> Markup {
    let users: Vec<_> = services.iter().filter(|service| !sources::is_own(&service.name)).collect();
    let pager = Pager::of(&users, visit);
    let rows = html! { @for service in pager.shown { (rows(service, visit.now)) } };
    html! {
        @if services.iter().any(|service| !service.complete) {
            p.note { "The registry has just started: instances may be missing for a moment." }
        }
        section.card {
            @if users.is_empty() {
                (layout::empty("No service is published yet.", &html! {
                    "A process publishes what it serves once it runs: " code { "App::new(…).serve(…).run()" }
                    ". " code { "settee demo --console" } " shows some."
                }))
            } @else {
                (layout::table("Services and their instances", &COLUMNS, &rows))
                (pager.links(visit, "services"))
            }
        }
    }
}

fn rows(service: &ServiceView, now: Timestamp) -> Markup {
    let shown = &service.instances[..service.instances.len().min(INSTANCES)];
    let hidden = service.instances.len() - shown.len();
    let lines = shown.len() + usize::from(hidden > 0 || shown.is_empty());
    let name = html! { th scope="row" rowspan=(lines) { (text::shown(&service.name)) } };
    let followers = html! { td.n rowspan=(lines) { (figure::length(service.subscribers)) } };
    html! {
        @for (index, instance) in shown.iter().enumerate() {
            tr.more[index > 0] {
                @if index == 0 { (name) }
                (cells(service, instance, now))
                @if index == 0 { (followers) }
            }
        }
        @if shown.is_empty() {
            tr { (name) td {} td { (badge(Tone::Warn, "nobody serves it")) } td {} td {} td {} td {} (followers) }
        }
        @if hidden > 0 { tr.more { td colspan="6" { "and " (figure::length(hidden)) " more: " code { "settee ls services" } } } }
    }
}

fn cells(service: &ServiceView, instance: &Instance, now: Timestamp) -> Markup {
    let (tone, state) = state(service, instance);
    html! {
        td { code { (instance.address) } }
        td { (badge(tone, state)) }
        td { (text::shown(&instance.application)) }
        td { @match instance.share { Some(share) => (share), None => span.none { "all" } } }
        td.n { (instance.weight) }
        td { (figure::maybe_moment(started(instance.publication, now), now)) }
    }
}

fn state(service: &ServiceView, instance: &Instance) -> (Tone, &'static str) {
    match instance.weight {
        _ if service.orphans.contains(&instance.address) => (Tone::Warn, "orphan, probed"),
        0 => (Tone::Idle, "takes no calls"),
        _ => (Tone::Good, "published"),
    }
}

/// When the process that published started: its number, where that is a moment of the past.
fn started(publication: PublicationId, now: Timestamp) -> Option<Timestamp> {
    let at = i64::try_from(publication.publisher).ok().filter(|micros| *micros > 0).map(Timestamp::from_micros);
    at.filter(|at| *at <= now)
}
