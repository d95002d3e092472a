//! Global transactions as a list: the newest first, by what became of them, or by reference; a page, and the way to older ones.

use maud::{Markup, html};
use settee::txn::{ListOrder, ListPosition, ListTransactions, State, TransactionPage, TransactionStats, TransactionSummary};

use super::badge::{self, Tone, badge};
use super::chart::{self, Part};
use super::layout::{self, Column, Tab};
use super::pager::LINES;
use super::sources::{Asked, Sources};
use super::{Page, Visit, figure, text};

/// Questions for one page at most: the coordinator answers short pages where a filter fits few.
const ASKS: usize = 8;

const COLUMNS: [Column; 7] = [
    Column::Words("Transaction"),
    Column::Words("State"),
    Column::Words("Name"),
    Column::Words("Reference"),
    Column::Words("Begun"),
    Column::Number("Took"),
    Column::Words("Cause"),
];

/// Which transactions are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Show {
    word: &'static str,
    name: &'static str,
    states: &'static [State],
}

const SHOWS: [Show; 6] = [
    Show { word: "all", name: "All", states: &[] },
    Show { word: "open", name: "Open", states: &[State::Active, State::Committing, State::Aborting] },
    Show { word: "parked", name: "Parked", states: &[State::CommitParked, State::AbortParked, State::UnknownParked] },
    Show { word: "committed", name: "Committed", states: &[State::Committed] },
    Show { word: "aborted", name: "Aborted", states: &[State::Aborted] },
    Show { word: "closed", name: "Closed by operator", states: &[State::ClosedByOperator] },
];

impl Show {
    fn asked(visit: &Visit) -> Self {
        let word = visit.query.get("show");
        SHOWS.into_iter().find(|show| Some(show.word) == word).unwrap_or(SHOWS[0])
    }
}

/// What the page shows.
pub(super) struct Transactions {
    pub(super) stats: Asked<TransactionStats>,
    pub(super) page: Asked<TransactionPage>,
}

impl Transactions {
    pub(super) async fn ask(sources: &Sources, visit: &Visit) -> Self {
        let list = ListTransactions {
            states: Show::asked(visit).states.to_vec(),
            reference: visit.query.get("reference").map(str::to_owned),
            order: ListOrder::Newest,
            after: place(visit),
            ..ListTransactions::default()
        };
        let (stats, page) = futures::join!(sources.transaction_stats(), filled(sources, list));
        Self { stats, page }
    }

    pub(super) fn page(self, visit: &Visit) -> Page {
        let show = Show::asked(visit);
        let body = html! {
            (layout::head(None, &html! { "Transactions" }, &html! {}))
            @match &self.stats { Ok(stats) => (totals(stats)), Err(error) => (layout::unanswered(error)) }
            section.card {
                (filters(show, visit))
                @match &self.page { Ok(page) => (listed(page, visit)), Err(error) => (layout::unanswered(error)) }
            }
        };
        Page::new("Transactions", Tab::Transactions, body)
    }
}

/// Where in the list the visitor is; nothing is at the newest.
fn place(visit: &Visit) -> Option<ListPosition> {
    visit.query.get("after").and_then(|position| position.parse().ok())
}

/// A page with as many lines as it holds, if there are so many.
async fn filled(sources: &Sources, mut list: ListTransactions) -> Asked<TransactionPage> {
    let mut page = TransactionPage::default();
    for _ in 0..ASKS {
        list.limit = u32::try_from(LINES - page.transactions.len()).unwrap_or(u32::MAX);
        let part = sources.transactions(list.clone()).await?;
        page.transactions.extend(part.transactions);
        page.next = part.next;
        list.after = part.next;
        if page.next.is_none() || page.transactions.len() >= LINES {
            break;
        }
    }
    Ok(page)
}

/// The counts as parts of a bar.
pub(super) fn parts(stats: &TransactionStats) -> [Part; 4] {
    [
        Part { name: "committed", tone: Tone::Good, count: stats.committed },
        Part { name: "aborted", tone: Tone::Idle, count: stats.aborted },
        Part { name: "open", tone: Tone::Busy, count: stats.open.saturating_sub(stats.parked) },
        Part { name: "parked", tone: Tone::Bad, count: stats.parked },
    ]
}

