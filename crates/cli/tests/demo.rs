//! The demo as a process of its own: what it makes of a file twice, and of a stdout that takes nothing.
#![allow(clippy::disallowed_methods, reason = "starts the binary as a user does")]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn settee(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_settee"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn complaints(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A demo with `flags` on the folder `data`: its report.
fn demo(data: &Path, flags: &[&str]) -> Value {
    let output = settee(&["demo", "--json", "--data"]).arg(data).args(flags).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    serde_json::from_slice(&output.stdout).expect("a report")
}

#[test]
fn a_file_that_was_settled_before_loses_every_process_once_all_the_same() {
    let place = tempfile::tempdir().expect("a folder");
    let data = place.path().join("kept");
    let first = demo(&data, &[]);
    let again = demo(&data, &["--chaos"]);
    let killed: Vec<_> = again["chaos"].as_array().expect("kills").iter().map(|strike| strike["killed"].clone()).collect();
    assert_eq!(killed, ["server", "account", "payment", "notify"]);
    assert_eq!(again["transfers"]["by_reason"], first["transfers"]["by_reason"]);
    assert_eq!(again["transfers"]["unknown"], 0);
}

#[test]
fn an_amount_beyond_every_account_is_refused_for_the_account_or_the_funds() {
    let place = tempfile::tempdir().expect("a folder");
    let [accounts, transfers] = ["a.csv", "t.csv"].map(|name| place.path().join(name));
    std::fs::write(&accounts, "account,owner,currency,opening_balance,status\na,x,EUR,5.00,open\nb,y,EUR,1.00,open\n").unwrap();
    let huge = "999999999999999999";
    let rows = format!("1,a,b,{huge},EUR,\n2,a,nobody,{huge},EUR,\n3,a,b,-{huge},EUR,\n4,a,b,1.00,EUR,\n");
    std::fs::write(&transfers, format!("id,debtor,creditor,amount,currency,text\n{rows}")).unwrap();
    let flags = ["--accounts", accounts.to_str().unwrap(), "--transfers", transfers.to_str().unwrap()];
    let report = demo(&place.path().join("kept"), &flags);
    assert_eq!(report["transfers"]["by_reason"], json!({ "AC01": 1, "AM04": 1, "AM12": 1 }));
    assert_eq!(report["transfers"]["accepted"], 1);
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_and_one_that_nobody_reads_is_none() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("linux has one"));
    let commands: [&[&str]; 3] = [&["demo", "--json", "--generate", "5"], &["completions", "bash"], &["--help"]];
    for arguments in commands {
        let unwritten = settee(arguments).stdout(full()).output().expect("the binary starts");
        let complaints = complaints(&unwritten);
        assert_eq!(unwritten.status.code(), Some(1), "{arguments:?}: {complaints}");
        assert!(complaints.starts_with("error: write to stdout: No space left on device"), "{arguments:?}: {complaints}");
    }
    for arguments in commands {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let unread = settee(arguments).stdout(writer).output().expect("the binary starts");
        assert_eq!((unread.status.code(), complaints(&unread).as_str()), (Some(0), ""), "{arguments:?}");
    }
}
