//! Pages over made-up answers: what must be on them, what must never be, and what they say where there is nothing.

use std::time::Duration;

use settee::job::control::{JobView, RegisterJob, RunStatus, RunView, SliceView, Slices};
use settee::job::{Misfire, Overlap, Schedule};
use settee::mq::control::{GroupView, PartitionGroupView, PartitionView, TopicView};
use settee::registry::Instance;
use settee::registry::control::ServiceView;
use settee::trace::control::{TraceStats, TraceSummary};
use settee::trace::{SpanId, SpanKind, SpanOutcome, SpanRecord, TraceId};
use settee::txn::{
    BranchProgress, BranchView, Cause, Decided, Decision, DecisionView, Done, State, TransactionPage, TransactionStats,
    TransactionSummary, TransactionView, TryState, Xid,
};
use settee_core::error::{ErrorKind, codes};
use settee_core::id::{BranchId, Epoch, FencingToken, Generation, ShardId};
use settee_core::{Error, Timestamp};

use super::address::Query;
use super::overview::Overview;
use super::topic::Topic;
use super::transaction::Transaction;
use super::transactions::Transactions;
use super::{Page, Visit, instances, job, jobs, layout, pager, topics, trace, traces};

const ACCOUNT: &str = "DE68700901004224967103";
const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror='x'>DE68700901004224967103";

fn visit(path: &str) -> Visit {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Visit { path: path.into(), query: Query::read(query).unwrap(), now: Timestamp::from_millis(100_000) }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// The whole document, as a browser gets it.
fn document(page: Page, at: &Visit) -> String {
    layout::document(&page, at).into_string()
}

fn has(document: &str, parts: &[&str]) {
    for part in parts {
        assert!(document.contains(part), "{part:?} is not in {document}");
    }
}

fn no_answer() -> Error {
    Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, "count: no answer within 2s")
}

fn xid() -> Xid {
    Xid::new(ShardId(7), Generation(1), 42, 9)
}

fn summary(state: State, text: &str) -> TransactionSummary {
    TransactionSummary {
        xid: xid(),
        state,
        name: Some(text.into()),
        reference: Some(text.into()),
        begun_at: Some(at(99_000)),
        ended_at: Some(at(99_040)),
        cause: Some(Cause::Application),
    }
}

fn transaction(state: State, text: &str, progress: BranchProgress) -> TransactionView {
    let owner = FencingToken { generation: Generation(1), epoch: Epoch(3) };
    let decided = Decided { decision: Decision::Commit, cause: Cause::Application };
    let branch = BranchView {
        branch: BranchId::root(1),
        service: text.into(),
        route: Some(text.into()),
        tried: TryState::Tried,
        progress,
    };
    TransactionView {
        summary: summary(state, text),
        application: Some(text.into()),
        timeout_ms: Some(5_000),
        trace: Some(TraceId(42)),
        decision: Some(DecisionView { decided, at: at(99_010), owner }),
        branches: vec![branch],
        closing: None,
        owner,
        version: 4,
    }
}

fn service(name: &str, application: &str) -> ServiceView {
    ServiceView {
        name: name.into(),
        instances: vec![std::sync::Arc::new(Instance::new("127.0.0.1:7401".parse().unwrap(), application))],
        version: settee_core::registry::ListVersion::default(),
        complete: true,
        subscribers: 2,
        orphans: vec!["127.0.0.1:7401".parse().unwrap()],
    }
}

fn topic(name: &str, lag: u64, dead: u64) -> TopicView {
    let group = GroupView { name: name.into(), consumers: 0, lag_messages: lag, lag_ms: 1_500, open: 0, dead };
    TopicView { name: name.into(), partitions: 2, paused: false, messages: 1_234_567, parked: 0, groups: vec![group] }
}

fn a_job(name: &str, result: &str) -> JobView {
    let definition = RegisterJob {
        name: name.into(),
        application: name.into(),
        schedule: Schedule::OnDemand,
        misfire: Misfire::Skip,
        overlap: Overlap::Skip,
        retry: settee::job::Retry::default(),
        timeout_ms: 60_000,
        idempotent: false,
        slices: Slices::One,
    };
    JobView { definition, version: 1, paused: false, next_due: Some(at(160_000)), last_runs: vec![run(name, result)] }
}

fn run(job: &str, result: &str) -> RunView {
    let slice = SliceView {
        slice: 0,
        worker: Some("127.0.0.1:7402".parse().unwrap()),
        attempt: 1,
        state: RunStatus::Failed,
        result: None,
        cause: Some(result.into()),
        token: None,
    };
    let id = format!("{job}/1/0");
    RunView {
        id,
        job: job.into(),
        due: at(40_000),
        state: RunStatus::Failed,
        reference: Some(result.into()),
        slices: vec![slice],
    }
}

fn span(id: u64, parent: u64, text: &str, outcome: SpanOutcome) -> SpanRecord {
    SpanRecord {
        trace: TraceId(42),
        span: SpanId(id),
        parent: SpanId(parent),
        name: text.into(),
        kind: SpanKind::Server,
        application: text.into(),
        process: text.into(),
        start: at(99_000 + i64::try_from(id).unwrap()),
        duration_us: 2_000,
        outcome,
    }
}

