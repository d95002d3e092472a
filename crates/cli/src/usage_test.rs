//! What a wrong command line is told, word for word: it is the first thing that a new user reads.

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

use crate::{Cli, Command, server};

fn complaint(arguments: &[&str]) -> String {
    let arguments: Vec<OsString> = ["settee"].iter().chain(arguments).map(Into::into).collect();
    let error = Cli::try_parse_from(&arguments).unwrap_err();
    super::complaint(error, &arguments).to_string()
}

#[test]
fn the_command_line_is_put_together_correctly() {
    Cli::command().debug_assert();
}

#[test]
fn a_wrong_flag_is_one_line_that_says_what_to_try() {
    let table: &[(&[&str], &str)] = &[
        (&["demo", "--concurrency", "0"], "invalid value '0' for '--concurrency <N>': expected a number from 1 to 1024"),
        (&["demo", "--generate", "0"], "invalid value '0' for '--generate <N>': expected a number from 1 to 5000000"),
        (
            &["demo", "--generate", "9", "--shape", "xx"],
            "invalid value 'xx' for '--shape <SHAPE>' [possible values: random, payroll]",
        ),
        (&["demo", "--generate", "-5"], "invalid value '-5' for '--generate <N>': expected a number from 1 to 5000000"),
        (
            &["demo", "--rate", "99999999999999999999"],
            "invalid value '99999999999999999999' for '--rate <N>': expected a number from 1 to 4294967295",
        ),
        (&["demo", "--shape", "random"], "the following required arguments were not provided: --generate <N>"),
        (
            &["demo", "--generate", "9", "--accounts", "a.csv"],
            "the argument '--generate <N>' cannot be used with '--accounts <FILE>'",
        ),
        (
            &["demo", "--transfers", "t.csv", "--generate", "9"],
            "the argument '--transfers <FILE>' cannot be used with '--generate <N>'",
        ),
    ];
    for (arguments, expected) in table {
        assert_eq!(complaint(arguments), format!("{expected}; try `settee demo --help`"));
    }
}

#[test]
fn a_slip_of_the_hand_is_put_right_unless_a_shell_would_read_it_otherwise() {
    let table: &[(&[&str], &str)] = &[
        (&["dmeo"], "settee demo"),
        // Nearer to the hidden `demo-process` than most, which is nobody's to type.
        (&["demos"], "settee demo"),
        (&["demo-proces"], "settee demo"),
        (&["demo", "--shap", "payroll"], "settee demo --shape payroll"),
        (&["demo", "--generate", "9", "--shape", "payrol"], "settee demo --generate 9 --shape payroll"),
        (&["transactions", "ls", "--sate", "COMMITTED"], "settee transactions ls --state COMMITTED"),
        (&["call", "pay.Account.find", "{\"account\":\"A 1\"}", "--rout", "A"], "settee call --help"),
        (&["ls", "topics", "--json", "--jsno"], "settee ls topics --json"),
        (&["frobnicate"], "settee --help"),
    ];
    for (arguments, expected) in table {
        let complaint = complaint(arguments);
        assert!(complaint.ends_with(&format!("; try `{expected}`")), "{complaint}");
    }
}

