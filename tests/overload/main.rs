//! The driver of `cargo xtask overload`: offers the example's services ten times what they can sustain, and holds them to their
//! promises.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use settee::flow::Mode;
use settee_tests::driver;
use settee_tests::overload::{Plan, Report};

/// Offer ten times the transfers that can be sustained, and look whether refusals are fast and what was accepted is made.
#[derive(Parser)]
#[command(name = "settee-overload")]
struct Args {
    /// How long to offer too much.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Let the flow rule only observe: what happens when nothing bounds the work at the door of the service.
    #[arg(long)]
    observe: bool,
    #[command(flatten)]
    common: driver::Common,
}

fn main() -> ExitCode {
    let args = Args::parse();
    driver::exit_code(settee::app::run(run(args)).map(|report| report.held))
}

async fn run(args: Args) -> settee::Result<Report> {
    let temporary = tempfile::tempdir().map_err(settee::Error::internal)?;
    let folder = args.common.folder(temporary.path());
    let length = Duration::from_secs(args.seconds);
    let mode = if args.observe { Mode::Observe } else { Mode::Enforce };
    let plan = Plan { settee: args.common.settee(), folder, length, mode };
    let progress = driver::progress(1, "{elapsed} {msg}", args.common.json);
    let report = plan.run(|phase| progress.set_message(phase)).await;
    progress.finish_and_clear();
    let report = report?;
    report.broken.iter().for_each(|what| eprintln!("error: {what}"));
    let text =
        if args.common.json { serde_json::to_string(&report).map_err(settee::Error::internal)? } else { report.to_string() };
    let _nobody_reads_it_then = writeln!(io::stdout(), "{text}");
    Ok(report)
}
