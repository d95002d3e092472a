//! `settee traces`: recent traces as a list, and one of them as a waterfall.

mod waterfall;

use std::process::ExitCode;

use settee::trace::TraceId;
use settee::trace::control::{TraceControl, TraceControlClient, TraceSummary};

use crate::control::{Control, ServerArgs};
use crate::failure::Failure;
use crate::number::number;
use crate::output;

/// Traces of one list at most: more than people read, and a frame takes them.
const MAX_LINES: u32 = 1_000;

/// Look at recent traces.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// List the latest traces, newest first.
    Ls(ListArgs),
    /// Show every span of one trace that is kept, as a waterfall.
    Show(ShowArgs),
}

/// Which traces to list.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 20, allow_negative_numbers = true, value_parser = number::<u32>(1..=u64::from(MAX_LINES)))]
    limit: u32,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Clone, Debug, clap::Args)]
struct ShowArgs {
    /// The trace: 32 hexadecimal digits.
    #[arg(value_parser = trace_id)]
    trace: TraceId,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command to its end.
pub(crate) async fn run(args: Args) -> ExitCode {
    let server = match &args.command {
        Command::Ls(list) => list.server,
        Command::Show(show) => show.server,
    };
    output::finish(answer(&args).await, server.json)
}

/// What the command prints.
pub(crate) async fn answer(args: &Args) -> Result<String, Failure> {
    match &args.command {
        Command::Ls(args) => list(args).await,
        Command::Show(args) => show(args).await,
    }
}

/// The latest traces, as a table or JSON.
pub(crate) async fn list(args: &ListArgs) -> Result<String, Failure> {
    let control = Control::at(args.server.server);
    let client: TraceControlClient = control.client();
    let traces = client.recent(args.limit).await.map_err(|fault| control.failed(fault))?;
    if args.server.json { output::pretty(&traces) } else { Ok(lines(&traces)) }
}

/// A trace that is not kept is no error: traces are kept as long as there is room.
async fn show(args: &ShowArgs) -> Result<String, Failure> {
    let control = Control::at(args.server.server);
    let client: TraceControlClient = control.client();
    let spans = client.show(args.trace).await.map_err(|fault| control.failed(fault))?;
    if args.server.json {
        return output::pretty(&spans);
    }
    if spans.is_empty() {
        let latest = control.typed("settee traces ls");
        return Ok(format!("no span of trace {} is kept; the latest are shown by `{latest}`", args.trace));
    }
    Ok(waterfall::of(args.trace, &spans))
}

fn lines(traces: &[TraceSummary]) -> String {
    let rows = traces.iter().map(|trace| {
        [
            trace.trace.to_string(),
            trace.name.clone(),
            trace.start.to_string(),
            waterfall::millis(trace.duration_us),
            trace.spans.to_string(),
            trace.processes.to_string(),
            if trace.failed { "failed" } else { output::NOTHING }.to_owned(),
        ]
    });
    output::table(["TRACE", "NAME", "STARTED", "TOOK", "SPANS", "PROCESSES", "TROUBLE"], rows)
}

fn trace_id(text: &str) -> Result<TraceId, String> {
    let id = Some(text).filter(|text| text.len() == 32).and_then(|text| text.parse().ok());
    id.ok_or_else(|| "expected 32 hex digits, as `settee traces ls` shows them".to_owned())
}
