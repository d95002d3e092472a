//! The tests of the tests, as the `simulate` binary runs seeds: each in a process of its own. A seed repeats exactly, faults and
//! end states are reached, and a planted bug is found.

use std::process::Command;

use serde_json::Value;

/// Runs `simulate` and returns its exit code and what it printed.
fn simulate(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_simulate")).args(arguments).output().expect("the binary starts");
    (output.status.code(), String::from_utf8(output.stdout).expect("it prints text"))
}

fn summary(arguments: &[&str]) -> (Option<i32>, Value) {
    let (code, printed) = simulate(&[arguments, &["--json"]].concat());
    (code, serde_json::from_str(&printed).expect("it prints JSON"))
}

#[test]
fn a_hundred_seeds_repeat_exactly_and_reach_every_fault() {
    let (code, summary) = summary(&["--workload", "toy", "--seeds", "100", "--meta"]);
    assert_eq!(summary["failures"], Value::Array(Vec::new()));
    assert_eq!((code, summary["seeds"].as_u64(), summary["violations"].as_u64()), (Some(0), Some(100), Some(0)));
    println!("{summary}");
    let count = |of: &str, name: &str| summary[of][name].as_u64().unwrap_or(0);
    for fault in ["kill", "power_cut", "pause", "partition", "partition_one_way", "clock_skew", "delay", "slow_work"] {
        assert!(count("faults", fault) >= 50, "{fault}: {}", summary["faults"]);
    }
    assert!(count("states", "acknowledged") > 10_000 && count("states", "unknown") > 100, "{}", summary["states"]);
}

#[test]
fn an_acknowledgement_before_the_write_is_found_and_says_how_to_replay_it() {
    let (code, printed) = simulate(&["--seeds", "40", "--workload", "toy-acknowledges-early"]);
    assert_eq!(code, Some(1));
    assert!(printed.contains(": I3 server"), "{printed}");
    let replay = "replay: cargo run --release -p settee-sim --bin simulate -- --workload toy-acknowledges-early --seed ";
    assert!(printed.contains("drew: ") && printed.contains(replay), "{printed}");
}

#[test]
fn different_seeds_tell_different_stories_and_one_seed_always_the_same() {
    let report = |seed: &str| {
        serde_json::from_str::<Value>(&simulate(&["--workload", "toy", "--report", "--seed", seed]).1).expect("a report")
    };
    let (one, other) = (report("1"), report("2"));
    assert_ne!(one["hash"], other["hash"]);
    assert_eq!(one, report("1"));
}

/// The whole system, SQLite included, holds and repeats exactly too. Few seeds: this is the unoptimised build.
#[test]
fn the_bank_holds_and_repeats_exactly() {
    let (_, summary) = summary(&["--workload", "bank", "--seeds", "6", "--meta"]);
    assert_eq!(summary["failures"], Value::Array(Vec::new()));
    assert_eq!(summary["seeds"].as_u64(), Some(6));
    let count = |state: &str| summary["states"][state].as_u64().unwrap_or(0);
    assert!(count("transfer settled") > 30 && count("run had its effect") > 30, "{}", summary["states"]);
}
