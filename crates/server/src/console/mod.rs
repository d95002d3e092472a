//! The console: pages on which people see what the server knows. Read-only, rendered here, without a script.
//!
//! ```text
//! GET -> door (who may look) -> address (which page) -> sources (the control services, in process) -> a page: data -> markup
//! ```
//! Every page is a struct of what was asked and a pure function from it to markup, so that a test shows it what it likes. A
//! source that does not answer leaves a note in its place and never takes the rest of the page with it.
//!
//! Left out: everything that changes something. That is done by commands, which leave a record of who did it.

mod address;
mod door;
mod sources;

mod badge;
mod chart;
mod figure;
mod layout;
mod pager;
mod text;

mod instances;
mod job;
mod jobs;
mod overview;
mod topic;
mod topics;
mod trace;
mod traces;
mod transaction;
mod transactions;

#[cfg(test)]
mod console_test;

pub use sources::Sources;

use std::sync::Arc;

use maud::Markup;
use settee::rpc::service::BoxFuture;
use settee::rpc::{HttpAnswer, HttpPages, PageRequest};
use settee_core::{Instant, Timestamp, env};
use tokio::sync::Semaphore;

use self::address::{Query, Route};
use self::layout::Tab;

/// Pages that are made at a time. People wait a moment; services, which share the process, do not.
const AT_ONCE: usize = 4;

/// The style sheet, which every page links.
const STYLE: &str = include_str!("console.css");

/// The console, behind pages of somebody else.
pub struct Console(Arc<Inner>);

struct Inner {
    sources: Sources,
    started: Instant,
    places: Semaphore,
    others: Arc<dyn HttpPages>,
}

/// One look at one page.
struct Visit {
    path: String,
    query: Query,
    now: Timestamp,
}

/// A page that is ready to be framed.
struct Page {
    status: u16,
    title: String,
    tab: Tab,
    body: Markup,
}

impl Page {
    fn new(title: impl Into<String>, tab: Tab, body: Markup) -> Self {
        Self { status: 200, title: title.into(), tab, body }
    }
}

impl Console {
    /// A console over `sources`; `others` are asked first, and what is in neither is a page that says so.
    #[must_use]
    pub fn new(sources: Sources, others: Arc<dyn HttpPages>) -> Self {
        let places = Semaphore::new(AT_ONCE);
        Self(Arc::new(Inner { sources, started: Instant::now(), places, others }))
    }
}

impl HttpPages for Console {
    fn get(&self, request: PageRequest<'_>) -> BoxFuture<Option<HttpAnswer>> {
        let other = self.0.others.get(request);
        let (inner, html, route) = (self.0.clone(), request.html, Route::of(request.path));
        let admitted = door::admit(&request);
        let visit =
            Query::read(request.query).map(|query| Visit { path: request.path.to_owned(), query, now: env::wall_clock() });
        Box::pin(async move {
            if let Some(answer) = other.await {
                return Some(answer);
            }
            match route {
                // Programs get the listener's own answer.
                Route::Missing if !html => None,
                _ if admitted.is_err() => admitted.err(),
                Route::Style => Some(door::style(STYLE)),
                route => Some(match visit {
                    Ok(visit) => inner.show(route, &visit).await,
                    Err(why) => door::refuse(400, why),
                }),
            }
        })
    }
}

impl Inner {
    async fn show(&self, route: Route, visit: &Visit) -> HttpAnswer {
        let Ok(_place) = self.places.acquire().await else { return door::refuse(503, "the server stops") };
        let page = self.page(route, visit).await;
        door::html(page.status, layout::document(&page, visit))
    }

    async fn page(&self, route: Route, visit: &Visit) -> Page {
        let sources = &self.sources;
        match route {
            Route::Overview => overview::Overview::ask(sources).await.page(self.started.elapsed(), visit),
            Route::Instances => instances::page(sources.services().await, visit),
            Route::Transactions => transactions::Transactions::ask(sources, visit).await.page(visit),
            Route::Transaction(xid) => match xid.parse() {
                Ok(xid) => transaction::Transaction::ask(sources, xid).await.page(visit),
                Err(_) => transaction::no_xid(&xid),
            },
            Route::Topics => topics::page(sources.topics().await, visit),
            Route::Topic(name) => topic::Topic::ask(sources, &name).await.page(),
            Route::Jobs => jobs::page(sources.jobs().await, visit),
            Route::Job(name) => job::Job::ask(sources, &name).await.page(visit),
            Route::Traces => traces::page(sources.traces(traces::LOOKED_AT).await, visit),
            Route::Trace(trace) => match trace.parse() {
                Ok(trace) => trace::page(trace, sources.trace(trace).await, visit),
                Err(_) => trace::absent(&trace),
            },
            Route::Style | Route::Missing => layout::missing(visit),
        }
    }
}
