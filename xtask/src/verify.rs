//! `cargo xtask verify`: every claim of the project as the command that shows it, one after the other, and a table of what each
//! of them said.
//!
//! Without `--full` it runs what CI runs; with it, the long forms: hours. What a step prints is kept in `target/verify/STEP.out`, and
//! its row of the table in `target/verify/STEP.toml`, so that `--resume` goes on where a run was cut.

mod row;

use std::fs::{self, File};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cargo;
use crate::commit::Commit;
use row::Row;

/// Run everything that shows what settee promises, and print a table of it.
#[derive(Args)]
pub(crate) struct Verify {
    /// The long forms: thousands of seeds, every planted bug, thousands of kills, every fuzz target, every bench.
    #[arg(long)]
    full: bool,
    /// Only the steps whose name contains this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Do not run again what passed on this very commit; its row is shown as it was.
    #[arg(long)]
    resume: bool,
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
    step("fuzz-bolt-frame", "xtask fuzz --target bolt_frame --runs 10000000 --seconds 5400 --json"),
    step("fuzz-bolt-header", "xtask fuzz --target bolt_header --runs 10000000 --seconds 5400 --json"),
    step("fuzz-config", "xtask fuzz --target config --runs 10000000 --seconds 5400 --json"),
    step("fuzz-csv", "xtask fuzz --target csv --runs 10000000 --seconds 5400 --json"),
    step("fuzz-json-body", "xtask fuzz --target json_body --runs 10000000 --seconds 5400 --json"),
    step("fuzz-message-pack", "xtask fuzz --target message_pack --runs 10000000 --seconds 5400 --json"),
    step("fuzz-pain001", "xtask fuzz --target pain001 --runs 10000000 --seconds 5400 --json"),
    step("fuzz-trace-headers", "xtask fuzz --target trace_headers --runs 10000000 --seconds 5400 --json"),
    step("bench-log", "xtask bench log --json"),
    step("bench-kv", "xtask bench kv --json"),
    step("bench-rpc-echo", "xtask bench rpc_echo --json"),
    step("bench-txn-empty", "xtask bench txn_empty --json"),
    step("bench-flow", "xtask bench flow --json"),
    step("bench-server", "xtask bench server --json"),
    step("bench-demo", "xtask bench demo --json"),
    step("test", "xtask test"),
];

impl Verify {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let folder = root.join("target/verify");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let steps = self.steps()?;
        let commit = Commit::of(root);
        let mut rows = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            let known = self.resume.then(|| step.known(&folder, &commit)).flatten();
            let verb = if known.is_some() { "passed before" } else { "runs" };
            eprintln!("verify: {} of {}: {} {verb}", at + 1, steps.len(), step.name);
            rows.push(known.map_or_else(|| step.run(root, &folder, &commit), Ok)?);
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
    /// The row of a run on this very commit that passed; nobody knows what was changed since, if the tree is not a commit's.
    fn known(&self, folder: &Path, commit: &Commit) -> Option<Row> {
        let row = Row::kept(folder, self.name)?;
        let is_same = row.arguments == self.arguments && row.times == self.times && row.commit == commit.to_string();
        (is_same && commit.is_exact() && row.has_passed()).then_some(row)
    }

    /// Runs all its times, also after one that failed: a table of how often it holds is worth more than the first failure.
    fn run(&self, root: &Path, folder: &Path, commit: &Commit) -> Result<Row> {
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
        let row = Row {
            name: self.name.to_owned(),
            arguments: self.arguments.to_owned(),
            commit: commit.to_string(),
            passed,
            times: self.times,
            seconds: began.elapsed().as_secs(),
            said: last_line(&text),
        };
        row.keep(folder)?;
        Ok(row)
    }
}

/// Characters of what a step said that the table shows; the rest is in its file.
const SHOWN: usize = 160;

fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(full: bool, only: Option<&str>) -> Vec<&'static str> {
        let verify = Verify { full, only: only.map(str::to_owned), resume: false };
        verify.steps().unwrap().into_iter().map(|step| step.name).collect()
    }

    #[test]
    fn the_long_form_leaves_nothing_out_that_ci_runs() {
        let full = names(true, None);
        let is_there = |name: &&str| full.iter().any(|long| long.starts_with(*name));
        assert!(names(false, None).iter().all(is_there));
        assert_eq!(names(true, Some("kill")), ["kill-server", "kill-account"]);
    }

    #[test]
    fn the_long_form_fuzzes_every_target() {
        let targets = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/fuzz_targets")).unwrap();
        for target in targets {
            let target = target.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
            let arguments = format!("--target {target} --runs 10000000 ");
            assert!(FULL.iter().any(|step| step.arguments.contains(&arguments)), "nothing fuzzes {target}");
        }
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
        let verify = Verify { full: false, only: Some("kil-server".to_owned()), resume: false };
        let error = verify.steps().err().expect("there is no such step").to_string();
        assert!(error.contains("kil-server") && error.contains("kill-server"), "{error}");
    }

    #[test]
    fn only_what_passed_on_this_very_commit_is_not_run_again() {
        let folder = tempfile::tempdir().unwrap();
        let row = |commit: &str, passed| Row {
            name: "kill-server".to_owned(),
            arguments: "xtask kill --cycles 2000 --json".to_owned(),
            commit: commit.to_owned(),
            passed,
            times: 1,
            seconds: 4_000,
            said: "{\"lost\":0}".to_owned(),
        };
        let step = FULL.iter().find(|step| step.name == "kill-server").unwrap();
        let known = |kept: Row, commit: &Commit| {
            kept.keep(folder.path()).unwrap();
            step.known(folder.path(), commit).is_some()
        };
        let (here, changed) = (Commit::exact("0123456789ab"), Commit::changed("0123456789ab"));
        assert!(known(row("0123456789ab", 1), &here));
        assert!(!known(row("0123456789ab", 0), &here), "it failed");
        assert!(!known(row("ba9876543210", 1), &here), "that was another commit");
        assert!(!known(row(&changed.to_string(), 1), &changed), "what was changed may have been changed again");
        assert!(!known(Row { arguments: "xtask kill --cycles 3".to_owned(), ..row("0123456789ab", 1) }, &here));
    }
}
