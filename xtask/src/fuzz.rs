//! `cargo xtask fuzz`: libFuzzer over the targets in `fuzz/`, through cargo-fuzz and without a nightly toolchain.
//!
//! What it finds is written to `fuzz/crashes/TARGET`, where the next `cargo test` replays it. New inputs that only reach further
//! go to `target/fuzz/corpus`, and not into the tree: the committed corpus is kept small by hand.

mod outcome;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo;
use crate::commit::Commit;
use crate::test::peers::{Peer, Source, is_there_or_installed};
use outcome::{Outcome, Statistics};

/// Give the decoders bytes that nobody would think of.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Only this target; without it the one whose turn it is at this commit.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    target: Option<String>,
    /// Every target, one after the other.
    #[arg(long)]
    all: bool,
    /// How long each of them runs.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// End before that, after so many executions.
    #[arg(long, value_name = "N")]
    runs: Option<u64>,
    /// Report in JSON.
    #[arg(long)]
    json: bool,
}

/// What has to be there besides cargo.
const TOOLS: [Peer; 2] = [
    Peer {
        name: "cargo-fuzz",
        check: &["cargo", "fuzz", "--version"],
        source: Source::Cargo(&["cargo-fuzz", "--version", "^0.13", "--locked"]),
        needed_by: &[],
    },
    Peer {
        name: "a C++ compiler, of which libFuzzer is made,",
        check: &["c++", "--version"],
        source: Source::Debian("g++"),
        needed_by: &[],
    },
];

/// A sanitizer looks for what safe code cannot do, at a tenth of the speed and only with an unstable compiler. The targets count
/// their allocations themselves.
const WITHOUT_SANITIZER: [&str; 2] = ["--sanitizer", "none"];

/// No decoder needs long for an input of this size; what does is a finding.
const LIMITS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=2048", "-malloc_limit_mb=64"];

/// It did not begin.
const NOT_BEGUN: u8 = 2;

impl Fuzz {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let all = targets(root)?;
        let chosen = match self.choose(&all, || turn(root)) {
            Ok(chosen) => chosen,
            Err(wrong) => {
                eprintln!("fuzz: {wrong}");
                return Ok(ExitCode::from(NOT_BEGUN));
            }
        };
        if let Some(tool) = TOOLS.iter().find(|tool| !is_there_or_installed(tool)) {
            eprintln!("fuzz: {} is missing; to get it: {}", tool.name, tool.install_line());
            return Ok(ExitCode::from(NOT_BEGUN));
        }
        share_the_lock(root)?;
        let outcomes: Vec<_> = chosen.into_iter().map(|target| self.fuzz(root, target)).collect::<Result<_>>()?;
        println!("{}", if self.json { outcome::json(&outcomes) } else { outcome::lines(&outcomes) });
        Ok(if outcomes.iter().all(Outcome::is_clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn choose<'a>(&self, all: &'a [String], turn: impl Fn() -> u64) -> Result<Vec<&'a str>, String> {
        let names = || all.iter().map(String::as_str);
        match &self.target {
            Some(wanted) if names().any(|name| name == wanted) => Ok(names().filter(|name| name == wanted).collect()),
            Some(wanted) => Err(format!("there is no target {wanted}; there are {}", all.join(", "))),
            None if self.all => Ok(names().collect()),
            None => Ok(names().nth((turn() % all.len().max(1) as u64) as usize).into_iter().collect()),
        }
    }

    fn fuzz(&self, root: &Path, target: &str) -> Result<Outcome> {
        let folders = Folders::make(root, target)?;
        let before = folders.findings()?;
        let started = Instant::now();
        let (ended_well, statistics) = run(&mut self.command(root, target, &folders))?;
        let findings = folders.findings()?.difference(&before).cloned().collect();
        Ok(Outcome { target: target.to_owned(), ended_well, seconds: started.elapsed().as_secs(), statistics, findings })
    }

    fn command(&self, root: &Path, target: &str, folders: &Folders) -> Command {
        let mut command = cargo::cargo(root, &["fuzz", "run", "--fuzz-dir", "fuzz", "--target-dir", "target/fuzz"]);
        command.args(WITHOUT_SANITIZER).arg(target);
        command.args([&folders.found, &folders.corpus, &folders.crashes]).arg("--").args(LIMITS);
        command.arg(format!("-max_total_time={}", self.seconds)).arg("-print_final_stats=1");
        command.arg(flag("-artifact_prefix=", &folders.crashes.join("")));
        command.arg(flag("-dict=", &root.join(format!("fuzz/dictionaries/{target}.dict"))));
        command.args(self.runs.map(|runs| format!("-runs={runs}")));
        command
    }
}

