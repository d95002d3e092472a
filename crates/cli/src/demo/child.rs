//! One process of the demo: started, heard to be ready, stopped, measured.
//!
//! Its stdin is a pipe that only this process holds: see [`lifeline`](crate::lifeline). It is in a group of its own, so that a
//! Ctrl-C in the terminal reaches the demo alone, which then stops everything in order.
#![expect(clippy::disallowed_methods, reason = "process code: log files")]

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::ready::ready;

/// How long a process may take to be ready: a server that was killed replays its log first.
const READY: Duration = Duration::from_secs(60);

/// How long it may take to stop when asked: its own limit for calls under way is 10 s.
const STOP: Duration = Duration::from_secs(15);

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The executable.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Where its stderr goes, behind what is there; `None`: to our own.
    pub(crate) log: Option<PathBuf>,
}

/// A process that is ready. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Child {
    process: tokio::process::Child,
    address: SocketAddr,
    /// Open for as long as the child shall live.
    _lifeline: ChildStdin,
    /// Kept so that a late line of the child is not an error for it.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a process and waits until it says that it is ready.
    ///
    /// # Cancel safety
    /// Dropped halfway, the process is killed.
    pub(crate) async fn start(launch: &Launch) -> io::Result<Self> {
        let mut process = command(launch)?.spawn()?;
        let lifeline = process.stdin.take().ok_or_else(|| io::Error::other("it has no stdin"))?;
        let output = process.stdout.take().ok_or_else(|| io::Error::other("it has no stdout"))?;
        let mut output = BufReader::new(output).lines();
        match tokio::time::timeout(READY, ready(&mut output)).await {
            Ok(Ok(Some(address))) => Ok(Self { process, address, _lifeline: lifeline, _output: output }),
            Ok(Ok(None)) => Err(ended_early(process.wait().await?)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("it was not ready after {READY:?}"))),
        }
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number; `None` once its end was noticed.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits for its end.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => ended_early(status).to_string(),
            Err(error) => format!("waiting for it failed: {error}"),
        }
    }

    /// SIGKILL. It is gone when [`Child::ended`] says so.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.process.start_kill()
    }

    /// SIGTERM, and SIGKILL when that does not end it in time.
    pub(crate) async fn stop(mut self) {
        let pid = self.process.id().and_then(|id| i32::try_from(id).ok());
        let asked = pid.is_some_and(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM).is_ok());
        if !asked || tokio::time::timeout(STOP, self.process.wait()).await.is_err() {
            let _gone_already = self.process.kill().await;
        }
    }
}

fn command(launch: &Launch) -> io::Result<Command> {
    let log = match &launch.log {
        Some(path) => Stdio::from(fs::File::options().create(true).append(true).open(path)?),
        None => Stdio::inherit(),
    };
    let mut command = Command::new(&launch.program);
    command.args(&launch.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    command.process_group(0).kill_on_drop(true);
    Ok(command)
}

fn ended_early(status: ExitStatus) -> io::Error {
    io::Error::other(format!("it ended with {status}"))
}

/// The last lines of a log; empty when there is none.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

/// Lines of a log that are shown when a process does not start.
const LAST_LINES: usize = 5;
