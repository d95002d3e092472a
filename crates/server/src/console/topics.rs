//! Topics and how far behind their groups are.

use maud::{Markup, html};
use settee::mq::control::{GroupView, TopicView};

use super::badge::{Tone, badge};
use super::chart;
use super::layout::{self, Column, Tab};
use super::pager::Pager;
use super::sources::Asked;
use super::{Page, Visit, figure, text};

const COLUMNS: [Column; 9] = [
    Column::Words("Topic"),
    Column::Words("State"),
    Column::Number("Partitions"),
    Column::Number("Messages"),
    Column::Words("Group"),
    Column::Number("Consumers"),
    Column::Number("Lag"),
    Column::Number("Oldest"),
    Column::Number("Dead letters"),
];

/// The page of all topics.
pub(super) fn page(topics: Asked<Vec<TopicView>>, visit: &Visit) -> Page {
    layout::listing(("Topics", Tab::Topics), &topics, none, |topics| listed(topics, visit))
}

/// What stands where no topic is.
fn none() -> Markup {
    layout::empty(
        "No topic exists yet.",
        &html! {
            "The first message that is published to a topic makes it, and so does the first consumer: " code { "App::consume(topic, group, handler)" } "."
        },
    )
}

fn listed(topics: &[TopicView], visit: &Visit) -> Markup {
    let pager = Pager::of(topics, visit);
    let most = most_behind(topics);
    let rows = html! { @for topic in pager.shown { (rows(topic, most)) } };
    html! {
        (layout::table("Topics and their groups", &COLUMNS, &rows))
        (pager.links(visit, "topics"))
    }
}

/// The largest lag of any group: what the bars are compared to.
fn most_behind(topics: &[TopicView]) -> u64 {
    topics.iter().flat_map(|topic| &topic.groups).map(|group| group.lag_messages).max().unwrap_or(0)
}

fn rows(topic: &TopicView, most: u64) -> Markup {
    let lines = topic.groups.len().max(1);
    let (tone, state) = state(topic);
    html! {
        @for line in 0..lines {
            tr.more[line > 0] {
                @if line == 0 {
                    th scope="row" rowspan=(lines) { a href={ "/console/topics/" (topic.name) } { (text::shown(&topic.name)) } }
                    td rowspan=(lines) { (badge(tone, &state)) }
                    td.n rowspan=(lines) { (topic.partitions) }
                    td.n rowspan=(lines) { (figure::count(topic.messages)) }
                }
                @match topic.groups.get(line) {
                    Some(group) => (group_cells(group, most)),
                    None => td colspan="5" { span.none { "nobody consumes it" } },
                }
            }
        }
    }
}

/// The cells of a group, from its name on.
pub(super) fn group_cells(group: &GroupView, most: u64) -> Markup {
    let tone = tone(group);
    html! {
        td { (text::shown(&group.name)) }
        td.n { (group.consumers) @if group.consumers == 0 && group.lag_messages > 0 { " " (badge(Tone::Warn, "none")) } }
        td.n { (chart::meter(group.lag_messages, most, tone)) (figure::count(group.lag_messages)) }
        td.n { @if group.lag_messages == 0 { span.none { "–" } } @else { (figure::duration(std::time::Duration::from_millis(group.lag_ms))) } }
        td.n { @if group.dead == 0 { "0" } @else { (badge(Tone::Warn, &figure::count(group.dead))) } }
    }
}

fn tone(group: &GroupView) -> Tone {
    match group.lag_messages {
        0 => Tone::Good,
        _ if group.consumers == 0 => Tone::Warn,
        _ => Tone::Busy,
    }
}

/// How a topic is, in a word.
pub(super) fn state(topic: &TopicView) -> (Tone, String) {
    match (topic.parked, topic.paused) {
        (0, false) => (Tone::Good, "running".to_owned()),
        (0, true) => (Tone::Warn, "paused".to_owned()),
        (parked, _) => (Tone::Bad, format!("{parked} parked")),
    }
}
