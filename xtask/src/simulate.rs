//! `cargo xtask simulate`: the simulator in release mode, with its own arguments, output and exit code.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::cargo;

/// Run the simulator over many seeds, or over the one that failed.
#[derive(Args)]
pub(crate) struct Simulate {
    /// How many seeds to run.
    #[arg(long, value_name = "N", required_unless_present = "seed", conflicts_with = "seed")]
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
        let numbers = [("--seeds", self.seeds), ("--from", self.from), ("--seed", self.seed)];
        let given = numbers.into_iter().filter_map(|(flag, number)| Some([flag.to_owned(), number?.to_string()]));
        let switches = [("--require-all", self.require_all), ("--meta", self.meta), ("--json", self.json)];
        let switched = switches.into_iter().filter(|(_, on)| *on).map(|(flag, _)| flag.to_owned());
        given.flatten().chain(switched).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulator_gets_what_the_user_wrote() {
        let many = Simulate { seeds: Some(20), from: Some(7), seed: None, require_all: true, meta: false, json: true };
        assert_eq!(many.arguments(), ["--seeds", "20", "--from", "7", "--require-all", "--json"]);
        let one = Simulate { seeds: None, from: None, seed: Some(3), require_all: false, meta: false, json: false };
        assert_eq!(one.arguments(), ["--seed", "3"]);
    }
}
