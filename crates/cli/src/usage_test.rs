//! What a wrong command line is told, word for word: it is the first thing that a new user reads.

use std::ffi::OsString;

use clap::Parser;

use crate::failure::Failure;
use crate::output::error_line;
use crate::{Cli, Command, help_for, one_line, server};

fn complaint(arguments: &[&str]) -> String {
    let arguments: Vec<OsString> = ["settee"].iter().chain(arguments).map(Into::into).collect();
    let error = Cli::try_parse_from(&arguments).unwrap_err();
    Failure::wrong(one_line(&error.to_string())).with_next(help_for(&arguments)).to_string()
}

#[test]
fn a_wrong_command_line_says_what_is_wrong_and_what_would_be_right() {
    let table: &[(&[&str], &str)] = &[
        (&["sever"], "unrecognized subcommand 'sever' tip: a similar subcommand exists: 'server'; try `settee --help`"),
        (&["ls", "topic"], "unrecognized subcommand 'topic' tip: a similar subcommand exists: 'topics'; try `settee ls --help`"),
        (
            &["ls", "services", "--server", "here"],
            "invalid value 'here' for '--server <ADDR>': expected IP:PORT, such as 127.0.0.1:7400 or [::1]:7400; try `settee ls --help`",
        ),
        (
            &["ls", "services", "--jsn"],
            "unexpected argument '--jsn' found tip: a similar argument exists: '--json'; try `settee ls --help`",
        ),
        (
            &["server", "--listen", "7400"],
            "invalid value '7400' for '--listen <ADDR>': expected IP:PORT, such as 127.0.0.1:7400 or [::1]:7400; try `settee server --help`",
        ),
        (
            &["server", "--dat", "x"],
            "unexpected argument '--dat' found tip: a similar argument exists: '--data'; try `settee server --help`",
        ),
        (&["call"], "the following required arguments were not provided: <SERVICE.METHOD>; try `settee call --help`"),
        (
            &["call", "find"],
            "invalid value 'find' for '<SERVICE.METHOD>': expected SERVICE.METHOD, such as pay.Account.find; try `settee call --help`",
        ),
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
            "the following required arguments were not provided: <XID>; try `settee transactions --help`",
        ),
        (
            &["transactions", "show", "07"],
            r#"invalid value '07' for '<XID>': read xid "07": 32 hex digits are expected; try `settee transactions --help`"#,
        ),
        (
            &["transactions", "ls", "--state", "COMITTED"],
            "invalid value 'COMITTED' for '--state <STATE>' [possible values: \
             ACTIVE, COMMITTING, COMMITTED, ABORTING, ABORTED, COMMIT_PARKED, ABORT_PARKED, UNKNOWN_PARKED, CLOSED_BY_OPERATOR] tip: a similar value exists: 'COMMITTED'; try `settee transactions --help`",
        ),
        (
            &["transactions", "ls", "--limit", "0"],
            "invalid value '0' for '--limit <COUNT>': 0 is not in 1..=10000; try `settee transactions --help`",
        ),
        (
            &["transactions", "list"],
            "unrecognized subcommand 'list' tip: a similar subcommand exists: 'ls'; try `settee transactions --help`",
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
                    listen on a loopback address such as 127.0.0.1:7400, or add --insecure if the network itself keeps strangers out";
    assert_eq!((error_line(&error).as_str(), error.exit_code()), (expected, 2));
    for allowed in
        [&["settee", "server", "--listen", "0.0.0.0:7400", "--insecure"][..], &["settee", "server", "--listen", "[::1]:0"]]
    {
        assert!(refused(allowed).is_none(), "{allowed:?}");
    }
}
