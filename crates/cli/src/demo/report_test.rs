//! The keys and their order, what counts as broken, and what a proof has to say.

use std::time::Duration;

use settee_payments::account::Proof;
use settee_payments::api::Total;

use super::*;

fn total(minor: i64, opened_minor: i64) -> Total {
    Total { currency: "EUR".into(), minor, frozen_minor: 0, opened_minor }
}

fn proof(total: Total) -> Proof {
    Proof { totals: vec![total], out_of_balance: 0 }
}

fn findings() -> Findings {
    let mut latency = Histogram::new(3).unwrap();
    latency.record(1_500).unwrap();
    let outcomes = Outcomes {
        accepted: vec!["t1".into(), "t2".into()],
        answers: Vec::new(),
        by_reason: BTreeMap::from([("AM04".into(), 1)]),
        unknown: 0,
        limited: 3,
        latency,
        took: Duration::from_millis(1_500),
    };
    let settled = Settled {
        transactions: Some(TransactionStats { committed: 2, aborted: 1, parked: 0, open: 0 }),
        sent: Some(2),
        applied: Some(2),
        duplicates: Some(1),
        dead: Some(0),
        proofs: Some(vec![proof(total(90, 100)), proof(total(60, 50))]),
        runs: 1,
        trace: Some(SlowestTrace { id: "0af7".into(), spans: 21, processes: 6 }),
    };
    Findings {
        read: 3,
        replayed: 0,
        before: Sums::from([("EUR".into(), 150)]),
        after: Sums::from([("EUR".into(), 150)]),
        outcomes,
        settled,
        struck: Struck {
            strikes: vec![Strike { killed: "server", first_success_after_ms: Some(412) }],
            spared: Vec::new(),
            duplicates_forgotten: 4,
        },
        peak_rss_bytes: Some(1_048_576),
    }
}

#[test]
fn the_keys_and_their_order_are_what_people_script_against() {
    let report = Report::new(findings());
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap(), @r#"
    {
      "transfers": {
        "read": 3,
        "accepted": 2,
        "rejected": 1,
        "unknown": 0,
        "replayed": 0,
        "by_reason": {
          "AM04": 1
        }
      },
      "money": {
        "conserved": true,
        "before": {
          "EUR": "1.50"
        },
        "after": {
          "EUR": "1.50"
        }
      },
      "transactions": {
        "committed": 2,
        "aborted": 1,
        "parked": 0,
        "open": 0
      },
      "messages": {
        "sent": 2,
        "applied": 2,
        "duplicates_suppressed": 5,
        "dead": 0
      },
      "job": {
        "runs": 1,
        "reconciled": true
      },
      "flow": {
        "limited": 3
      },
      "trace": {
        "slowest_trace_id": "0af7",
        "spans": 21,
        "processes": 6
      },
      "chaos": [
        {
          "killed": "server",
          "first_success_after_ms": 412
        }
      ],
      "throughput_per_s": 2.0,
      "latency_ms": {
        "p50": 1.5,
        "p99": 1.5
      },
      "seconds": 1.5,
      "peak_rss_bytes": 1048576
    }
    "#);
    assert_eq!(report.broken(), Vec::<String>::new());
}

#[test]
fn what_could_not_be_had_is_null_and_never_zero() {
    let report = Report::new(Findings { settled: Settled::default(), peak_rss_bytes: None, ..findings() });
    let messages = r#"{"sent":null,"applied":null,"duplicates_suppressed":null,"dead":null}"#;
    assert_eq!(serde_json::to_string(&report.messages).unwrap(), messages);
    assert_eq!(serde_json::to_string(&report.trace).unwrap(), r#"{"slowest_trace_id":null,"spans":null,"processes":null}"#);
    let expected = [
        "the ledgers did not prove their sums",
        "whether transactions are parked is not known",
        "whether transactions are open is not known",
        "transfers accepted: 2, notified: an unknown number",
    ];
    assert_eq!(report.broken(), expected);
}

#[test]
fn money_that_is_gone_or_held_or_unexplained_is_never_called_conserved() {
    let with = |proofs: Vec<Proof>| {
        Report::new(Findings { settled: Settled { proofs: Some(proofs), ..findings().settled }, ..findings() })
    };
    assert!(with(vec![proof(total(90, 100)), proof(total(60, 50))]).money.conserved);
    assert!(!with(vec![proof(total(90, 100)), proof(total(59, 50))]).money.conserved, "a unit is gone");
    let frozen = Total { frozen_minor: 1, ..total(150, 150) };
    assert!(!with(vec![proof(frozen)]).money.conserved, "something is held");
    let unexplained = Proof { out_of_balance: 1, ..proof(total(150, 150)) };
    assert!(!with(vec![unexplained]).money.conserved, "an account is not what its entries say");
    let changed = Report::new(Findings { after: Sums::from([("EUR".into(), 151)]), ..findings() });
    assert_eq!(changed.broken(), ["the ledgers do not hold what they held before"]);
}

#[test]
fn a_kill_that_was_asked_for_and_did_not_happen_is_never_silent() {
    let mut findings = findings();
    findings.struck.spared = vec!["payment", "notify"];
    let report = Report::new(findings);
    assert_eq!(report.broken(), ["killed only in part, no transfer was left to be open: not payment, notify"]);
    assert!(serde_json::to_value(&report).unwrap().get("spared").is_none(), "the keys are an interface");
}

#[test]
fn a_transfer_without_outcome_or_notification_breaks_the_run() {
    let mut findings = findings();
    findings.outcomes.unknown = 2;
    findings.settled.applied = Some(1);
    findings.settled.transactions = Some(TransactionStats { committed: 2, aborted: 1, parked: 1, open: 4 });
    let expected = [
        "transfers without an outcome: 2",
        "transactions that are parked: 1",
        "transactions that are open: 4",
        "transfers accepted: 2, notified: 1",
    ];
    assert_eq!(Report::new(findings).broken(), expected);
}
