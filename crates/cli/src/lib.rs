//! The `settee` binary as a library: one command, one file.
//!
//! A command is a `clap::Args` struct and an async `run` that answers with what the process exits with. Exit codes: 0 it worked,
//! 1 it did not, 2 the input or the flags are wrong and nothing was begun, 3 the service refused. Errors begin with one line on
//! stderr; stdout is for results.

#![forbid(unsafe_code)]

mod call;
mod completions;
mod control;
mod demo;
mod failure;
mod lifeline;
mod logs;
mod ls;
mod output;
mod ready;
mod server;
mod transactions;
mod without;

#[doc(hidden)]
pub use crate::demo::input;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::failure::Failure;
use crate::lifeline::Lifeline;

/// Finance-grade distributed middleware.
#[derive(Debug, Parser)]
#[command(name = "settee", version)]
struct Cli {
    /// End when stdin does, and hold this file locked for as long as the process lives.
    #[arg(long, global = true, hide = true, value_name = "FILE")]
    lifeline: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Server(server::Args),
    Demo(demo::Args),
    Call(call::Args),
    Ls(ls::Args),
    Transactions(transactions::Args),
    Completions(completions::Args),
    /// One process of the demo.
    #[command(hide = true)]
    DemoProcess(demo::ProcessArgs),
}

/// Runs the command that the process was given.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return wrong_command_line(&error, &arguments),
    };
    let ended = match cli.lifeline.as_deref().map(Lifeline::hold).transpose() {
        Ok(_lifeline) => settee::app::run(run(cli.command)),
        Err(failure) => Err(failure),
    };
    ended.unwrap_or_else(|failure| failure.report())
}

async fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Server(args) => Ok(server::run(args).await),
        Command::Demo(args) => demo::run(args).await,
        Command::Call(args) => Ok(call::run(args).await),
        Command::Ls(args) => Ok(ls::run(args).await),
        Command::Transactions(args) => Ok(transactions::run(args).await),
        Command::Completions(args) => Ok(completions::run(&args, Cli::command())),
        Command::DemoProcess(args) => demo::run_process(args).await,
    }
}

/// Help goes to stdout as clap has it; an error becomes our one line.
fn wrong_command_line(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _nobody_reads_it_then = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _nobody_reads_it_then = error.print();
        return ExitCode::from(2);
    }
    Failure::wrong(one_line(&error.to_string())).with_next(help_for(arguments)).report()
}

/// What clap says before it explains usage, joined.
fn one_line(error: &str) -> String {
    let is_said = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more information");
    let lines: Vec<_> = error.lines().map(str::trim).take_while(is_said).filter(|line| !line.is_empty()).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

fn help_for(arguments: &[OsString]) -> String {
    let command = arguments.get(1).and_then(|argument| argument.to_str()).filter(|name| is_command(name));
    command.map_or_else(|| "settee --help".to_owned(), |name| format!("settee {name} --help"))
}

fn is_command(name: &str) -> bool {
    Cli::command().find_subcommand(name).is_some()
}

#[cfg(test)]
mod live_test;
#[cfg(test)]
mod usage_test;

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(arguments: &[&str]) -> String {
        let arguments: Vec<OsString> = ["settee"].iter().chain(arguments).map(Into::into).collect();
        let error = Cli::try_parse_from(&arguments).unwrap_err();
        Failure::wrong(one_line(&error.to_string())).with_next(help_for(&arguments)).to_string()
    }

    #[test]
    fn a_wrong_flag_is_one_line_that_says_what_to_try() {
        let table: &[(&[&str], &str)] = &[
            (&["demo", "--shap", "payroll"], "unexpected argument '--shap' found tip: a similar argument exists: '--shape'"),
            (&["demo", "--concurrency", "0"], "invalid value '0' for '--concurrency <N>': 0 is not in 1..=1024"),
            (&["demo", "--generate", "0"], "invalid value '0' for '--generate <N>': 0 is not in 1..=5000000"),
            (
                &["demo", "--generate", "9", "--shape", "round"],
                "invalid value 'round' for '--shape <SHAPE>': `round` is neither `random` nor `payroll`",
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
        assert!(complaint(&["dmeo"]).ends_with("try `settee --help`"));
    }

    #[test]
    fn the_command_line_is_put_together_correctly() {
        Cli::command().debug_assert();
    }
}
