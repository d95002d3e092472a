//! A process of the binary `settee`, as its parent holds it: the real command line and real folders, perhaps behind a wrapper that
//! watches it or takes rights from it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use settee_cli::memory;
use settee_cli::ready::ready;
use settee_core::env;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::application;

/// How long a process may take to be ready: one that was killed reads everything that it has first.
const READY: Duration = Duration::from_secs(60);

/// How a process is started.
#[derive(Clone, Debug)]
pub struct Launch {
    command: Vec<OsString>,
    log: PathBuf,
}

impl Launch {
    /// Starts `program`, whose stderr goes behind what is in `log`.
    #[must_use]
    pub fn new(program: &Path, log: &Path) -> Self {
        Self { command: vec![program.into()], log: log.to_owned() }
    }

    /// `settee server` on a data folder, at an address.
    #[must_use]
    pub fn server(settee: &Path, data: &Path, listen: SocketAddr, log: &Path) -> Self {
        let listen = listen.to_string();
        Self::new(settee, log).with([
            "server".as_ref(),
            "--listen".as_ref(),
            listen.as_ref(),
            "--data".as_ref(),
            data.as_os_str(),
        ])
    }

    /// One of the [`SERVICES`](crate::SERVICES), with its database in a file, whose server is at this address.
    #[must_use]
    pub fn service(settee: &Path, name: &str, server: SocketAddr, database: &Path, log: &Path) -> Self {
        let (application, share) = application(name);
        let server = server.to_string();
        let arguments = ["demo-process", application, "--server", &server, "--database"].map(OsStr::new);
        let share = share.iter().flat_map(|share| ["--share".as_ref(), OsStr::new(share)]);
        Self::new(settee, log).with(arguments).with([database.as_os_str()]).with(share)
    }

    /// With these arguments behind those before.
    #[must_use]
    pub fn with<'a>(mut self, arguments: impl IntoIterator<Item = &'a OsStr>) -> Self {
        self.command.extend(arguments.into_iter().map(OsStr::to_owned));
        self
    }

    /// Ending when this process does, however that ends: see `settee --lifeline`.
    #[must_use]
    pub fn bound_to(self, lifeline: &Path) -> Self {
        self.with(["--lifeline".as_ref(), lifeline.as_os_str()])
    }

    /// Behind a command that starts it, such as `strace`.
    #[must_use]
    pub fn behind(mut self, wrapper: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.command.splice(0..0, wrapper.into_iter().map(Into::into));
        self
    }

    /// Starts the process and waits until it serves.
    ///
    /// # Errors
    /// It ended, or took too long.
    pub async fn start(&self) -> Result<Process, Ended> {
        self.begin().ready().await
    }

    /// Starts the process.
    ///
    /// # Panics
    /// When there is no such program.
    #[must_use]
    pub fn begin(&self) -> Starting {
        #[expect(clippy::disallowed_methods, reason = "a log of a real process; nothing of it is simulated")]
        let log = File::options().create(true).append(true).open(&self.log).expect("the log can be written");
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("start {}: {error}", self.command[0].display()));
        let lifeline = child.stdin.take().expect("stdin is a pipe");
        let output = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
        Starting { child, lifeline, output, log: self.log.clone() }
    }
}

/// A process that does not serve yet. Dropping it kills it.
pub struct Starting {
    child: Child,
    lifeline: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Starting {
    /// Waits until it serves.
    ///
    /// # Errors
    /// It ended, or took too long and was killed.
    pub async fn ready(mut self) -> Result<Process, Ended> {
        match tokio::time::timeout(READY, ready(&mut self.output)).await {
            Ok(Ok(Some(address))) => {
                let Self { child, lifeline, mut output, log } = self;
                // Somebody who writes to a pipe that is full waits.
                env::spawn(async move { while let Ok(Some(_)) = output.next_line().await {} });
                Ok(Process { child, address, lifeline, log })
            }
            Ok(_) => Err(Ended::of(&mut self.child, &self.log).await),
            Err(_) => {
                self.child.start_kill().ok();
                Err(Ended::of(&mut self.child, &self.log).await)
            }
        }
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.ok();
    }
}

/// A process that serves. Dropping it kills it.
pub struct Process {
    child: Child,
    address: SocketAddr,
    lifeline: ChildStdin,
    log: PathBuf,
}

impl Process {
    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The memory that it holds now, and the most that it has held; `None` where the system does not say.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        let process = self.child.id()?.to_string();
        Some(Memory { bytes: memory::rss_bytes(&process)?, peak_bytes: memory::peak_rss_bytes(&process)? })
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.ok();
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it has ended.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).expect("a process that runs");
        kill(Pid::from_raw(id), signal).expect("our own child takes signals");
    }

    /// Closes its stdin, which ends a process that was [bound](Launch::bound_to), and waits for that.
    pub async fn let_go(mut self) -> Ended {
        drop(self.lifeline);
        Ended::of(&mut self.child, &self.log).await
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> Ended {
        Ended::of(&mut self.child, &self.log).await
    }
}

/// Memory of a process, resident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Now.
    pub bytes: u64,
    /// At most since it started.
    pub peak_bytes: u64,
}

/// How a process ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// With which code, or by which signal; `None` when nobody knows.
    pub status: Option<ExitStatus>,
    /// Everything that it and those before it wrote to their log.
    pub log: String,
}

impl Ended {
    async fn of(child: &mut Child, log: &Path) -> Self {
        let status = child.wait().await.ok();
        #[expect(clippy::disallowed_methods, reason = "a log of a real process; nothing of it is simulated")]
        let log = std::fs::read(log).unwrap_or_default();
        Self { status, log: String::from_utf8_lossy(&log).into_owned() }
    }
}

/// Lines of a log that say why a process ended.
const LAST_LINES: usize = 8;

impl fmt::Display for Ended {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.log.lines().collect();
        let status = self.status.map_or_else(|| "nobody knows how".to_owned(), |status| status.to_string());
        write!(out, "it ended ({status}):\n{}", lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"))
    }
}
