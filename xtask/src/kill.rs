//! `cargo xtask kill`: the command line of the driver `settee-kill`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::driver;

/// Kill a process with `kill -9` again and again under load, and look for everything that it had acknowledged.
#[derive(Args)]
pub(crate) struct Kill {
    /// How many kills.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    cycles: u64,
    /// Whom to kill: `settee server`, or the ledgers of the example.
    #[arg(long, value_enum, default_value_t = What::Server)]
    what: What,
    /// Keep data and logs in this folder, which must be new.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Report in JSON: cycles, acknowledged, lost, duplicated, failed_opens.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Server,
    Account,
}

impl Kill {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        driver::run(root, "settee-kill", &self.arguments())
    }

    fn arguments(&self) -> Vec<String> {
        let what = if self.what == What::Server { "server" } else { "account" };
        let mut arguments = vec!["--cycles".to_owned(), self.cycles.to_string(), "--what".to_owned(), what.to_owned()];
        if let Some(data) = &self.data {
            arguments.extend(["--data".to_owned(), data.display().to_string()]);
        }
        arguments.extend(self.json.then(|| "--json".to_owned()));
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_gets_what_the_user_wrote() {
        let all = Kill { cycles: 300, what: What::Account, data: Some("kept".into()), json: true };
        assert_eq!(all.arguments().join(" "), "--cycles 300 --what account --data kept --json");
        let few = Kill { cycles: 3, what: What::Server, data: None, json: false };
        assert_eq!(few.arguments().join(" "), "--cycles 3 --what server");
    }
}
