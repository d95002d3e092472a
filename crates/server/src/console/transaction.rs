//! One global transaction: what it is, and how it and each of its branches went, in words and on one axis of time.

mod timeline;

use maud::{Markup, html};
use settee::Timestamp;
use settee::txn::{BranchProgress, BranchView, Done, TransactionView, TryState, Xid};
use settee_core::error::ErrorKind;

use self::timeline::Timeline;
use super::badge::{self, Tone, badge};
use super::layout::{self, Column, Tab};
use super::sources::{Asked, Sources};
use super::{Page, Visit, chart, figure, text, transactions};

/// Branches that are shown. A transaction of more is a batch; the command line shows all.
const BRANCHES: usize = 100;

/// What the page shows.
pub(super) struct Transaction {
    pub(super) xid: Xid,
    pub(super) view: Asked<TransactionView>,
    /// How many spans of its trace are kept.
    pub(super) spans: Option<usize>,
}

impl Transaction {
    pub(super) async fn ask(sources: &Sources, xid: Xid) -> Self {
        let view = sources.transaction(xid).await;
        let spans = match view.as_ref().ok().and_then(|view| view.trace) {
            Some(trace) => sources.trace(trace).await.ok().map(|spans| spans.len()),
            None => None,
        };
        Self { xid, view, spans }
    }

    pub(super) fn page(self, visit: &Visit) -> Page {
        let title = format!("Transaction {}", self.xid);
        match &self.view {
            Ok(view) => Page::new(title, Tab::Transactions, self.shown(view, visit.now)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let why = html! {
                    "Nothing is known of " code { (self.xid) } ": it never began here, or it ended so long ago that it is forgotten. "
                    "Look for its reference: " code { "settee transactions ls --reference REFERENCE" } "."
                };
                layout::absent(Tab::Transactions, "No such transaction", &why)
            }
            Err(error) => layout::failed(Tab::Transactions, title, error),
        }
    }

    fn shown(&self, view: &TransactionView, now: Timestamp) -> Markup {
        let (tone, state) = badge::of_state(view.summary.state);
        html! {
            (layout::head(Some(("/console/transactions", "Transactions")), &html! { code { (self.xid) } }, &badge(tone, state)))
            @if view.summary.state.is_parked() { (parked(view)) }
            @if let Some(closing) = &view.closing {
                p.note { "Closed by " b { (text::shown(&closing.user)) } " " (figure::moment(closing.at, now)) ": " (text::shown(&closing.evidence)) }
            }
            section.card { dl.facts { (self.facts(view, now)) } }
            (layout::card("Branches", &html! {}, &branches(view, now)))
        }
    }

    fn facts(&self, view: &TransactionView, now: Timestamp) -> Markup {
        let summary = &view.summary;
        html! {
            (layout::fact("name", &text::maybe(summary.name.as_deref())))
            (layout::fact("reference", &text::maybe(summary.reference.as_deref())))
            (layout::fact("begun by", &text::maybe(view.application.as_deref())))
            (layout::fact("begun", &figure::maybe_moment(summary.begun_at, now)))
            (layout::fact("decision", &decision(view)))
            (layout::fact("took", &text::maybe(transactions::took(summary).as_deref())))
            (layout::fact("trace", &self.trace(view)))
        }
    }

    fn trace(&self, view: &TransactionView) -> Markup {
        let Some(trace) = view.trace else { return html! { span.none { "not traced" } } };
        let id = trace.to_string();
        match self.spans {
            Some(spans @ 1..) => {
                html! { a href={ "/console/traces/" (id) } { (text::identity(&id)) } " (" (figure::counted(spans as u64, "span")) ")" }
            }
            _ => html! { (text::identity(&id)) span.none { " is no longer kept" } },
        }
    }
}

/// The page of what cannot be a transaction.
pub(super) fn no_xid(id: &str) -> Page {
    let why = html! {
        code { (text::plain(id)) } " is no id of a transaction: those are 32 hexadecimal digits, as " code { "settee transactions ls" } " prints them."
    };
    layout::absent(Tab::Transactions, "No such transaction", &why)
}

fn decision(view: &TransactionView) -> Markup {
    let Some(decision) = &view.decision else { return html! { span.none { "not yet" } } };
    html! { b { (decision.decided.decision) } ", " (transactions::cause(decision.decided.cause)) }
}

