//! The first page: what needs somebody, then everything at a glance, each a way to its own page.

mod attention;
mod tiles;

use std::time::Duration;

use maud::html;
use settee::job::control::JobView;
use settee::mq::control::TopicView;
use settee::registry::control::ServiceView;
use settee::trace::control::{TraceStats, TraceSummary};
use settee::txn::TransactionStats;

use super::layout::{self, Tab};
use super::sources::{Asked, Sources};
use super::{Page, Visit, figure, traces};

/// What the page shows.
pub(super) struct Overview {
    pub(super) services: Asked<Vec<ServiceView>>,
    pub(super) transactions: Asked<TransactionStats>,
    pub(super) topics: Asked<Vec<TopicView>>,
    pub(super) jobs: Asked<Vec<JobView>>,
    pub(super) traces: Asked<Vec<TraceSummary>>,
    pub(super) trace_stats: Asked<TraceStats>,
}

impl Overview {
    pub(super) async fn ask(sources: &Sources) -> Self {
        let (services, transactions, topics, jobs, traces, trace_stats) = futures::join!(
            sources.services(),
            sources.transaction_stats(),
            sources.topics(),
            sources.jobs(),
            sources.traces(traces::LOOKED_AT),
            sources.trace_stats(),
        );
        Self { services, transactions, topics, jobs, traces, trace_stats }
    }

    pub(super) fn page(self, up: Duration, visit: &Visit) -> Page {
        let up = html! { span.none { "server up " (figure::coarse(up)) } };
        let body = html! {
            (layout::head(None, &html! { "Overview" }, &up))
            (attention::of(&self, visit.now).shown())
            (tiles::of(&self, visit.now))
        };
        Page::new("Overview", Tab::Overview, body)
    }
}
