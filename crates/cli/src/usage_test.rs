//! What a wrong command line is told, word for word: it is the first thing that a new user reads.

use std::ffi::OsString;

use clap::Parser;

use crate::failure::Failure;
use crate::{Cli, help_for, one_line};

fn complaint(arguments: &[&str]) -> String {
    let arguments: Vec<OsString> = ["settee"].iter().chain(arguments).map(Into::into).collect();
    let error = Cli::try_parse_from(&arguments).unwrap_err();
    Failure::wrong(one_line(&error.to_string())).with_next(help_for(&arguments)).to_string()
}

#[test]
fn a_wrong_command_line_says_what_is_wrong_and_what_would_be_right() {
    let table: &[(&[&str], &str)] = &[
        (&["sever"], ""),
        (&["ls", "topic"], ""),
        (&["ls", "services", "--server", "here"], ""),
        (&["ls", "services", "--jsn"], ""),
        (&["server", "--listen", "7400"], ""),
        (&["server", "--dat", "x"], ""),
        (&["call"], ""),
        (&["call", "find"], ""),
        (&["call", "pay.Account.find", "{\"account\": A-1}"], ""),
        (&["call", "pay.Account.find", "[1]"], ""),
        (&["call", "pay.Account.find", "{}", "--timeout", "3"], ""),
        (&["transactions", "show"], ""),
        (&["transactions", "show", "07"], ""),
        (&["transactions", "ls", "--state", "COMITTED"], ""),
        (&["transactions", "ls", "--limit", "0"], ""),
        (&["transactions", "list"], ""),
    ];
    for (arguments, expected) in table {
        println!("{arguments:?}\n{}", complaint(arguments));
    }
    for (arguments, expected) in table {
        assert_eq!(complaint(arguments), *expected, "{arguments:?}");
    }
}