fn parked(view: &TransactionView) -> Markup {
    html! {
        div.alert role="alert" {
            (badge(Tone::Bad, "waits for an operator"))
            span {
                "Automation has stopped: going on could be wrong. Remove what the parked branch names, then let it try again: "
                code { "settee call settee.Transactions.resume '{\"request\":{\"xid\":\"" (view.summary.xid) "\",\"user\":\"YOU\"}}'" }
            }
        }
    }
}

fn branches(view: &TransactionView, now: Timestamp) -> Markup {
    if view.branches.is_empty() {
        let why = html! { "Branches are listed with the decision; an undecided transaction is known only by its begin." };
        return layout::empty("No branch is listed.", &why);
    }
    let timeline = Timeline::of(view, now);
    let columns = [
        Column::Words("Branch"),
        Column::Words("Service"),
        Column::Words("Route"),
        Column::Words("Try"),
        Column::Words("Phase two"),
        Column::Axis(timeline.whole),
    ];
    let shown = &view.branches[..view.branches.len().min(BRANCHES)];
    let rows = html! { (whole_row(view, &timeline)) @for branch in shown { (branch_row(branch, &timeline)) } };
    html! {
        (layout::table("Branches", &columns, &rows))
        p.key { span.tried { "try, somewhere in here" } span.good { "confirm" } span.idle { "cancel" } span.busy { "under way" } span.bad { "parked" } }
        @if shown.len() < view.branches.len() {
            p.note { "and " (figure::length(view.branches.len() - shown.len())) " more: " code { "settee transactions show " (view.summary.xid) } }
        }
    }
}

fn whole_row(view: &TransactionView, timeline: &Timeline) -> Markup {
    let (tone, state) = badge::of_state(view.summary.state);
    html! {
        tr.whole {
            th scope="row" { "all" }
            td { (text::maybe(view.application.as_deref())) }
            td {}
            td { (text::maybe(timeline.decided.map(figure::duration).as_deref())) }
            td { (badge(tone, state)) }
            td.time { (chart::track(&timeline.transaction(view), timeline.whole)) }
        }
    }
}

fn branch_row(branch: &BranchView, timeline: &Timeline) -> Markup {
    let (tone, progress) = phase_two(&branch.progress);
    let why = match &branch.progress {
        BranchProgress::Open { trouble, .. } => trouble.as_deref(),
        BranchProgress::Done { .. } => None,
        BranchProgress::Parked { why, .. } => Some(why.as_str()),
    };
    let (tried_tone, tried) = tried(branch.tried);
    html! {
        tr {
            th scope="row" { (text::shown(branch.branch.as_str())) }
            td { (text::shown(&branch.service)) }
            td { (text::maybe(branch.route.as_deref())) }
            td { (badge(tried_tone, tried)) }
            td { (badge(tone, &progress)) @if let Some(why) = why { div.why { (text::shown(why)) } } }
            td.time { (chart::track(&timeline.branch(branch), timeline.whole)) }
        }
    }
}

pub(super) fn tried(state: TryState) -> (Tone, &'static str) {
    match state {
        TryState::Tried => (Tone::Good, "tried"),
        TryState::Unknown => (Tone::Warn, "unknown"),
        TryState::Refused => (Tone::Idle, "refused"),
    }
}

fn phase_two(progress: &BranchProgress) -> (Tone, String) {
    let after = |attempts: &u32| figure::counted(u64::from(*attempts), "attempt");
    match progress {
        BranchProgress::Open { attempts: 0, .. } => (Tone::Busy, "not sent yet".to_owned()),
        BranchProgress::Open { attempts, .. } => (Tone::Busy, format!("open, {}", after(attempts))),
        BranchProgress::Done { how: Done::Real, .. } => (Tone::Good, "done".to_owned()),
        BranchProgress::Done { how: Done::Empty, .. } => (Tone::Good, "done, nothing was tried".to_owned()),
        BranchProgress::Done { how: Done::Already, .. } => (Tone::Good, "done before".to_owned()),
        BranchProgress::Parked { attempts, .. } => (Tone::Bad, format!("parked after {}", after(attempts))),
    }
}
