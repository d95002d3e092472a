//! Each part carries weight: the demo without it does not do what the demo with it does. Left out: recovery and a paused topic,
//! which want a folder with a history (`tests/scenarios/recovery_is_off.rs`, `topic_is_paused.rs`).

use std::process::Command;

use serde_json::Value;

/// Few enough to be quick, enough to need every part.
const TRANSFERS: u64 = 30;

/// What `settee demo` printed, and how it ended.
struct Ended {
    code: Option<i32>,
    report: Value,
    complaints: String,
}

fn demo(flags: &[&str]) -> Ended {
    let transfers = TRANSFERS.to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_settee"))
        .args(["demo", "--json", "--generate", &transfers, "--patience", "1"])
        .args(flags)
        .output()
        .expect("the binary starts");
    Ended {
        code: output.status.code(),
        report: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
        complaints: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn with_everything_every_transfer_is_made_notified_traced_and_proved() {
    let Ended { code, report, complaints } = demo(&[]);
    assert_eq!(code, Some(0), "{complaints}");
    assert_eq!(report["transfers"]["accepted"], TRANSFERS);
    assert_eq!(report["messages"]["applied"], TRANSFERS);
    assert_eq!((&report["job"]["reconciled"], &report["flow"]["limited"]), (&true.into(), &0.into()));
    assert!(report["trace"]["processes"].as_u64() >= Some(5), "{report}");
}

#[test]
fn without_the_registry_no_call_finds_its_service() {
    let Ended { code, report, complaints } = demo(&["--without", "registry"]);
    assert_eq!((code, report), (Some(1), Value::Null));
    assert!(complaints.contains("no instance is published"), "{complaints}");
}

#[test]
fn a_rate_of_20_a_second_is_never_exceeded_and_every_transfer_is_made_all_the_same() {
    let Ended { code, report, complaints } = demo(&["--rate", "20"]);
    assert_eq!(code, Some(0), "{complaints}");
    assert_eq!(report["transfers"]["accepted"], TRANSFERS);
    // From the first transfer to the last there are as many waits as transfers, less one.
    let seconds = report["seconds"].as_f64().expect("a demo takes time");
    assert!((TRANSFERS - 1) as f64 / seconds <= 20.0, "{report}");
    assert!(report["flow"]["limited"].as_u64() > Some(0), "{report}");
}

#[test]
fn without_topics_nobody_is_notified_and_the_demo_says_so() {
    let Ended { code, report, complaints } = demo(&["--without", "messages"]);
    assert_eq!((code, &report["transfers"]["accepted"]), (Some(1), &TRANSFERS.into()), "{complaints}");
    assert_eq!(report["messages"]["applied"], 0);
    assert!(complaints.contains("notified: 0"), "{complaints}");
}

#[test]
fn without_jobs_nothing_is_reconciled() {
    let Ended { code, report, complaints } = demo(&["--without", "jobs"]);
    assert_eq!((code, &report["transfers"]["accepted"]), (Some(1), &TRANSFERS.into()), "{complaints}");
    assert_eq!((&report["job"]["runs"], &report["job"]["reconciled"]), (&0.into(), &false.into()));
}

#[test]
fn without_traces_the_outcomes_are_the_same_and_nobody_can_see_how() {
    let (with, without) = (demo(&[]), demo(&["--without", "traces"]));
    assert_eq!(without.code, Some(0), "{}", without.complaints);
    for outcome in ["transfers", "money", "transactions", "messages", "job"] {
        assert_eq!(without.report[outcome], with.report[outcome], "{outcome}");
    }
    assert_eq!(without.report["trace"]["spans"], Value::Null);
}
