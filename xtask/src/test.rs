//! `cargo xtask test`: the peers that tests need, then every test of the workspace, then one line that counts them.
//!
//! A test that cannot run here says so in the file named by the variable `SETTEE_SKIP_FILE`: it appends `NAME: WHY` as one
//! line and returns. The harness counts it as passed; here it counts as skipped.

pub(crate) mod peers;
mod tally;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdout, Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo;
use tally::Tally;

/// Run every test of the workspace; the last line is `N passed, N failed, N skipped`.
#[derive(Args)]
pub(crate) struct Test {
    /// Only tests whose name contains this.
    filter: Option<String>,
}

/// Tests that did not run, and why.
type Skipped = BTreeMap<String, String>;

impl Test {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let filter = self.filter.as_deref().unwrap_or_default();
        let missing = peers::missing(filter);
        let skip_file = fresh_skip_file(root)?;

        let mut tally = Tally::default();
        let ended_well = run_tests(&mut self.command(root, &missing, &skip_file), &mut tally)?;
        let reported = read_skip_file(&skip_file)?;
        tally.close(ended_well);
        tally.count_as_skipped(reported.len());
        tally.count_missing(missing.len(), peers::must_be_present());

        for (name, why) in missing.iter().chain(&reported) {
            println!("skipped: {name}: {why}");
        }
        for complaint in tally.complaints() {
            println!("{complaint}");
        }
        println!("{tally}");
        Ok(if tally.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn command(&self, root: &Path, missing: &Skipped, skip_file: &Path) -> Command {
        let mut command = cargo::cargo(root, &["test", "--workspace", "--locked", "--no-fail-fast", "--"]);
        command.args(&self.filter).env("SETTEE_SKIP_FILE", skip_file);
        for name in missing.keys() {
            command.args(["--skip", name]);
        }
        command
    }
}

/// Named by process, so that two runs in one checkout do not count each other's skips.
fn fresh_skip_file(root: &Path) -> Result<PathBuf> {
    let folder = root.join("target/xtask");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let file = folder.join(format!("skipped-{}", process::id()));
    fs::write(&file, "").with_context(|| format!("create {}", file.display()))?;
    Ok(file)
}

fn read_skip_file(file: &Path) -> Result<Skipped> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    fs::remove_file(file).with_context(|| format!("remove {}", file.display()))?;
    Ok(parse_skips(&text))
}

fn parse_skips(text: &str) -> Skipped {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| line.split_once(": ").unwrap_or((line, "no reason given")))
        .map(|(name, why)| (name.into(), why.into()))
        .collect()
}

/// Runs the tests, passes their output on and counts it. Whether cargo was content is the answer.
fn run_tests(command: &mut Command, tally: &mut Tally) -> Result<bool> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("start cargo test")?;
    if let Some(output) = child.stdout.take() {
        pass_on(output, tally)?;
    }
    Ok(child.wait().context("wait for cargo test")?.success())
}

fn pass_on(output: ChildStdout, tally: &mut Tally) -> Result<()> {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).context("read the output of cargo test")? > 0 {
        io::stdout().lock().write_all(&line).context("write to stdout")?;
        tally.read(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_skips_twice_is_counted_once() {
        let skips = parse_skips("a::b: no strace: none\n\na::b: no strace\nc\n");
        assert_eq!(skips.len(), 2);
        assert_eq!(skips["a::b"], "no strace");
        assert_eq!(skips["c"], "no reason given");
    }

    #[test]
    fn tests_of_a_missing_peer_are_named_to_the_harness() {
        let missing = Skipped::from([("a::b".to_owned(), "no strace".to_owned())]);
        let command = Test { filter: Some("a".to_owned()) }.command(Path::new("."), &missing, Path::new("skips"));
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        assert_eq!(arguments.join(" "), "test --workspace --locked --no-fail-fast -- a --skip a::b");
    }
}
