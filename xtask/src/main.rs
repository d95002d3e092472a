//! The helpers of this repository, run as `cargo xtask COMMAND`. Only cargo is needed.
//!
//! `check` and `tidy` read only; `fix` may write; `test`, `simulate`, `kill`, `overload`, `fuzz`, `bench` and `verify` run
//! things. What must hold of the tree itself, and no compiler says, is in [`tidy`]: one small file a rule, each with the offence it
//! catches as its test.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a build helper works on real files, processes and time; nothing of it is ever simulated"
)]

mod bench;
mod cargo;
mod check;
mod commit;
mod driver;
mod fix;
mod fuzz;
mod kill;
mod manifest;
mod overload;
mod simulate;
mod test;
mod tidy;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// The helpers of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Xtask {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Check),
    Fix(fix::Fix),
    Test(test::Test),
    Simulate(simulate::Simulate),
    Bench(bench::Bench),
    Fuzz(fuzz::Fuzz),
    Kill(kill::Kill),
    Overload(overload::Overload),
    Tidy(tidy::Tidy),
    Verify(verify::Verify),
}

/// The names a user may write after `cargo xtask`.
fn subcommands() -> Vec<String> {
    let listed = Xtask::command();
    listed.get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

fn main() -> ExitCode {
    run(Xtask::parse().command).unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let root = cargo::workspace_root()?;
    match command {
        Command::Check(check) => check.run(&root),
        Command::Fix(fix) => fix.run(&root),
        Command::Test(test) => test.run(&root),
        Command::Simulate(simulate) => simulate.run(&root),
        Command::Bench(bench) => bench.run(&root),
        Command::Fuzz(fuzz) => fuzz.run(&root),
        Command::Kill(kill) => kill.run(&root),
        Command::Overload(overload) => overload.run(&root),
        Command::Tidy(tidy) => tidy.run(&root),
        Command::Verify(verify) => verify.run(&root),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Xtask::command().debug_assert();
        assert_eq!(subcommands(), ["check", "fix", "test", "simulate", "bench", "fuzz", "kill", "overload", "tidy", "verify"]);
    }
}
