//! `cargo xtask overload`: the command line of the driver `settee-overload`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::driver;

/// Offer ten times the transfers that can be sustained: refusals are fast, what was accepted is made, full speed is back at once.
#[derive(Args)]
pub(crate) struct Overload {
    /// How long to offer too much.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Let the flow rule only observe: what happens when nothing bounds the work at the door of the service.
    #[arg(long)]
    observe: bool,
    /// Keep data and logs in this folder, which must be new.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Report in JSON, the last key of which is whether every promise held.
    #[arg(long)]
    json: bool,
}

impl Overload {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        driver::run(root, "settee-overload", &self.arguments())
    }

    fn arguments(&self) -> Vec<String> {
        let data = self.data.iter().flat_map(|data| ["--data".to_owned(), data.display().to_string()]);
        let seconds = ["--seconds".to_owned(), self.seconds.to_string()];
        let observe = self.observe.then(|| "--observe".to_owned());
        seconds.into_iter().chain(observe).chain(data).chain(self.json.then(|| "--json".to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_gets_what_the_user_wrote() {
        let all = Overload { seconds: 5, observe: true, data: Some("kept".into()), json: true };
        assert_eq!(all.arguments().join(" "), "--seconds 5 --observe --data kept --json");
        let little = Overload { seconds: 60, observe: false, data: None, json: false };
        assert_eq!(little.arguments().join(" "), "--seconds 60");
    }
}
