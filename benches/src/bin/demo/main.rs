//! The demo: transfers a second of five real processes, beside bare SQLite commits of the very rows that they wrote.
//!
//! ```text
//! kept run of the demo --> its four databases --> four processes write their rows again, one commit for each local transaction
//! ```
//! The bare processes know no calls, no coordinator, no messages and no order among each other; each writes as fast as its disk
//! takes it. What they reach together is what the commits alone would allow.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench starts real processes and takes real time")]

mod rows;
mod store;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;
use settee_benches::command::{Options, Part, main as bench};
use settee_benches::peer::Peer;
use settee_benches::report::{Figure, Figures, Target};
use settee_benches::rounds::take_turns;

/// Transfers of a run.
const TRANSFERS: u32 = 10_000;
/// What the demo's own processes are started with: this program is each of them, as `settee` is otherwise.
const COMMANDS_OF_SETTEE: [&str; 3] = ["demo", "demo-process", "server"];

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let first = std::env::args().nth(1).unwrap_or_default();
    if COMMANDS_OF_SETTEE.contains(&first.as_str()) {
        return settee_cli::main();
    }
    let parts: &[Part] = &[("store", store::play)];
    bench("demo", measure, parts)
}

fn measure(options: &Options) -> anyhow::Result<Figures> {
    let folder = tempfile::tempdir_in("target")?;
    let folder = folder.path();
    let kept = folder.join("kept");
    run(folder, "random", Some(&kept))?;
    let [random, payroll, bare] = take_turns(
        options.rounds,
        [
            Box::new(|| run(folder, "random", None)),
            Box::new(|| run(folder, "payroll", None)),
            Box::new(|| bare_transfers_per_second(&kept)),
        ],
    )?;
    Ok(Figures::default()
        .with(Figure::new("demo.vs_ledgers", "transfers/s", &random).over_floor(&bare).target(Target::RatioAtLeast(0.4)))
        .with(Figure::new("demo.transfers_per_second", "transfers/s", &random))
        .with(Figure::new("demo.transfers_per_second_payroll", "transfers/s", &payroll))
        .note(format!("{TRANSFERS} transfers a run, 64 under way; floor: 4 processes, SQLite, WAL, synchronous=FULL, same rows"))
        .note("commits of a transfer: order tried, try x 2, confirm x 2, order ended, notified: 7 local ones, and its part of a")
        .note("group of the coordinator (begin, decision, end), of the log (message) and of the outbox (rows removed)"))
}

/// The part of the demo's report that is read here.
#[derive(Deserialize)]
struct Report {
    throughput_per_s: f64,
    transfers: Transfers,
}

#[derive(Deserialize)]
struct Transfers {
    accepted: u32,
}

/// One run of the demo, in a folder of its own below `folder`. It fails if an invariant does not hold.
fn run(folder: &Path, shape: &str, data: Option<&Path>) -> anyhow::Result<f64> {
    let mut demo = Command::new(std::env::current_exe()?);
    demo.args(["demo", "--json", "--shape", shape, "--generate"]).arg(TRANSFERS.to_string()).env("TMPDIR", folder);
    if let Some(data) = data {
        demo.arg("--data").arg(data);
    }
    let output = demo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("run the demo")?;
    ensure!(output.status.success(), "the demo ended with {}", output.status);
    let report: Report = serde_json::from_slice(&output.stdout).context("read the demo's report")?;
    ensure!(report.transfers.accepted == TRANSFERS, "{} of {TRANSFERS} were accepted", report.transfers.accepted);
    Ok(report.throughput_per_s)
}

/// Writes the rows of the `kept` run again, each database by a process of its own, all at the same time.
fn bare_transfers_per_second(kept: &Path) -> anyhow::Result<f64> {
    let place = tempfile::tempdir_in(kept)?;
    let mut stores = Vec::new();
    for database in store::DATABASES {
        let (from, to) = (kept.join(database), place.path().join(database));
        let told = [from.to_str(), to.to_str()].map(|path| path.context("the folder's name is text"));
        let [from, to] = told;
        stores.push(Peer::start("store", None, &[database, from?, to?])?.0);
    }
    for store in &mut stores {
        store.tell("write")?;
    }
    let seconds = stores.iter_mut().map(|store| Ok(store.answer()?.parse::<f64>()?)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(f64::from(TRANSFERS) / seconds.into_iter().fold(0.0, f64::max))
}
