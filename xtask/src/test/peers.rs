//! Programs that some tests talk to or look through. They come from the ordinary package clients, or the tests that need them
//! are named and left out; under `CI=true` that is a failure.

use std::env;
use std::process::{Command, Stdio};

use super::Skipped;

/// A program outside this repository that something here needs.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Succeeds when the peer is there.
    pub(crate) check: &'static [&'static str],
    /// How to get it.
    pub(crate) source: Source,
    /// Full names of the tests that cannot run without it. A peer that nobody needs is not looked for.
    pub(crate) needed_by: &'static [&'static str],
}

/// The client that brings a peer, and what it is asked for.
pub(crate) enum Source {
    /// A package of Debian.
    Debian(&'static str),
    /// A program that cargo builds: what stands behind `cargo install`.
    Cargo(&'static [&'static str]),
}

const PEERS: &[Peer] = &[
    Peer {
        name: "strace",
        check: &["strace", "--version"],
        source: Source::Debian("strace"),
        needed_by: &[
            "faults::answer_goes_before_its_sync::a_key_is_synced_before_it_is_acknowledged",
            "faults::answer_goes_before_its_sync::a_message_is_synced_before_it_is_acknowledged",
            "faults::answer_goes_before_its_sync::a_row_of_a_ledger_is_synced_before_it_is_acknowledged",
        ],
    },
    Peer {
        name: "curl",
        check: &["curl", "--version"],
        source: Source::Debian("curl"),
        needed_by: &["golden::book::run_it", "golden::book::write_a_service"],
    },
    Peer {
        name: "sqlite3",
        check: &["sqlite3", "--version"],
        source: Source::Debian("sqlite3"),
        needed_by: &[
            "golden::book::move_money",
            "golden::book::run_it",
            "golden::wrong_usages::every_wrong_usage_is_answered_by_what_was_wrong_where_and_what_to_type_next",
        ],
    },
];

/// The tests matching `filter` that cannot run here, after trying to install what they need.
pub(crate) fn missing(filter: &str) -> Skipped {
    missing_of(PEERS, filter, is_there_or_installed)
}

/// Whether a missing peer is a failure: the variable `CI` is set and does not say no.
pub(crate) fn must_be_present() -> bool {
    env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

fn missing_of(peers: &[Peer], filter: &str, is_there: impl Fn(&Peer) -> bool) -> Skipped {
    let mut missing = Skipped::new();
    for peer in peers {
        let needed_by: Vec<_> = peer.needed_by.iter().filter(|test| test.contains(filter)).collect();
        if needed_by.is_empty() || is_there(peer) {
            continue;
        }
        let why = format!("{} is missing; to get it: {}", peer.name, peer.install_line());
        missing.extend(needed_by.iter().map(|test| (test.to_string(), why.clone())));
    }
    missing
}

/// Whether it is there, after trying to install it.
pub(crate) fn is_there_or_installed(peer: &Peer) -> bool {
    if succeeds(peer.check, Stdio::null) {
        return true;
    }
    peer.source.lines().iter().any(|line| {
        let line = as_root(line);
        eprintln!("peers: {} is missing: {}", peer.name, line.join(" "));
        succeeds(&line, Stdio::inherit) && succeeds(peer.check, Stdio::null)
    })
}

impl Peer {
    /// The first command to get it with.
    pub(crate) fn install_line(&self) -> String {
        self.source.lines().first().map(|line| line.join(" ")).unwrap_or_default()
    }
}

impl Source {
    /// Commands that are run in order until the peer is there. A machine may never have read the list of packages.
    fn lines(&self) -> Vec<Vec<&'static str>> {
        match self {
            Self::Debian(package) => {
                let install = vec!["apt-get", "install", "--yes", "--no-install-recommends", package];
                vec![install.clone(), vec!["apt-get", "update"], install]
            }
            Self::Cargo(arguments) => vec![[&["cargo", "install"], *arguments].concat()],
        }
    }
}

/// The system's package client wants root; `sudo -n` never asks for a password.
fn as_root<'a>(line: &[&'a str]) -> Vec<&'a str> {
    let wants_root = line.first() == Some(&"apt-get");
    let sudo: &[&str] = if wants_root && !is_root() { &["sudo", "-n"] } else { &[] };
    [sudo, line].concat()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn succeeds(line: &[&str], output: fn() -> Stdio) -> bool {
    let Some((program, arguments)) = line.split_first() else { return false };
    let mut command = Command::new(program);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(Stdio::null()).stdout(output()).stderr(output());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: Peer = Peer { name: "peer", check: &["false"], source: Source::Debian("peer"), needed_by: &["a::b", "c::d"] };
    const UNUSED: Peer = Peer { name: "unused", check: &["false"], source: Source::Cargo(&["unused"]), needed_by: &[] };

    #[test]
    fn the_tests_of_a_missing_peer_are_named_with_the_remedy() {
        let missing = missing_of(&[NEEDED], "", |_| false);
        assert_eq!(missing.len(), 2);
        let install = "apt-get install --yes --no-install-recommends peer";
        assert_eq!(missing["a::b"], format!("peer is missing; to get it: {install}"));
    }

    #[test]
    fn a_machine_without_a_list_of_packages_gets_one_before_it_is_given_up() {
        let lines: Vec<_> = NEEDED.source.lines().iter().map(|line| line.join(" ")).collect();
        assert_eq!(lines, [NEEDED.install_line(), "apt-get update".to_owned(), NEEDED.install_line()]);
        assert_eq!(UNUSED.install_line(), "cargo install unused");
    }

    #[test]
    fn a_peer_is_not_looked_for_when_no_test_wants_it() {
        let nobody = |peer: &Peer| -> bool { panic!("looked for {}", peer.name) };
        assert!(missing_of(&[UNUSED], "", nobody).is_empty());
        assert!(missing_of(&[NEEDED], "other", nobody).is_empty());
    }

    #[test]
    fn a_program_that_does_not_exist_is_missing_and_not_an_error() {
        assert!(!succeeds(&["no-such-program-anywhere"], Stdio::null));
        assert!(!succeeds(&[], Stdio::null));
    }
}
