//! `simulate`: runs seeds of a workload, each in a process of its own, and says which invariants did not hold.
//!
//! A process a seed, because the last bits of state that a fresh thread does not reset are process-wide (tokio seeds the fairness of
//! `select!` from a counter): so a seed replays exactly, alone or among thousands, and one that aborts or hangs ends alone.

use std::ops::Range;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use settee_sim::bank::{Bank, Plant};
use settee_sim::{Campaign, Fault, Options, Search, SeedReport, Summary, Swarm, Violation, Workload, rotated, seed, toy};

/// As the product's binary: the allocator of the C library takes a third longer for a seed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Simulates the system under faults, seed by seed.
#[derive(Clone, Parser)]
struct Arguments {
    /// How many seeds to run. [default: 100, with `--planted` at most 1000 for each bug]
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run only this seed.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// What to run.
    #[arg(long, default_value = "bank")]
    workload: String,
    /// Arm a planted bug of the bank.
    #[arg(long, value_name = "NAME", value_parser = plant)]
    plant: Option<Plant>,
    /// Fail also when a class of fault never took effect, or an end state of the workload was never reached.
    #[arg(long)]
    require_all: bool,
    /// Run every planted bug of the bank until its checker finds it.
    #[arg(long, conflicts_with_all = ["seed", "plant"])]
    planted: bool,
    /// Run only so many planted bugs, others each day; which day it is, and which they are, is said on standard error.
    #[arg(long, value_name = "N", requires = "planted")]
    rotate: Option<usize>,
    /// The day since 1970 whose planted bugs are run [default: today].
    #[arg(long, value_name = "DAY", requires = "rotate")]
    day: Option<usize>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Run every seed twice; it must repeat exactly.
    #[arg(long)]
    meta: bool,
    /// Print every event of the seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Leave out a class of fault that the seed drew, to find out which ones a failure needs; may be repeated.
    #[arg(long, value_name = "FAULT", value_parser = fault)]
    without: Vec<Fault>,
    /// Real seconds after which a seed counts as stuck.
    #[arg(long, default_value_t = PATIENCE_S)]
    patience_s: u64,
    /// How many seeds run at a time [default: one a core].
    #[arg(long)]
    workers: Option<usize>,
    /// Be the process of the seed: print its report as one line of JSON.
    #[arg(long, hide = true, requires = "seed")]
    report: bool,
}

/// How this program is started in a checkout: `cargo xtask simulate` does not have all of its flags.
const SIMULATE: &str = "cargo run --release -p settee-sim --bin simulate --";

/// Real seconds of a seed where nobody says how many: hundreds of times what one takes.
const PATIENCE_S: u64 = 30;

/// Seeds that are run where nobody says how many.
const SEEDS: u64 = 100;

/// Seeds within which a planted bug must be found.
const SEEDS_OF_A_PLANT: u64 = 1_000;

