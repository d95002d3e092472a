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
#[doc(hidden)]
pub mod memory;
mod number;
mod output;
#[doc(hidden)]
pub mod ready;
mod server;
mod signals;
mod traces;
mod transactions;
mod usage;
mod without;

#[doc(hidden)]
pub use crate::demo::input;

use std::path::PathBuf;
use std::process::ExitCode;

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
    Traces(traces::Args),
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
        Err(error) => return usage::explain(error, &arguments),
    };
    let ended = match cli.lifeline.as_deref().map(Lifeline::hold).transpose() {
        Ok(_lifeline) => settee::app::run(run(cli.command)),
        Err(failure) => Err(failure),
    };
    ended.unwrap_or_else(|failure| failure.report(false))
}

async fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Server(args) => Ok(server::run(args).await),
        Command::Demo(args) => demo::run(args).await,
        Command::Call(args) => Ok(call::run(args).await),
        Command::Ls(args) => Ok(ls::run(args).await),
        Command::Transactions(args) => Ok(transactions::run(args).await),
        Command::Completions(args) => Ok(completions::run(&args, Cli::command())),
        Command::Traces(args) => Ok(traces::run(args).await),
        Command::DemoProcess(args) => demo::run_process(args).await,
    }
}

#[cfg(test)]
mod live_test;