fn a_trace(name: &str) -> TraceSummary {
    TraceSummary {
        trace: TraceId(42),
        name: name.into(),
        start: at(99_000),
        duration_us: 12_345,
        spans: 7,
        processes: 3,
        failed: true,
    }
}

fn overview(text: &str) -> Overview {
    Overview {
        services: Ok(vec![service(text, text)]),
        transactions: Ok(TransactionStats { committed: 1_500, aborted: 20, parked: 1, open: 2 }),
        topics: Ok(vec![topic(text.trim_end_matches(ACCOUNT), 3, 4)]),
        jobs: Ok(vec![a_job(text.trim_end_matches(ACCOUNT), text)]),
        traces: Ok(vec![a_trace(text)]),
        trace_stats: Ok(TraceStats { spans: 900, processes: 6, ..TraceStats::default() }),
    }
}

/// Every page, with `text` wherever somebody else can put it. Names of topics and jobs lead to their pages, so they stay whole.
fn all_pages(text: &str) -> Vec<String> {
    let here = visit("/console");
    let name = text.trim_end_matches(ACCOUNT);
    let topic_page = Topic {
        name: name.into(),
        topic: Ok(Some(topic(name, 3, 1))),
        partitions: Ok(vec![PartitionView {
            partition: 0,
            messages: 9,
            parked: true,
            groups: vec![PartitionGroupView { name: text.into(), lag_messages: 3, open: 1, dead: 0 }],
        }]),
    };
    let parked = BranchProgress::Parked { why: text.into(), attempts: 3, at: at(99_040) };
    let view = transaction(State::CommitParked, text, parked);
    let lines = TransactionPage { transactions: vec![summary(State::Committed, text)], next: None };
    let job_page = job::Job { name: name.into(), job: Ok(Some(a_job(name, text))), runs: Ok(vec![run(text, text)]) };
    let spans = vec![span(1, 0, text, SpanOutcome::Success), span(2, 1, text, SpanOutcome::Failed(text.into()))];
    let pages = [
        overview(text).page(Duration::from_secs(65), &here),
        instances::page(Ok(vec![service(text, text)]), &here),
        Transactions { stats: Ok(TransactionStats::default()), page: Ok(lines) }.page(&here),
        Transaction { xid: xid(), view: Ok(view), spans: Some(7) }.page(&here),
        topics::page(Ok(vec![topic(name, 3, 4)]), &here),
        topic_page.page(),
        jobs::page(Ok(vec![a_job(name, text)]), &here),
        job_page.page(&here),
        traces::page(Ok(vec![a_trace(text)]), &here),
        trace::page(TraceId(42), Ok(spans), &here),
    ];
    pages.into_iter().map(|page| document(page, &here)).collect()
}

#[test]
fn nothing_that_somebody_else_named_becomes_markup_or_shows_an_account() {
    for page in all_pages(HOSTILE) {
        has(&page, &["&lt;script&gt;"]);
        for forbidden in ["<script", "<img", ACCOUNT, "style=", " on"] {
            let found = page.match_indices(forbidden).find(|(place, _)| forbidden != " on" || is_in_tag(&page, *place));
            assert!(found.is_none(), "{forbidden:?} is in {page}");
        }
    }
}

/// Whether a place is between the `<` and the `>` of a tag, and not in a quoted value there.
fn is_in_tag(page: &str, place: usize) -> bool {
    let before = &page[..place];
    let tag = before.rfind('<').filter(|open| before.rfind('>').is_none_or(|close| close < *open));
    tag.is_some_and(|open| before[open..].matches('"').count().is_multiple_of(2))
}

#[test]
fn an_overview_begins_with_what_needs_somebody_the_worst_first() {
    let page = document(overview("pay").page(Duration::from_secs(65), &visit("/")), &visit("/"));
    has(
        &page,
        &[
            "server up 1 min 5 s",
            r#"href="/console/transactions?show=parked">1 parked transaction for an operator"#,
            "job pay: its last run failed",
            "group pay of pay: 4 dead letters",
            "group pay of pay: 3 messages and no consumer",
            "service pay: 1 orphan probed",
            r#"aria-label="1,500 committed, 20 aborted, 1 open, 1 parked""#,
        ],
    );
    assert!(page.find("its last run failed") < page.find("4 dead letters"), "{page}");
}

#[test]
fn a_part_that_does_not_answer_takes_nothing_else_with_it() {
    let broken = Overview { transactions: Err(no_answer()), ..overview("pay") };
    has(
        &document(broken.page(Duration::ZERO, &visit("/")), &visit("/")),
        &["no answer: count: no answer within 2s", "<b>?</b> no answer", "of 1 service"],
    );
    let here = visit("/console/transactions");
    let lines = TransactionPage { transactions: vec![summary(State::Committed, "t-1")], next: None };
    has(&document(Transactions { stats: Err(no_answer()), page: Ok(lines) }.page(&here), &here), &["no answer within 2s", "t-1"]);
    let page = Transaction { xid: xid(), view: Err(no_answer()), spans: None }.page(&here);
    assert_eq!(page.status, 503);
}

