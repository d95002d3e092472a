//! One topic: its groups, its partitions with how far each group is.

use maud::{Markup, html};
use settee::mq::control::{PartitionGroupView, PartitionView, TopicView};

use super::badge::{Tone, badge};
use super::chart;
use super::layout::{self, Column, Tab};
use super::sources::{Asked, Sources};
use super::{Page, figure, text, topics};

const GROUPS: [Column; 5] = [
    Column::Words("Group"),
    Column::Number("Consumers"),
    Column::Number("Lag"),
    Column::Number("Oldest"),
    Column::Number("Dead letters"),
];

const PARTITIONS: [Column; 6] = [
    Column::Words("Partition"),
    Column::Words("State"),
    Column::Number("Messages"),
    Column::Words("Group"),
    Column::Number("Lag"),
    Column::Number("In hand"),
];

/// Groups of a partition that are shown: the table is 256 partitions long at most, and must stay a page.
const GROUPS_OF_PARTITION: usize = 8;

/// What the page shows.
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) topic: Asked<Option<TopicView>>,
    pub(super) partitions: Asked<Vec<PartitionView>>,
}

impl Topic {
    pub(super) async fn ask(sources: &Sources, name: &str) -> Self {
        let (topics, partitions) = futures::join!(sources.topics(), sources.partitions(name));
        let topic = topics.map(|topics| topics.into_iter().find(|topic| topic.name == name));
        Self { name: name.to_owned(), topic, partitions }
    }

    pub(super) fn page(self) -> Page {
        let title = format!("Topic {}", text::plain(&self.name));
        match &self.topic {
            Ok(Some(topic)) => Page::new(title, Tab::Topics, self.shown(topic)),
            Ok(None) => absent(&self.name),
            Err(error) => layout::failed(Tab::Topics, title, error),
        }
    }

    fn shown(&self, topic: &TopicView) -> Markup {
        let (tone, state) = topics::state(topic);
        html! {
            (layout::head(Some(("/console/topics", "Topics")), &text::shown(&topic.name), &badge(tone, &state)))
            @if topic.paused {
                p.note { "Deliveries rest, publishing goes on. To deliver again: " code { "settee call settee.Messages.resume_topic '{\"name\":\"" (topic.name) "\"}'" } }
            }
            section.card {
                dl.facts {
                    (layout::fact("messages", &html! { (figure::count(topic.messages)) }))
                    (layout::fact("partitions", &html! { (topic.partitions) }))
                    (layout::fact("groups", &html! { (topic.groups.len()) }))
                }
            }
            (layout::card("Groups", &html! {}, &groups(topic)))
            @match &self.partitions {
                Ok(partitions) => (layout::card("Partitions", &html! {}, &partitions_of(partitions))),
                Err(error) => (layout::card("Partitions", &html! {}, &layout::unanswered(error))),
            }
        }
    }
}

fn absent(name: &str) -> Page {
    let why = html! { "There is no topic " code { (text::plain(name)) } ". The first message that is published to it makes it. Those there are: " code { "settee ls topics" } "." };
    layout::absent(Tab::Topics, "No such topic", &why)
}

fn groups(topic: &TopicView) -> Markup {
    if topic.groups.is_empty() {
        return layout::empty(
            "Nobody consumes this topic.",
            &html! {
                "A group begins with the oldest message: " code { "App::consume(" (format!("{:?}", topic.name)) ", group, handler)" } "."
            },
        );
    }
    let most = topic.groups.iter().map(|group| group.lag_messages).max().unwrap_or(0);
    let rows = html! { @for group in &topic.groups { tr { (topics::group_cells(group, most)) } } };
    html! {
        (layout::table("Groups", &GROUPS, &rows))
        @if let Some(group) = topic.groups.iter().find(|group| group.dead > 0) {
            p.note { "What was given up, and why: " code { (dead_letters(&topic.name, &group.name)) } "." }
        }
    }
}

/// The command that lists the dead letters of a group.
fn dead_letters(topic: &str, group: &str) -> String {
    format!(
        "settee call settee.Messages.dead_letters '{{\"query\":{{\"topic\":\"{topic}\",\"group\":\"{group}\",\"limit\":20}}}}'"
    )
}

fn partitions_of(partitions: &[PartitionView]) -> Markup {
    let most = Most {
        messages: partitions.iter().map(|partition| partition.messages).max().unwrap_or(0),
        lag: partitions.iter().flat_map(|partition| &partition.groups).map(|group| group.lag_messages).max().unwrap_or(0),
    };
    let rows = html! { @for partition in partitions { (partition_rows(partition, &most)) } };
    let groups = partitions.iter().map(|partition| partition.groups.len()).max().unwrap_or(0);
    html! {
        (layout::table("Partitions", &PARTITIONS, &rows))
        @if groups > GROUPS_OF_PARTITION { p.note { "Of " (groups) " groups the first " (GROUPS_OF_PARTITION) " are shown." } }
    }
}

/// What the bars of all partitions are compared to.
struct Most {
    messages: u64,
    lag: u64,
}

fn partition_rows(partition: &PartitionView, most: &Most) -> Markup {
    let shown = &partition.groups[..partition.groups.len().min(GROUPS_OF_PARTITION)];
    let lines = shown.len().max(1);
    let (tone, state) = if partition.parked { (Tone::Bad, "parked") } else { (Tone::Good, "running") };
    html! {
        @for line in 0..lines {
            tr.more[line > 0] {
                @if line == 0 {
                    th scope="row" rowspan=(lines) { (partition.partition) }
                    td rowspan=(lines) { (badge(tone, state)) }
                    td.n rowspan=(lines) { (chart::meter(partition.messages, most.messages, Tone::Idle)) (figure::count(partition.messages)) }
                }
                @match shown.get(line) {
                    Some(group) => (partition_group(group, most)),
                    None => td colspan="3" { span.none { "no group" } },
                }
            }
        }
    }
}

fn partition_group(group: &PartitionGroupView, most: &Most) -> Markup {
    let tone = if group.lag_messages == 0 { Tone::Good } else { Tone::Busy };
    html! {
        td { (text::shown(&group.name)) }
        td.n { (chart::meter(group.lag_messages, most.lag, tone)) (figure::count(group.lag_messages)) }
        td.n { (figure::count(group.open)) }
    }
}
