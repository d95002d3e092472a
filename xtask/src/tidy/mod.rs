//! `cargo xtask check --only tidy`: the rules of the tree that no compiler knows. Reads only.
//!
//! A rule is one file here and one line in [`RULES`]: a pure function from the [`Tree`] to what is wrong with it.

mod report;
mod tree;

mod arrows;
mod documents;
mod error_codes;
mod error_pages;
mod faults;
mod files;
mod forbid;
mod limits;
mod manifests;
mod members;
mod readme;
mod text;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use report::Report;
use tree::Tree;

/// Look for breaches of the rules of the tree: arrows, manifests, names, error codes, documents.
#[derive(Args)]
pub(crate) struct Tidy {}

type Rule = fn(&Tree, &mut Report);

const RULES: &[Rule] = &[
    arrows::check,
    manifests::check,
    forbid::check,
    faults::check,
    files::check,
    error_codes::check,
    error_pages::check,
    limits::check,
    readme::check,
    text::check,
    documents::check,
];

impl Tidy {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        Ok(if passes(root)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Checks every rule and prints what it finds.
pub(crate) fn passes(root: &Path) -> Result<bool> {
    let tree = Tree::load(root)?;
    let mut report = Report::default();
    for rule in RULES {
        rule(&tree, &mut report);
    }
    eprint!("{report}");
    Ok(report.offences().is_empty())
}