impl Arguments {
    fn seeds(&self, default: u64) -> Range<u64> {
        self.from..self.from.saturating_add(self.seeds.unwrap_or(default))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(workload) = workload(&arguments.workload, arguments.plant) else {
        eprintln!("unknown workload {}; there are: bank, toy, toy-acknowledges-early", arguments.workload);
        return ExitCode::from(2);
    };
    if arguments.report {
        return report(&arguments, &workload);
    }
    if arguments.planted {
        return planted(&arguments);
    }
    let seeds = arguments.seed.map_or_else(|| arguments.seeds(SEEDS), |seed| seed..seed + 1);
    let campaign = Campaign { seeds, workers: arguments.workers, meta: arguments.meta, progress: !arguments.trace };
    let summary = campaign.run(|seed| in_a_process(&arguments, seed));
    print(&arguments, &summary);
    let missing = if arguments.require_all { summary.missing(workload.reaches()) } else { Vec::new() };
    if !missing.is_empty() {
        eprintln!("never happened in these seeds: {}", missing.join(", "));
    }
    if summary.violations == 0 && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The test of the tests: every planted bug is found by the checker that is meant to find it.
fn planted(arguments: &Arguments) -> ExitCode {
    let plants =
        arguments.rotate.map_or_else(|| Plant::all().collect(), |count| chosen(count, arguments.day.unwrap_or_else(today)));
    let search = Search { seeds: arguments.seeds(SEEDS_OF_A_PLANT), workers: arguments.workers };
    let finds = search.run(&plants, |plant, seed| in_a_process(&Arguments { plant: Some(plant), ..arguments.clone() }, seed));
    match arguments.json {
        true => println!("{}", serde_json::to_string(&finds).expect("finds are numbers and text")),
        false => print!("{finds}"),
    }
    if finds.missed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The planted bugs of a day.
fn chosen(count: usize, day: usize) -> Vec<Plant> {
    let plants = rotated(count, day);
    let names: Vec<_> = plants.iter().map(|plant| plant.name()).collect();
    eprintln!("planted on day {day}: {}; again: cargo xtask simulate --planted --rotate {count} --day {day}", names.join(", "));
    plants
}

/// Days since 1970.
#[expect(clippy::disallowed_methods, reason = "which day it is belongs to the real world")]
fn today() -> usize {
    let days = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() / (24 * 60 * 60));
    usize::try_from(days).unwrap_or(0)
}

fn fault(name: &str) -> Result<Fault, String> {
    let known = || Fault::ALL.map(Fault::name).join(", ");
    Fault::named(name).ok_or_else(|| format!("there are: {}", known()))
}

fn plant(name: &str) -> Result<Plant, String> {
    let known = || Plant::all().map(Plant::name).collect::<Vec<_>>().join(", ");
    Plant::named(name).ok_or_else(|| format!("there are: {}", known()))
}

fn workload(name: &str, plant: Option<Plant>) -> Option<Arc<dyn Workload>> {
    match name {
        "bank" => Some(Arc::new(Bank { plant })),
        "toy" => Some(Arc::new(toy::Counters::default())),
        "toy-acknowledges-early" => Some(Arc::new(toy::Counters { acknowledges_early: true })),
        _ => None,
    }
}

fn report(arguments: &Arguments, workload: &Arc<dyn Workload>) -> ExitCode {
    let number = arguments.seed.unwrap_or_default();
    let swarm = arguments.without.iter().fold(Swarm::draw(number), |swarm, fault| swarm.without(*fault));
    let patience = Duration::from_secs(arguments.patience_s);
    let report = seed(workload, number, &Options { patience, trace: arguments.trace, swarm: Some(swarm) });
    println!("{}", serde_json::to_string(&report).expect("a report is numbers and text"));
    ExitCode::SUCCESS
}

fn in_a_process(arguments: &Arguments, seed: u64) -> SeedReport {
    let ended_by = |detail: String| SeedReport::ended_by(seed, Violation::new("crash", detail));
    let mut child = match std::env::current_exe() {
        Ok(path) => Command::new(path),
        Err(error) => return ended_by(format!("where is this program? {error}")),
    };
    child.args(["--report", "--seed", &seed.to_string(), "--workload", &arguments.workload]);
    child.args(["--patience-s", &arguments.patience_s.to_string()]);
    for fault in &arguments.without {
        child.args(["--without", fault.name()]);
    }
    if let Some(plant) = arguments.plant {
        child.args(["--plant", plant.name()]);
    }
    if arguments.trace {
        child.arg("--trace").stderr(Stdio::inherit());
    }
    let output = match child.output() {
        Ok(output) => output,
        Err(error) => return ended_by(error.to_string()),
    };
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| ended_by(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))))
}

fn print(arguments: &Arguments, summary: &Summary) {
    if arguments.json {
        println!("{}", serde_json::to_string(summary).expect("a summary is numbers and text"));
        return;
    }
    print!("{summary}");
    for failure in &summary.failures {
        println!("\nseed {}: {} {}\n  drew: {}", failure.seed, failure.invariant, failure.detail, failure.swarm);
        println!("  replay: {}", replay(arguments, failure.seed));
    }
}

/// The command that runs a seed again as it was run.
fn replay(arguments: &Arguments, seed: u64) -> String {
    let mut command = format!("{SIMULATE} --workload {} --seed {seed} --trace", arguments.workload);
    let plant = arguments.plant.map(|plant| format!(" --plant {plant}"));
    let without = arguments.without.iter().map(|fault| format!(" --without {}", fault.name()));
    let patience = (arguments.patience_s != PATIENCE_S).then(|| format!(" --patience-s {}", arguments.patience_s));
    command.extend(plant.into_iter().chain(without).chain(patience));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_can_be_pasted_and_runs_the_seed_as_it_was_run() {
        let parsed = |written: &[&str]| Arguments::try_parse_from([&["simulate"], written].concat()).unwrap();
        let run = "cargo run --release -p settee-sim --bin simulate --";
        let plain = replay(&parsed(&["--seeds", "9"]), 7);
        assert_eq!(plain, format!("{run} --workload bank --seed 7 --trace"));
        let bent = ["--seeds", "9", "--plant", "mints-money", "--without", "kill", "--patience-s", "90"];
        let expected = "--workload bank --seed 7 --trace --plant mints-money --without kill --patience-s 90";
        assert_eq!(replay(&parsed(&bent), 7), format!("{run} {expected}"));
        let pasted: Vec<_> = expected.split(' ').collect();
        assert!(Arguments::try_parse_from([&["simulate"], &pasted[..]].concat()).is_ok());
    }
}
