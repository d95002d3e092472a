//! `cargo xtask fix`: what a machine can put right by itself. Writes into the working tree.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::{cargo, manifest};

/// Put right what a machine can: order of manifests, lints, format.
#[derive(Args)]
pub(crate) struct Fix {}

/// In this order, because a lint's fix may leave a line that wants formatting.
const STEPS: &[&[&str]] =
    &[&["clippy", "--fix", "--allow-dirty", "--allow-staged", "--workspace", "--all-targets"], &["fmt", "--all"]];

impl Fix {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        sort_manifests(root)?;
        let mut outcome = ExitCode::SUCCESS;
        for arguments in STEPS {
            if !cargo::run(&mut cargo::cargo(root, arguments))?.success() {
                eprintln!("fix: this did not succeed: cargo {}", arguments.join(" "));
                outcome = ExitCode::FAILURE;
            }
        }
        Ok(outcome)
    }
}

fn sort_manifests(root: &Path) -> Result<()> {
    let own = fs::read_to_string(root.join("Cargo.toml")).context("read Cargo.toml")?;
    let members = manifest::members(&own)?;
    let manifests = members.iter().map(|member| format!("{member}/Cargo.toml"));
    for path in manifests.chain(["Cargo.toml".to_owned()]) {
        let file = root.join(&path);
        let text = fs::read_to_string(&file).with_context(|| format!("read {path}"))?;
        let sorted = manifest::sorted(&text);
        if sorted != text {
            fs::write(&file, sorted).with_context(|| format!("write {path}"))?;
            println!("fix: sorted {path}");
        }
    }
    Ok(())
}
