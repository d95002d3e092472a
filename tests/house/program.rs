//! A program that serves, as whoever started it holds it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use settee_cli::ready::ready;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::PATIENCE;

/// A running program. Dropping it kills it.
pub struct Program {
    _process: Child,
    address: SocketAddr,
}

impl Program {
    /// Starts `program`, whose settee server is at `server`, and waits until it says where it serves.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start(program: &Path, server: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        // To the program, whatever begins like its own settings is one; this variable is for the tests.
        command.env_remove("SETTEE_SKIP_FILE");
        command.args(arguments).env("SETTEE_SERVER", server.to_string()).kill_on_drop(true).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the program starts");
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is a pipe")).lines();
        let said = tokio::time::timeout(PATIENCE, ready(&mut lines)).await.expect("it says that it is ready");
        let address = said.expect("it says text").unwrap_or_else(|| panic!("{} ended", program.display()));
        Self { _process: process, address }
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
