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
        let json = self.json.then(|| "--json".to_owned());
        given.flatten().chain(json).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulator_gets_what_the_user_wrote() {
        let many = Simulate { seeds: Some(20), from: Some(7), seed: None, json: true };
        assert_eq!(many.arguments(), ["--seeds", "20", "--from", "7", "--json"]);
        let one = Simulate { seeds: None, from: None, seed: Some(3), json: false };
        assert_eq!(one.arguments(), ["--seed", "3"]);
    }
}