fn totals(stats: &TransactionStats) -> Markup {
    let parts = parts(stats);
    html! {
        section.card {
            dl.facts { @for part in &parts { (layout::fact(part.name, &html! { (figure::count(part.count)) })) } }
            (chart::shares(&parts))
        }
    }
}

fn filters(show: Show, visit: &Visit) -> Markup {
    let base = visit.query.without("after");
    let link = |other: Show| base.with("show", other.word).link(&visit.path);
    html! {
        div.tools {
            nav.filters aria-label="Which transactions" {
                @for other in SHOWS { a href=(link(other)) aria-current=[(other == show).then_some("true")] { (other.name) } }
            }
            form action=(visit.path) {
                input type="hidden" name="show" value=(show.word);
                input type="search" name="reference" maxlength="256" aria-label="Reference" placeholder="Exactly this reference"
                    value=(base.get("reference").unwrap_or_default());
                button { "Find" }
            }
        }
    }
}

fn listed(page: &TransactionPage, visit: &Visit) -> Markup {
    let rows = html! { @for line in &page.transactions { (row(line, visit)) } };
    html! {
        @if let Some(ListPosition::Older(_)) = place(visit) {
            p.note { "These are older than those that the server keeps in the order of their begins; they come by their ids." }
        }
        @if page.transactions.is_empty() { (nothing(page, visit)) } @else { (layout::table("Transactions", &COLUMNS, &rows)) }
        (ways(page.next, visit))
    }
}

fn nothing(page: &TransactionPage, visit: &Visit) -> Markup {
    let begin = html! { "A service begins one with " code { "Transactions::begin" } ". " code { "settee demo --console" } " makes some." };
    let all = html! { a href="/console/transactions" { "Show all of them." } };
    match Show::asked(visit).word {
        _ if page.next.is_some() => {
            layout::empty("None was found so far.", &html! { "There are older ones that were not looked at yet." })
        }
        _ if visit.query.get("reference").is_some() => layout::empty("No transaction has exactly this reference.", &all),
        _ if place(visit).is_some() => layout::empty("There are no older ones.", &all),
        "all" => layout::empty("No transaction is known.", &begin),
        _ => layout::empty("No transaction is in this state.", &all),
    }
}

/// The ways to the newest and to older ones, where there are any.
fn ways(next: Option<ListPosition>, visit: &Visit) -> Markup {
    let newest = visit.query.without("after").link(&visit.path);
    html! {
        @if next.is_some() || place(visit).is_some() {
            nav.pager aria-label="Pages" {
                @if place(visit).is_some() { a rel="first" href=(newest) { "← Newest" } }
                @if let Some(next) = next { a rel="next" href=(visit.query.with("after", next).link(&visit.path)) { "Older →" } }
            }
        }
    }
}

fn row(line: &TransactionSummary, visit: &Visit) -> Markup {
    let (tone, state) = badge::of_state(line.state);
    let xid = line.xid.to_string();
    html! {
        tr {
            th scope="row" { a href={ "/console/transactions/" (xid) } { (text::identity(&xid)) } }
            td { (badge(tone, state)) }
            td { (text::maybe(line.name.as_deref())) }
            td { (text::maybe(line.reference.as_deref())) }
            td { (figure::maybe_moment(line.begun_at, visit.now)) }
            td.n { (text::maybe(took(line).as_deref())) }
            td { (text::maybe(line.cause.map(cause))) }
        }
    }
}

/// From begin to end, of a transaction that ended.
pub(super) fn took(line: &TransactionSummary) -> Option<String> {
    line.begun_at.zip(line.ended_at).map(|(begun, ended)| figure::duration(ended.since(begun)))
}

/// Why a transaction was decided as it was, in the middle of a sentence.
pub(super) fn cause(cause: settee::txn::Cause) -> &'static str {
    use settee::txn::Cause;
    match cause {
        Cause::Application => "the application asked for it",
        Cause::Deadline => "its deadline passed",
        Cause::BranchUnknown => "a try was unknown",
        Cause::Refused => "a try was refused",
        Cause::Presumed => "it never began",
        Cause::Operator => "an operator said so",
    }
}
