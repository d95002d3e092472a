//! `cargo xtask verify`: every claim of the project as the command that shows it, one after the other, and a table of what each
//! of them said.
//!
//! Without `--full` it runs what CI runs; with it, the long forms: hours. What a step prints is kept in `target/verify/STEP.out`.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cargo;

/// Run everything that shows what settee promises, and print a table of it.
#[derive(Args)]
pub(crate) struct Verify {
    /// The long forms: thousands of seeds, every planted bug, thousands of kills, every fuzz target, every bench.
    #[arg(long)]
    full: bool,
    /// Only the steps whose name contains this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// One command of cargo.
struct Step {
    name: &'static str,
    arguments: &'static str,
    times: u32,
}

const fn step(name: &'static str, arguments: &'static str) -> Step {
    Step { name, arguments, times: 1 }
}

const SHORT: &[Step] = &[
    step("check", "xtask check"),
    step("demo", "run --quiet --release --locked -- demo --json"),
    Step { name: "demo-chaos", arguments: "run --quiet --release --locked -- demo --chaos --json", times: 2 },
    step("simulate", "xtask simulate --seeds 300 --require-all --json"),
    step("simulate-meta", "xtask simulate --seeds 200 --meta --json"),
    step("simulate-planted", "xtask simulate --planted --rotate 2 --json"),
    step("kill-server", "xtask kill --cycles 30 --json"),
    step("fuzz", "xtask fuzz --seconds 60 --json"),
    step("test", "xtask test"),
];

const FULL: &[Step] = &[
    step("check", "xtask check"),
    step("demo", "run --quiet --release --locked -- demo --json"),
    Step { name: "demo-chaos", arguments: "run --quiet --release --locked -- demo --chaos --json", times: 20 },
    step("demo-random", "run --quiet --release --locked -- demo --generate 10000 --json"),
    step("demo-payroll", "run --quiet --release --locked -- demo --generate 10000 --shape payroll --json"),
    step("simulate", "xtask simulate --seeds 2000 --require-all --json"),
    step("simulate-meta", "xtask simulate --seeds 200 --meta --json"),
    step("simulate-planted", "xtask simulate --planted --json"),
    step("kill-server", "xtask kill --cycles 2000 --json"),
    step("kill-account", "xtask kill --what account --cycles 300 --json"),
    step("overload", "xtask overload --seconds 60 --json"),
    step("fuzz", "xtask fuzz --all --runs 10000000 --seconds 5400 --json"),
    step("bench-log", "xtask bench log --json"),
    step("bench-kv", "xtask bench kv --json"),
    step("bench-rpc-echo", "xtask bench rpc_echo --json"),
    step("bench-txn-empty", "xtask bench txn_empty --json"),
    step("bench-flow", "xtask bench flow --json"),
    step("bench-server", "xtask bench server --json"),
    step("bench-demo", "xtask bench demo --json"),
    step("test", "xtask test"),
];

/// How a step went.
struct Row {
    name: &'static str,
    passed: u32,
    times: u32,
    took: Duration,
    said: String,
}

/// Characters of what a step said that the table shows; the rest is in its file.
const SHOWN: usize = 160;

impl Verify {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let folder = root.join("target/verify");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let steps = self.steps()?;
        let mut rows = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            eprintln!("verify: {} of {}: {}", at + 1, steps.len(), step.name);
            rows.push(step.run(root, &folder)?);
        }
        rows.iter().for_each(|row| println!("{row}"));
        Ok(if rows.iter().all(Row::has_passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn steps(&self) -> Result<Vec<&'static Step>> {
        let all = if self.full { FULL } else { SHORT };
        let wanted = self.only.as_deref().unwrap_or_default();
        let chosen: Vec<_> = all.iter().filter(|step| step.name.contains(wanted)).collect();
        if chosen.is_empty() {
            let names: Vec<_> = all.iter().map(|step| step.name).collect();
            bail!("no step is named like '{wanted}'; there are {}", names.join(", "));
        }
        Ok(chosen)
    }
}

impl Step {
    /// Runs all its times, also after one that failed: a table of how often it holds is worth more than the first failure.
    fn run(&self, root: &Path, folder: &Path) -> Result<Row> {
        let began = Instant::now();
        let file = folder.join(format!("{}.out", self.name));
        let mut passed = 0;
        for _ in 0..self.times {
            let out = File::create(&file).with_context(|| format!("create {}", file.display()))?;
            let arguments: Vec<_> = self.arguments.split(' ').collect();
            let status = cargo::run(cargo::cargo(root, &arguments).stdout(Stdio::from(out)))?;
            passed += u32::from(status.success());
        }
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        Ok(Row { name: self.name, passed, times: self.times, took: began.elapsed(), said: last_line(&text) })
    }
}

impl Row {
    fn has_passed(&self) -> bool {
        self.passed == self.times
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, passed, times, took, said } = self;
        let verdict = if self.has_passed() { "ok" } else { "FAILED" };
        write!(out, "{name:<17} {verdict:<6} {passed:>2} of {times:<2} {:>6} s  {said}", took.as_secs())
    }
}

fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(full: bool, only: Option<&str>) -> Vec<&'static str> {
        let verify = Verify { full, only: only.map(str::to_owned) };
        verify.steps().unwrap().into_iter().map(|step| step.name).collect()
    }

    #[test]
    fn the_long_form_leaves_nothing_out_that_ci_runs() {
        let full = names(true, None);
        assert!(names(false, None).iter().all(|name| full.contains(name)));
        assert_eq!(names(true, Some("kill")), ["kill-server", "kill-account"]);
    }

    #[test]
    fn the_short_form_runs_what_ci_runs() {
        let ci = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/run")).unwrap();
        for step in SHORT {
            assert!(ci.contains(&format!("cargo {}", step.arguments)), "{} is not in .ci/run", step.name);
        }
    }

    #[test]
    fn a_step_that_does_not_exist_is_answered_with_those_that_do() {
        let verify = Verify { full: false, only: Some("kil-server".to_owned()) };
        let error = verify.steps().err().expect("there is no such step").to_string();
        assert!(error.contains("kil-server") && error.contains("kill-server"), "{error}");
    }

    #[test]
    fn a_row_tells_how_often_it_held_and_what_was_said_last() {
        let said = last_line("{\"early\":1}\n{\"late\":2}\n\n");
        let row = Row { name: "demo-chaos", passed: 19, times: 20, took: Duration::from_secs(61), said };
        assert_eq!(row.to_string(), "demo-chaos        FAILED 19 of 20     61 s  {\"late\":2}");
    }
}