#[test]
fn a_transaction_shows_its_branches_on_one_axis_of_time() {
    let done = BranchProgress::Done { how: Done::Real, at: at(99_040) };
    let view = transaction(State::Committed, "pay.Debit", done);
    let here = visit("/console/transactions/x");
    let page = document(Transaction { xid: xid(), view: Ok(view), spans: Some(7) }.page(&here), &here);
    has(
        &page,
        &[
            "<b>COMMIT</b>, the application asked for it",
            r#"href="/console/traces/0000000000000000000000000000002a""#,
            "(7 spans)",
            r#"<rect class="tried" x="0.00%" width="25.00%""#,
            r#"<rect class="good" x="25.00%" width="75.00%""#,
            "<title>confirm, 30.0 ms</title>",
            r#"text-anchor="end">40.0 ms</text>"#,
        ],
    );
}

#[test]
fn an_operator_of_a_parked_transaction_is_told_why_and_the_next_command() {
    let parked = BranchProgress::Parked { why: "fence violation".into(), attempts: 3, at: at(99_040) };
    let view = transaction(State::CommitParked, "t", parked);
    let here = visit("/");
    let page = document(Transaction { xid: xid(), view: Ok(view), spans: None }.page(&here), &here);
    has(&page, &["fence violation", "parked after 3 attempts", "settee call settee.Transactions.resume", "is no longer kept"]);
}

#[test]
fn what_is_not_here_is_a_page_that_says_what_to_do() {
    let here = visit("/");
    let unknown = Error::new(ErrorKind::NotFound, codes::NO_TRANSACTION, "show");
    let pages = [
        (Transaction { xid: xid(), view: Err(unknown), spans: None }.page(&here), "settee transactions ls --reference"),
        (super::transaction::no_xid("<7>"), "&lt;7&gt;</code> is no id of a transaction"),
        (trace::page(TraceId(1), Ok(Vec::new()), &here), "settee traces ls"),
        (Topic { name: "x".into(), topic: Ok(None), partitions: Ok(Vec::new()) }.page(), "settee ls topics"),
        (job::Job { name: "x".into(), job: Ok(None), runs: Ok(Vec::new()) }.page(&here), "settee ls jobs"),
        (layout::missing(&visit("/<b>")), "Nothing is at <code>/&lt;b&gt;</code>"),
    ];
    for (page, expected) in pages {
        assert_eq!(page.status, 404, "{expected}");
        has(&document(page, &here), &[expected]);
    }
}

#[test]
fn a_server_on_which_nothing_happened_tells_how_to_begin() {
    let here = visit("/");
    let pages = [
        (instances::page(Ok(Vec::new()), &here), "settee demo --console"),
        (
            Transactions { stats: Ok(TransactionStats::default()), page: Ok(TransactionPage::default()) }.page(&here),
            "Transactions::begin",
        ),
        (topics::page(Ok(Vec::new()), &here), "App::consume("),
        (jobs::page(Ok(Vec::new()), &here), "App::job("),
        (traces::page(Ok(Vec::new()), &here), "settee.trace = false"),
    ];
    for (page, expected) in pages {
        assert_eq!(page.status, 200);
        has(&document(page, &here), &["class=\"empty\"", expected]);
    }
}

#[test]
fn a_waterfall_stands_each_span_below_its_parent_and_names_what_failed() {
    let spans =
        vec![span(1, 0, "pay.Payment.transfer", SpanOutcome::Success), span(2, 1, "late", SpanOutcome::Failed("RPC0002".into()))];
    let page = document(trace::page(TraceId(42), Ok(spans), &visit("/")), &visit("/"));
    has(
        &page,
        &[
            r#"<th class="span" scope="row">pay.Payment.transfer"#,
            r#"<th class="span" scope="row"><i class="deeper"></i>late"#,
            "failed RPC0002",
            r#"<rect class="c0" x="0.00%" width="66.67%""#,
            r#"<rect class="c1" x="33.33%" width="66.67%""#,
        ],
    );
}

#[test]
fn no_page_grows_with_what_there_is() {
    let topics: Vec<_> = (0..pager::LINES * 3).map(|n| topic(&format!("t-{n}"), 0, 0)).collect();
    let here = visit("/console/topics?page=2");
    let page = document(topics::page(Ok(topics), &here), &here);
    assert_eq!(page.matches("<tr").count(), pager::LINES + 1);
    has(&page, &["51–100 of 150 topics", "t-50<", "/console/topics?page=3"]);
    let spans: Vec<_> = (1..2_000).map(|id| span(id, id - 1, "x", SpanOutcome::Success)).collect();
    let page = document(trace::page(TraceId(42), Ok(spans), &here), &here);
    assert_eq!(page.matches("<tr").count(), 301);
    has(&page, &["The first 300 of 1,999 spans are drawn"]);
}
