//! The console of a server on which something happened: each page is read as a browser reads it.

use settee::trace::control::{TraceControl, TraceControlClient};
use settee::trace::{SpanId, SpanKind, SpanOutcome, SpanRecord, TraceId};
use settee::txn::{Begin, LeaseXids, TransactionControl, TransactionControlClient, Xid};
use settee_core::env;
use settee_payments::api::{Notify, NotifyClient, PaymentClient};
use settee_tests::{House, Page, browse, get, open, order, settle, until};

const HOSTILE: &str = "<script>alert('DE68700901004224967103')</script>";
const DEBTOR: &str = "DE68700901004224967103";
const CREDITOR: &str = "GB82WEST12345698765432";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_is_on_the_pages_and_no_account_number_and_no_markup_of_others() {
    let house = House::start().await;
    let xid = transfer(&house).await;
    let trace = traced(&house, &xid).await;
    let hostile = begin_with(&house, HOSTILE).await;
    spans_named(&house, HOSTILE).await;

    for (path, expected) in [
        ("/", vec!["Overview", "1 committed, 0 aborted", "0 to do"]),
        ("/console/instances", vec!["pay.Payment", "pay.Debit", "0/2", "published"]),
        ("/console/transactions", vec![&xid, "t-1", "committed", "transfer"]),
        ("/console/transactions?show=committed&reference=t-1", vec![&xid]),
        (&format!("/console/transactions/{xid}"), vec!["pay.Debit", "DE68…7103", "pay.Credit", "GB82…5432", &trace]),
        (&format!("/console/transactions/{hostile}"), vec!["&lt;script&gt;", "No branch is listed"]),
        ("/console/topics", vec!["transfers", "notify", "running"]),
        ("/console/topics/transfers", vec!["Partitions", "notify"]),
        ("/console/jobs", vec!["reconcile", "Europe/Zurich"]),
        ("/console/jobs/reconcile", vec!["It has not run yet", "settee call settee.Jobs.trigger"]),
        ("/console/traces", vec![&trace, "&lt;script&gt;"]),
        (&format!("/console/traces/{trace}"), vec!["pay.Payment.transfer", "<svg class=\"track\"", "notify"]),
    ] {
        let page = shown(&house, path).await;
        assert_eq!(page.status, 200, "{path}: {page:?}");
        for part in expected {
            assert!(page.body.contains(part), "{part:?} is not on {path}: {}", page.body);
        }
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_a_page_and_foreign_names_show_nothing() {
    let house = House::start().await;
    let nobody = "0700000100000000002a000000000009";
    for (path, expected) in [
        (&format!("/console/transactions/{nobody}"), "settee transactions ls --reference"),
        (&"/console/transactions/7".to_owned(), "is no id of a transaction"),
        (&format!("/console/traces/{nobody}"), "settee traces ls"),
        (&"/console/topics/nowhere".to_owned(), "settee ls topics"),
        (&"/console/jobs/never".to_owned(), "settee ls jobs"),
        (&"/console/nothing".to_owned(), "No such page"),
    ] {
        let page = shown(&house, path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(page.body.contains(expected), "{path}: {}", page.body);
    }
    let program = get(house.server(), "/console/nothing").await;
    assert!(program.status == 404 && program.json()["failed"].is_object(), "programs get JSON: {program:?}");

    let foreign = browse(house.server(), "evil.example", "/").await;
    assert_eq!(foreign.status, 403, "{foreign:?}");
    assert!(!foreign.body.contains('<'), "{foreign:?}");
    let sheet = get(house.server(), "/console/console.css").await;
    assert!(sheet.head.contains("content-type: text/css") && sheet.body.contains("prefers-color-scheme: dark"), "{sheet:?}");
    assert_eq!(shown(&house, &format!("/console/jobs?page={}", "1".repeat(2_000))).await.status, 400);
    house.stop().await;
}

/// A page, of which everything holds that holds of every page.
async fn shown(house: &House, path: &str) -> Page {
    let page = browse(house.server(), &house.server().to_string(), path).await;
    for header in ["content-security-policy: default-src 'none'; style-src 'self'", "x-content-type-options: nosniff"] {
        assert!(page.head.contains(header), "{header:?} of {path}: {}", page.head);
    }
    for forbidden in ["<script", "style=", DEBTOR, CREDITOR] {
        assert!(!page.body.contains(forbidden), "{forbidden:?} is on {path}: {}", page.body);
    }
    page
}

/// A transfer that is settled and told.
async fn transfer(house: &House) -> String {
    open(&house.caller, &[DEBTOR, CREDITOR], 100_00).await;
    let payment: PaymentClient = house.caller.client();
    let receipt = settle(&payment, &order("t-1", DEBTOR, CREDITOR, "12.50")).await.expect("nothing speaks against it");
    let notify: NotifyClient = house.caller.client();
    until(|| async { (notify.counts().await.ok()?.rows == 1).then_some(()) }).await;
    receipt.xid
}

/// The trace of a transaction, once the span of its last process is there.
async fn traced(house: &House, xid: &str) -> String {
    let transactions: TransactionControlClient = house.caller.control();
    let traces: TraceControlClient = house.caller.control();
    let xid: Xid = xid.parse().expect("an xid");
    let trace = until(|| async { transactions.show(xid).await.ok()?.trace }).await;
    let told = |spans: &[SpanRecord]| spans.iter().any(|span| span.application == "notify");
    until(|| async { traces.show(trace).await.ok().filter(|spans| told(spans)) }).await;
    trace.to_string()
}

async fn begin_with(house: &House, reference: &str) -> Xid {
    let control: TransactionControlClient = house.caller.control();
    let lease = until(|| async { control.lease(LeaseXids { count: 1 }).await.ok() }).await;
    let xid = Xid::new(lease.shard, lease.generation, lease.first, 7);
    let begin = Begin {
        xid,
        name: reference.into(),
        reference: Some(reference.into()),
        timeout_ms: 60_000,
        application: reference.into(),
    };
    control.begin(begin).await.expect("any text is a name");
    xid
}

async fn spans_named(house: &House, name: &str) {
    let traces: TraceControlClient = house.caller.control();
    let span = SpanRecord {
        trace: TraceId(42),
        span: SpanId(1),
        parent: SpanId(0),
        name: name.into(),
        kind: SpanKind::Internal,
        application: name.into(),
        process: name.into(),
        start: env::wall_clock(),
        duration_us: 1,
        outcome: SpanOutcome::Failed(name.into()),
    };
    traces.ingest(vec![span]).await.expect("spans are taken");
}
