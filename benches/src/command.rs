//! What every bench begins with: its command line, what its `main` does with that, a runtime.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use tokio::runtime::Runtime;

use crate::machine;
use crate::report::{Figures, Report};

/// Fewer rounds have no median worth the name.
const FEWEST_ROUNDS: i64 = 5;

/// How a bench was started.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// Rounds of each contender; figures are their medians
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(FEWEST_ROUNDS..=1_000))]
    pub rounds: u32,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    /// The part that this process plays in a bench of several
    #[arg(long, hide = true, value_name = "PART")]
    part: Option<String>,
    /// The core that this process keeps to
    #[arg(long, hide = true, value_name = "CORE")]
    core: Option<usize>,
    /// What this part is told
    #[arg(hide = true)]
    told: Vec<String>,
}

/// Another process of a bench: its name, and what it does with what it is told.
pub type Part = (&'static str, fn(&[String]) -> anyhow::Result<()>);

/// What every bench's `main` is: measures and prints, or plays one of its `parts`. Fails when nothing could be measured, or when a
/// figure beats a raw floor, because then the floor is wrong. A missed target is printed and is no failure.
pub fn main(bench: &'static str, measure: fn(&Options) -> anyhow::Result<Figures>, parts: &[Part]) -> ExitCode {
    let options = Options::parse();
    let done = match &options.part {
        Some(part) => play(part, &options, parts),
        None => report(bench, measure, &options),
    };
    done.map_or_else(
        |error| {
            eprintln!("bench {bench}: {error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// The runtime of `#[settee::main]`, held: its tasks run on while this thread measures, or waits for questions.
///
/// # Errors
/// The system gives no threads.
pub fn runtime() -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn play(name: &str, options: &Options, parts: &[Part]) -> anyhow::Result<()> {
    if let Some(core) = options.core {
        machine::keep_to(core)?;
    }
    let (_, part) = parts.iter().find(|(known, _)| *known == name).with_context(|| format!("there is no part {name:?}"))?;
    part(&options.told)
}

fn report(bench: &'static str, measure: fn(&Options) -> anyhow::Result<Figures>, options: &Options) -> anyhow::Result<()> {
    // Named first: its load is that of the neighbours, not ours.
    let machine = machine::name();
    let report = Report::new(bench, machine, measure(options)?);
    println!("{}", if options.json { serde_json::to_string(&report)? } else { report.table() });
    let impossible = report.beats_a_floor();
    if impossible.is_empty() {
        return Ok(());
    }
    bail!("faster than the raw floor, so the floor is measured wrongly: {}", impossible.join(", "))
}
