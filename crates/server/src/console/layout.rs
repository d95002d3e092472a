//! The frame of every page, and the pieces that all pages are made of.

use std::time::Duration;

use maud::{DOCTYPE, Markup, html};
use settee_core::Error;

use super::badge::{Tone, badge};
use super::sources::Asked;
use super::{Page, Visit, chart, figure, text};

/// The icon, as its own address: a page loads nothing from elsewhere.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' \
    rx='4' fill='%232456c7'/%3E%3Cpath d='M4 6h8M4 10h8' stroke='white' stroke-width='2' stroke-linecap='round'/%3E%3C/svg%3E";

/// The sections of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Instances,
    Transactions,
    Topics,
    Jobs,
    Traces,
    None,
}

const TABS: [(Tab, &str, &str); 6] = [
    (Tab::Overview, "/", "Overview"),
    (Tab::Instances, "/console/instances", "Instances"),
    (Tab::Transactions, "/console/transactions", "Transactions"),
    (Tab::Topics, "/console/topics", "Topics"),
    (Tab::Jobs, "/console/jobs", "Jobs"),
    (Tab::Traces, "/console/traces", "Traces"),
];

/// A page that is one list: its rows, or what stands where there are none, or why nobody answered.
pub(super) fn listing<T>(
    (title, tab): (&'static str, Tab),
    asked: &Asked<Vec<T>>,
    none: fn() -> Markup,
    listed: impl FnOnce(&[T]) -> Markup,
) -> Page {
    let body = html! {
        (head(None, &html! { (title) }, &html! {}))
        section.card {
            @match asked {
                Err(error) => (unanswered(error)),
                Ok(all) if all.is_empty() => (none()),
                Ok(all) => (listed(all)),
            }
        }
    };
    Page::new(title, tab, body)
}

/// The whole document of a page.
pub(super) fn document(page: &Page, visit: &Visit) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " · settee" }
                link rel="icon" href=(ICON);
                link rel="stylesheet" href="/console/console.css";
            }
            body {
                header.top {
                    a.brand href="/" { "settee" }
                    nav aria-label="Sections" {
                        @for (tab, link, name) in TABS {
                            a href=(link) aria-current=[(tab == page.tab).then_some("page")] { (name) }
                        }
                    }
                }
                main { (page.body) }
                footer {
                    span { "as of " time datetime=(visit.now) { (figure::second(visit.now)) } " · " a href=(visit.query.link(&visit.path)) { "Reload" } }
                    span { "settee " (env!("CARGO_PKG_VERSION")) ", read-only" }
                }
            }
        }
    }
}

/// The head of a page: where it is, what it is, and what is to be known at once.
pub(super) fn head(back: Option<(&str, &str)>, title: &Markup, aside: &Markup) -> Markup {
    html! {
        @if let Some((link, name)) = back { nav.trail aria-label="Way back" { a href=(link) { "← " (name) } } }
        div.line { h1 { (title) } (aside) }
    }
}

/// A part of a page with its heading.
pub(super) fn card(title: &str, aside: &Markup, body: &Markup) -> Markup {
    html! { section.card { div.line { h2 { (title) } (aside) } (body) } }
}

/// A column of a table: words to the left, numbers to the right, or an axis of time that is so long.
#[derive(Clone, Copy)]
pub(super) enum Column {
    Words(&'static str),
    Number(&'static str),
    Axis(Duration),
}

/// A table, which a narrow screen scrolls for itself.
pub(super) fn table(label: &str, columns: &[Column], rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr { @for column in columns { @match column {
                    Column::Words(name) => th scope="col" { (name) },
                    Column::Number(name) => th.n scope="col" { (name) },
                    Column::Axis(whole) => th.time scope="col" { (chart::axis(*whole)) },
                } } } }
                tbody { (rows) }
            }
        }
    }
}

/// A fact and its name, in a list of facts.
pub(super) fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// What stands where there is nothing: what would be here, and what to do.
pub(super) fn empty(what: &str, todo: &Markup) -> Markup {
    html! { div.empty { p.what { (what) } p { (todo) } } }
}

/// What stands where a source did not answer.
pub(super) fn unanswered(error: &Error) -> Markup {
    html! {
        div.alert role="alert" {
            (badge(Tone::Bad, "no answer")) span { (text::shown(error.message())) " " code { (error.code()) } }
        }
    }
}

/// The page of something that its source did not answer for.
pub(super) fn failed(tab: Tab, title: String, error: &Error) -> Page {
    Page { status: 503, ..Page::new(title, tab, unanswered(error)) }
}

/// The page of something that does not exist here: why, and what to do.
pub(super) fn absent(tab: Tab, title: &str, why: &Markup) -> Page {
    let body = html! {
        (head(None, &html! { (title) }, &html! {}))
        section.card { p { (why) } }
    };
    Page { status: 404, ..Page::new(title, tab, body) }
}

/// The page of an address that nothing has.
pub(super) fn missing(visit: &Visit) -> Page {
    let why = html! { "Nothing is at " code { (text::plain(&visit.path)) } "." };
    absent(Tab::None, "No such page", &why)
}