#[test]
fn a_wrong_command_line_says_what_is_wrong_and_what_would_be_right() {
    let table: &[(&[&str], &str)] = &[
        (&["sever"], "unrecognized subcommand 'sever'; a similar subcommand exists: 'server'; try `settee server`"),
        (&["ls", "topic"], "unrecognized subcommand 'topic'; a similar subcommand exists: 'topics'; try `settee ls topics`"),
        (
            &["ls", "services", "--server", "here"],
            "invalid value 'here' for '--server <ADDR>': expected IP:PORT, such as 127.0.0.1:7400 or [::1]:7400; try `settee ls services --help`",
        ),
        (
            &["ls", "services", "--jsn"],
            "unexpected argument '--jsn' found; a similar argument exists: '--json'; try `settee ls services --json`",
        ),
        (
            &["server", "--listen", "7400"],
            "invalid value '7400' for '--listen <ADDR>': expected IP:PORT, such as 127.0.0.1:7400 or [::1]:7400; try `settee server --help`",
        ),
        (
            &["server", "--dat", "x"],
            "unexpected argument '--dat' found; a similar argument exists: '--data'; try `settee server --data x`",
        ),
        (&["call"], "the following required arguments were not provided: <SERVICE.METHOD>; try `settee call --help`"),
        (
            &["call", "find"],
            "invalid value 'find' for '<SERVICE.METHOD>': expected SERVICE.METHOD, such as pay.Account.find; try `settee call --help`",
        ),
        (
            &["call", "pay..find"],
            "invalid value 'pay..find' for '<SERVICE.METHOD>': expected SERVICE.METHOD, such as pay.Account.find; try `settee call --help`",
        ),
        (
            &["call", "pay.Account.find", "--timeout", "-3s"],
            "invalid value '-3s' for '--timeout <TIME>': expected a time above zero and up to 1h, such as 500ms, 3s or 2m; try `settee call --help`",
        ),
        (&["ls", "topics", "extra"], "unexpected argument 'extra' found; try `settee ls topics --help`"),
        (
            &["call", "pay.Account.find", "{\"account\": A-1}"],
            r#"invalid value '{"account": A-1}' for '[JSON]': not JSON: expected value at line 1 column 13; try `settee call --help`"#,
        ),
        (
            &["call", "pay.Account.find", "[1]"],
            r#"invalid value '[1]' for '[JSON]': arguments go by name: expected an object such as {"account":"A-1"}, got an array; try `settee call --help`"#,
        ),
        (
            &["call", "pay.Account.find", "{}", "--timeout", "3"],
            "invalid value '3' for '--timeout <TIME>': expected a time above zero and up to 1h, such as 500ms, 3s or 2m; try `settee call --help`",
        ),
        (
            &["transactions", "show"],
            "the following required arguments were not provided: <XID>; try `settee transactions show --help`",
        ),
        (
            &["transactions", "show", "07"],
            r#"invalid value '07' for '<XID>': read xid "07": 32 hex digits are expected; try `settee transactions show --help`"#,
        ),
        (
            &["transactions", "ls", "--state", "COMITTED"],
            "invalid value 'COMITTED' for '--state <STATE>' [possible values: \
             ACTIVE, COMMITTING, COMMITTED, ABORTING, ABORTED, COMMIT_PARKED, ABORT_PARKED, UNKNOWN_PARKED, CLOSED_BY_OPERATOR]; a similar value exists: 'COMMITTED'; try `settee transactions ls --state COMMITTED`",
        ),
        (
            &["transactions", "ls", "--limit", "0"],
            "invalid value '0' for '--limit <COUNT>': expected a number from 1 to 10000; try `settee transactions ls --help`",
        ),
        (
            &["transactions", "list"],
            "unrecognized subcommand 'list'; a similar subcommand exists: 'ls'; try `settee transactions ls`",
        ),
    ];
    for (arguments, expected) in table {
        assert_eq!(complaint(arguments), *expected, "{arguments:?}");
    }
}

#[test]
fn a_server_that_strangers_could_reach_is_refused_unless_asked_for() {
    let refused = |arguments: &[&str]| match Cli::try_parse_from(arguments).unwrap().command {
        Command::Server(args) => server::refuse_strangers(&args).err(),
        other => panic!("{other:?}"),
    };
    let error = refused(&["settee", "server", "--listen", "0.0.0.0:7400"]).unwrap();
    let expected = "error: --listen 0.0.0.0:7400 can be reached from other machines, and nothing authenticates or encrypts calls\n  \
                    listen on a loopback address, or add --insecure if the network itself keeps strangers out\n  \
                    try: settee server --listen 127.0.0.1:7400";
    assert_eq!((error.text().as_str(), error.exit()), (expected, 2));
    for allowed in
        [&["settee", "server", "--listen", "0.0.0.0:7400", "--insecure"][..], &["settee", "server", "--listen", "[::1]:0"]]
    {
        assert!(refused(allowed).is_none(), "{allowed:?}");
    }
}

#[test]
fn a_name_that_no_browser_would_send_is_refused_before_anything_starts() {
    let hosts = |names: &[&str]| {
        let flags = names.iter().flat_map(|name| ["--allowed-host", name]);
        match Cli::try_parse_from(["settee", "server"].into_iter().chain(flags)).unwrap().command {
            Command::Server(args) => server::allowed_hosts(&args),
            other => panic!("{other:?}"),
        }
    };
    let error = hosts(&["settee.bank.example", "http://Settee"]).unwrap_err();
    let expected = "error: read --allowed-host and SETTEE_ALLOWED_HOSTS: expected a host name such as settee.bank.example, \
                    got \"http://Settee\": leave out the scheme\n  code: APP0002, see docs/operations/errors/APP0002.md\n  \
                    try: settee server --allowed-host settee.bank.example";
    assert_eq!((error.text().as_str(), error.exit()), (expected, 1));
    let both = hosts(&["settee.bank.example, settee"]).unwrap();
    assert!(both.admits("settee.bank.example:7400") && both.admits("settee"), "commas separate names, as in the variable");
    assert_eq!(hosts(&[""]).unwrap(), settee::rpc::AllowedHosts::default(), "an empty variable is none");
}

#[test]
fn a_server_is_never_started_on_a_file() {
    let on = |data: &str| match Cli::try_parse_from(["settee", "server", "--data", data]).unwrap().command {
        Command::Server(args) => server::refuse_files(&args).err(),
        other => panic!("{other:?}"),
    };
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let error = on(manifest).unwrap();
    let expected =
        format!("error: --data {manifest} is not a folder; try `settee server --listen 127.0.0.1:7400 --data OTHER_FOLDER`");
    assert_eq!((error.text(), error.exit()), (expected, 2));
    assert!(on(env!("CARGO_MANIFEST_DIR")).is_none() && on("nowhere/yet").is_none());
}
