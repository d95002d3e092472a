//! `cargo xtask check`: everything that can be said without running the product. Reads only.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::{cargo, tidy};

/// Look for faults without changing anything: format, lints, docs, rules of the tree.
#[derive(Args)]
pub(crate) struct Check {
    /// Run this step alone.
    #[arg(long, value_name = "STEP")]
    only: Option<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// The format of all sources.
    Fmt,
    /// The lints of the workspace, as errors.
    Clippy,
    /// The documentation builds without a warning.
    Docs,
    /// The rules of the tree that no compiler knows.
    Tidy,
}

impl Check {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let mut failed = Vec::new();
        for step in Step::value_variants().iter().filter(|step| self.only.is_none_or(|only| only == **step)) {
            if !step.run_timed(root)? {
                failed.push(step.name());
            }
        }
        if failed.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("check failed: {}", failed.join(", "));
        Ok(ExitCode::FAILURE)
    }
}

impl Step {
    fn run_timed(self, root: &Path) -> Result<bool> {
        let start = Instant::now();
        let passed = self.run(root)?;
        let seconds = start.elapsed().as_secs_f64();
        let name = self.name();
        if passed {
            println!("check {name:<6} ok     {seconds:>6.1} s");
        } else {
            println!("check {name:<6} FAILED {seconds:>6.1} s; to reproduce: {}", self.command_line());
        }
        Ok(passed)
    }

    fn run(self, root: &Path) -> Result<bool> {
        if self == Self::Tidy {
            return tidy::passes(root);
        }
        let mut command = cargo::cargo(root, self.arguments());
        if let Some((key, value)) = self.variable() {
            command.env(key, value);
        }
        Ok(cargo::run(&mut command)?.success())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Docs => "docs",
            Self::Tidy => "tidy",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Fmt => &["fmt", "--all", "--check"],
            Self::Clippy => &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
            Self::Docs => &["doc", "--workspace", "--no-deps", "--locked"],
            Self::Tidy => &["xtask", "tidy"],
        }
    }

    fn variable(self) -> Option<(&'static str, &'static str)> {
        (self == Self::Docs).then_some(("RUSTDOCFLAGS", "-D warnings"))
    }

    fn command_line(self) -> String {
        let variable = self.variable().map(|(key, value)| format!("{key}={value:?} ")).unwrap_or_default();
        format!("{variable}cargo {}", self.arguments().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_names_a_command_that_can_be_pasted() {
        assert_eq!(Step::Docs.command_line(), r#"RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked"#);
        assert_eq!(Step::Fmt.command_line(), "cargo fmt --all --check");
    }

    #[test]
    fn the_name_of_a_step_is_what_only_takes() {
        for step in Step::value_variants() {
            let shown = step.to_possible_value().map(|value| value.get_name().to_owned());
            assert_eq!(shown.as_deref(), Some(step.name()));
        }
    }
}
