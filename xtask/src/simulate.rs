//! `cargo xtask simulate`: the simulator in release mode, with its own arguments, output and exit code.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::cargo;

/// Run the simulator over many seeds, or over the one that failed.
#[derive(Args)]
pub(crate) struct Simulate {
    /// How many seeds to run; with `--planted`, at most so many for each bug (default 1000).
    #[arg(long, value_name = "N", required_unless_present_any = ["seed", "planted"], conflicts_with = "seed")]
    seeds: Option<u64>,
    /// The first of them.
    #[arg(long, value_name = "S", requires = "seeds")]
    from: Option<u64>,
    /// Run this seed alone.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Fail when a fault never struck or an end state was never reached.
    #[arg(long, requires = "seeds")]
    require_all: bool,
    /// Plant each known bug in turn, and fail unless the checker that it is meant for finds it.
    #[arg(long, conflicts_with_all = ["seed", "require_all", "meta"])]
    planted: bool,
    /// Plant only so many of them, others each day.
    #[arg(long, value_name = "N", requires = "planted")]
    rotate: Option<u64>,
    /// The day since 1970 whose planted bugs are run, as it was printed (default: today).
    #[arg(long, value_name = "DAY", requires = "rotate")]
    day: Option<u64>,
    /// Run every seed twice and compare what happened.
    #[arg(long)]
    meta: bool,
    /// Report in JSON.
    #[arg(long)]
    json: bool,
}

const SIMULATOR: &[&str] = &["run", "--release", "--locked", "-p", "settee-sim", "--bin", "simulate", "--"];

impl Simulate {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let mut command = cargo::cargo(root, SIMULATOR);
        command.args(self.arguments()).stdin(std::process::Stdio::inherit());
        Ok(cargo::exit_code(cargo::run(&mut command)?))
    }

    fn arguments(&self) -> Vec<String> {
        let seeds = [("--seeds", self.seeds), ("--from", self.from), ("--seed", self.seed)];
        let numbers = [seeds.as_slice(), &[("--rotate", self.rotate), ("--day", self.day)]].concat();
        let given = numbers.into_iter().filter_map(|(flag, number)| Some([flag.to_owned(), number?.to_string()]));
        let switches =
            [("--require-all", self.require_all), ("--planted", self.planted), ("--meta", self.meta), ("--json", self.json)];
        let switched = switches.into_iter().filter(|(_, on)| *on).map(|(flag, _)| flag.to_owned());
        given.flatten().chain(switched).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(written: &[&str]) -> Vec<String> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            simulate: Simulate,
        }
        let line = <Line as clap::Parser>::try_parse_from([&["simulate"], written].concat());
        line.map_or_else(|error| vec![error.kind().to_string()], |line| line.simulate.arguments())
    }

    #[test]
    fn the_simulator_gets_what_the_user_wrote() {
        for written in [
            &["--seeds", "20", "--from", "7", "--require-all", "--json"][..],
            &["--seed", "3"],
            &["--planted", "--json"],
            &["--seeds", "50", "--rotate", "2", "--day", "20781", "--planted"],
        ] {
            assert_eq!(of(written), written);
        }
    }

    #[test]
    fn nothing_to_run_and_two_things_to_run_are_refused() {
        for written in
            [&[][..], &["--seed", "3", "--seeds", "9"], &["--planted", "--seed", "3"], &["--seeds", "9", "--rotate", "2"]]
        {
            assert_eq!(of(written).len(), 1, "{written:?}");
        }
    }
}
