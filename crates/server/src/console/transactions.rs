//! Global transactions as a list: the newest first, by what became of them, or by reference.
//!
//! The coordinator lists in the order of xids, which says nothing about time. The console looks at one window of that list and
//! sorts it; where there is more, it says so and offers the next window.

use maud::{Markup, html};
use settee::txn::{ListTransactions, State, TransactionPage, TransactionStats, TransactionSummary, Xid};

use super::badge::{self, Tone, badge};
use super::chart::{self, Part};
use super::layout::{self, Column, Tab};
use super::pager::Pager;
use super::sources::{Asked, Sources};
use super::{Page, Visit, figure, text};

/// Transactions of one window: as many as the coordinator gives at once.
const WINDOW: usize = 1_000;

/// Questions for one window at most: the coordinator answers short pages where a filter fits few.
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
    states: &'static [Option<State>],
}

const SHOWS: [Show; 6] = [
    Show { word: "all", name: "All", states: &[None] },
    Show { word: "open", name: "Open", states: &[Some(State::Active), Some(State::Committing), Some(State::Aborting)] },
    Show {
        word: "parked",
        name: "Parked",
        states: &[Some(State::CommitParked), Some(State::AbortParked), Some(State::UnknownParked)],
    },
    Show { word: "committed", name: "Committed", states: &[Some(State::Committed)] },
    Show { word: "aborted", name: "Aborted", states: &[Some(State::Aborted)] },
    Show { word: "closed", name: "Closed by operator", states: &[Some(State::ClosedByOperator)] },
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
        let show = Show::asked(visit);
        let reference = visit.query.get("reference").map(str::to_owned);
        let after = visit.query.get("after").and_then(|xid| xid.parse().ok());
        let parts = show.states.iter().map(|state| window(sources, *state, reference.clone(), after));
        let (stats, parts) = futures::join!(sources.transaction_stats(), futures::future::try_join_all(parts));
        Self { stats, page: parts.map(merged) }
    }

    pub(super) fn page(self, visit: &Visit) -> Page {
        let show = Show::asked(visit);
        let body = html! {
            (layout::head(None, &html! { "Transactions" }, &html! {}))
            @match &self.stats { Ok(stats) => (totals(stats)), Err(error) => (layout::unanswered(error)) }
            section.card {
                (filters(show, visit))
                @match self.page { Ok(page) => (listed(page, visit)), Err(error) => (layout::unanswered(&error)) }
            }
        };
        Page::new("Transactions", Tab::Transactions, body)
    }
}

/// One window of the transactions in one state, or in any.
async fn window(
    sources: &Sources,
    state: Option<State>,
    reference: Option<String>,
    after: Option<Xid>,
) -> Asked<TransactionPage> {
    let mut all = TransactionPage { transactions: Vec::new(), next: after };
    for _ in 0..ASKS {
        let missing = u32::try_from(WINDOW - all.transactions.len()).unwrap_or(u32::MAX);
        let list = ListTransactions { state, reference: reference.clone(), after: all.next, limit: missing };
        let page = sources.transactions(list).await?;
        all.transactions.extend(page.transactions);
        all.next = page.next;
        if all.next.is_none() || all.transactions.len() >= WINDOW {
            break;
        }
    }
    Ok(all)
}

/// Several windows as one, up to where all of them are complete.
fn merged(parts: Vec<TransactionPage>) -> TransactionPage {
    let next = parts.iter().filter_map(|part| part.next).min();
    let mut transactions: Vec<_> = parts.into_iter().flat_map(|part| part.transactions).collect();
    transactions.retain(|line| next.is_none_or(|next| line.xid <= next));
    TransactionPage { transactions: newest_first(transactions), next }
}

/// Sorted by their begin; what never began comes last.
fn newest_first(mut transactions: Vec<TransactionSummary>) -> Vec<TransactionSummary> {
    transactions.sort_by_key(|line| std::cmp::Reverse((line.begun_at, line.xid)));
    transactions
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
    let base = visit.query.without("page").without("after");
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

fn listed(page: TransactionPage, visit: &Visit) -> Markup {
    if page.transactions.is_empty() {
        return html! { (nothing(visit)) (more(page.next, visit)) };
    }
    let pager = Pager::of(&page.transactions, visit);
    let rows = html! { @for line in pager.shown { (row(line, visit)) } };
    html! {
        (layout::table("Transactions", &COLUMNS, &rows))
        (pager.links(visit, "transactions"))
        (more(page.next, visit))
    }
}

fn nothing(visit: &Visit) -> Markup {
    let begin = html! { "A service begins one with " code { "Transactions::begin" } ". " code { "settee demo --console" } " makes some." };
    let all = html! { a href="/console/transactions" { "Show all of them." } };
    match Show::asked(visit).word {
        _ if visit.query.get("reference").is_some() => layout::empty("No transaction has exactly this reference.", &all),
        "all" => layout::empty("No transaction is known.", &begin),
        _ => layout::empty("No transaction is in this state.", &all),
    }
}

/// Behind the window there is more: what that means, and the way on.
fn more(next: Option<Xid>, visit: &Visit) -> Markup {
    html! {
        @if let Some(next) = next {
            p.note {
                "There are more than one page looks at. They come in the order of their ids, which is not that of time; each "
                (figure::length(WINDOW)) " of them are sorted here. "
                a href=(visit.query.without("page").with("after", next).link(&visit.path)) { "Look at the next ones" }
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

#[cfg(test)]
mod tests {
    use settee::Timestamp;
    use settee_core::id::{Generation, ShardId};

    use super::*;

    fn line(shard: u8, counter: u64, millis: i64) -> TransactionSummary {
        TransactionSummary {
            xid: Xid::new(ShardId(shard), Generation(1), counter, 0),
            state: State::Committed,
            name: None,
            reference: None,
            begun_at: Some(Timestamp::from_millis(millis)),
            ended_at: None,
            cause: None,
        }
    }

    #[test]
    fn windows_that_end_at_different_places_lose_no_transaction_between_them() {
        let (early, middle, late) = (line(1, 1, 30), line(2, 1, 20), line(3, 1, 10));
        let to_middle = TransactionPage { transactions: vec![middle.clone()], next: Some(middle.xid) };
        let whole = TransactionPage { transactions: vec![early.clone(), late.clone()], next: None };
        let page = merged(vec![to_middle, whole]);
        assert_eq!(page.transactions, [early, middle.clone()], "newest first");
        assert_eq!(page.next, Some(middle.xid), "the late one comes with the next window");
        assert!(late.xid > middle.xid);
    }
}
