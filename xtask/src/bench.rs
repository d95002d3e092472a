//! `cargo xtask bench NAME`: one bench in release mode, with its own arguments, output and exit code. Compiling it is left to
//! cargo, so that xtask itself stays quick to build.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::cargo;

/// Measure one part of settee beside its baseline; docs/performance.md says what the figures mean.
#[derive(Args)]
pub(crate) struct Bench {
    /// What to measure.
    name: Name,
    /// Rounds of each contender, at least 5; figures are their medians.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(5..=1_000))]
    rounds: Option<u32>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Name {
    /// The embedded log beside raw synced writes.
    Log,
    /// The embedded state beside another engine.
    Kv,
    /// Small calls between two processes beside a raw framed echo.
    RpcEcho,
    /// Empty global transactions on the embedded engines.
    TxnEmpty,
    /// The flow rules of one call beside other limiters.
    Flow,
    /// The server by itself: when it is ready, and what it holds.
    Server,
    /// The demo beside bare SQLite commits of the same rows.
    Demo,
}

impl Bench {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let arguments = self.arguments();
        let mut command = cargo::cargo(root, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(cargo::exit_code(cargo::run(&mut command)?))
    }

    fn arguments(&self) -> Vec<String> {
        let bin = self.name.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let cargo = ["run", "--release", "--locked", "-p", "settee-benches", "--bin", &bin, "--"].map(str::to_owned);
        let rounds = self.rounds.map(|rounds| format!("--rounds={rounds}"));
        cargo.into_iter().chain(rounds).chain(self.json.then(|| "--json".to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bench_gets_what_the_user_wrote() {
        let bench = Bench { name: Name::RpcEcho, rounds: Some(7), json: true };
        let expected = "run --release --locked -p settee-benches --bin rpc_echo -- --rounds=7 --json";
        assert_eq!(bench.arguments().join(" "), expected);
    }

    #[test]
    fn every_name_is_a_bench_and_every_bench_has_a_name() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/src/bin");
        let stem = |entry: std::fs::DirEntry| entry.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().filter_map(|entry| stem(entry.unwrap())).collect();
        let mut names: Vec<_> =
            Name::value_variants().iter().map(|name| name.to_possible_value().unwrap().get_name().to_owned()).collect();
        files.sort();
        names.sort();
        assert_eq!(files, names);
    }
}