/// Where a target's inputs are.
struct Folders {
    /// What this machine found, besides the corpus.
    found: PathBuf,
    corpus: PathBuf,
    crashes: PathBuf,
}

impl Folders {
    fn make(root: &Path, target: &str) -> Result<Self> {
        let place = |folder: &str| root.join(folder).join(target);
        let folders = Self { found: place("target/fuzz/corpus"), corpus: place("fuzz/corpus"), crashes: place("fuzz/crashes") };
        for folder in [&folders.found, &folders.crashes] {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        Ok(folders)
    }

    fn findings(&self) -> Result<BTreeSet<String>> {
        names(&self.crashes)
    }
}

fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The names of all targets, in order.
fn targets(root: &Path) -> Result<Vec<String>> {
    let files = names(&root.join("fuzz/fuzz_targets"))?;
    Ok(files.iter().filter_map(|file| file.strip_suffix(".rs")).map(str::to_owned).collect())
}

/// A number that is another one at another commit and the same at the same: a finding can be looked for again. Where git does not
/// answer it changes by the day.
fn turn(root: &Path) -> u64 {
    let today = || SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() / 86_400);
    Commit::of(root).number().unwrap_or_else(today)
}

/// libFuzzer's side is a workspace of its own; it is built with the versions that everything else is built with.
fn share_the_lock(root: &Path) -> Result<()> {
    let (ours, theirs) = (root.join("Cargo.lock"), root.join("fuzz/Cargo.lock"));
    let changed = |file: &Path| fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
    if changed(&theirs) < changed(&ours) {
        fs::copy(&ours, &theirs).with_context(|| format!("copy {}", ours.display()))?;
    }
    Ok(())
}

fn flag(name: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(name);
    flag.push(path);
    flag
}

/// Runs libFuzzer to its end, and passes on what it says. Whether it was content is part of the answer.
fn run(command: &mut Command) -> Result<(bool, Statistics)> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("start cargo fuzz")?;
    let mut statistics = Statistics::default();
    if let Some(output) = child.stderr.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("read the output of cargo fuzz")?;
            let line = String::from_utf8_lossy(&line);
            eprintln!("{line}");
            statistics.read(&line);
        }
    }
    Ok((child.wait().context("wait for cargo fuzz")?.success(), statistics))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fuzz(target: Option<&str>, all: bool) -> Fuzz {
        Fuzz { target: target.map(str::to_owned), all, seconds: 7, runs: Some(9), json: false }
    }

    #[test]
    fn every_target_has_its_turn_and_a_wrong_name_is_told_the_right_ones() {
        let all = ["a", "b", "c"].map(str::to_owned);
        let turns: BTreeSet<_> = (0..3).flat_map(|turn| fuzz(None, false).choose(&all, || turn).unwrap()).collect();
        assert_eq!(turns, BTreeSet::from(["a", "b", "c"]));
        assert_eq!(fuzz(Some("b"), false).choose(&all, || 0), Ok(vec!["b"]));
        assert_eq!(fuzz(None, true).choose(&all, || 0), Ok(vec!["a", "b", "c"]));
        assert_eq!(fuzz(Some("d"), false).choose(&all, || 0), Err("there is no target d; there are a, b, c".to_owned()));
    }

    #[test]
    fn findings_go_where_tests_replay_them_and_the_rest_stays_out_of_the_tree() {
        let place = |folder: &str| PathBuf::from(format!("{folder}/csv"));
        let folders =
            Folders { found: place("target/fuzz/corpus"), corpus: place("fuzz/corpus"), crashes: place("fuzz/crashes") };
        let command = fuzz(None, false).command(Path::new("."), "csv", &folders);
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        let expected = "fuzz run --fuzz-dir fuzz --target-dir target/fuzz --sanitizer none csv target/fuzz/corpus/csv fuzz/corpus/csv \
                        fuzz/crashes/csv -- -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=64 -max_total_time=7 \
                        -print_final_stats=1 -artifact_prefix=fuzz/crashes/csv/ -dict=./fuzz/dictionaries/csv.dict -runs=9";
        assert_eq!(arguments.join(" "), expected);
    }
}
