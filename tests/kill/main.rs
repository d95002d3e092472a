//! The driver of `cargo xtask kill`: kills a process of the real binary again and again under load, and looks for what was lost.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use settee_tests::driver;
use settee_tests::kill::{Kills, Plan, Tally, What};

/// Kill a process again and again under load, and look for everything that it had acknowledged.
#[derive(Parser)]
#[command(name = "settee-kill")]
struct Args {
    /// How many kills.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    cycles: u64,
    /// Whom to kill.
    #[arg(long, value_enum, default_value_t = Victim::Server)]
    what: Victim,
    #[command(flatten)]
    common: driver::Common,
}

#[derive(Clone, Copy, ValueEnum)]
enum Victim {
    Server,
    Account,
}

fn main() -> ExitCode {
    let args = Args::parse();
    driver::exit_code(settee::app::run(run(args)).map(|tally| tally.is_clean()))
}

async fn run(args: Args) -> settee::Result<Tally> {
    let temporary = tempfile::tempdir().map_err(settee::Error::internal)?;
    let folder = args.common.folder(temporary.path());
    let what = match args.what {
        Victim::Server => What::Server,
        Victim::Account => What::Account,
    };
    let plan = Plan { settee: args.common.settee(), folder, what, behind: Vec::new() };
    let mut kills = Kills::start(&plan).await?;
    let progress = driver::progress(args.cycles, BAR, args.common.json);
    while kills.is_running() && kills.tally().cycles < args.cycles {
        kills.cycle().await?;
        progress.set_message(summary(&kills.tally()));
        progress.inc(1);
    }
    kills.end().await;
    progress.finish_and_clear();
    show(&kills, args.common.json);
    Ok(kills.tally())
}

/// How a bar of kills looks.
const BAR: &str = "{wide_bar} {human_pos}/{human_len} kills, {eta} left: {msg}";

fn summary(tally: &Tally) -> String {
    let Tally { acknowledged, lost, duplicated, failed_opens, .. } = tally;
    format!("{acknowledged} acknowledged, {lost} lost, {duplicated} duplicated, {failed_opens} failed opens")
}

fn show(kills: &Kills, json: bool) {
    kills.told().iter().for_each(|what| eprintln!("{what}"));
    let tally = kills.tally();
    let text = if json { serde_json::json!(tally).to_string() } else { table(&tally) };
    let _nobody_reads_it_then = writeln!(io::stdout(), "{text}");
}

fn table(tally: &Tally) -> String {
    let Tally { cycles, acknowledged, lost, duplicated, failed_opens } = *tally;
    let rows = [
        ("kills", cycles),
        ("acknowledged", acknowledged),
        ("lost", lost),
        ("duplicated", duplicated),
        ("failed opens", failed_opens),
    ];
    rows.map(|(name, count)| format!("{name:<14}{count:>10}")).join("\n")
}
