//! One part of a [`Street`](crate::Street), as its parent holds it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use settee_core::env;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::watch;

use crate::PATIENCE;
use crate::role::{FOLDER, PART, SERVER};

/// The test of the `stories` binary that plays a part when it is asked.
const PLAYER: &str = "a_part_of_a_story";

/// A process. Dropping it kills it.
pub struct Child {
    part: String,
    process: tokio::process::Child,
    orders: ChildStdin,
    heard: watch::Receiver<Vec<String>>,
    address: SocketAddr,
    /// Orders that were given; each is answered.
    given: usize,
}

impl Child {
    /// Starts this binary again to play `part`, and waits until it serves.
    ///
    /// # Panics
    /// When it does not.
    pub(crate) async fn start(part: &str, folder: &Path, server: SocketAddr) -> Self {
        let program = std::env::current_exe().expect("this program has a file");
        let mut command = Command::new(program);
        command.args([PLAYER, "--exact", "--nocapture", "--test-threads=1"]).kill_on_drop(true);
        command.env(PART, part).env(FOLDER, folder).env(SERVER, server.to_string());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process starts");
        let orders = process.stdin.take().expect("stdin is a pipe");
        let heard = listen(process.stdout.take().expect("stdout is a pipe"));
        let mut child = Self { part: part.to_owned(), process, orders, heard, address: server, given: 0 };
        let ready = child.says("ready ").await;
        child.address = ready.parse().expect("an address");
        child
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds whoever comes to `point` in it, after `pass` that may pass: a call such as `pay.Debit.attempt`, `sql.commit`
    /// before it is made, or `decided`, a decision of the coordinator that is durable, before anybody hears of it.
    ///
    /// # Panics
    /// When it is dead.
    pub async fn hold(&mut self, point: &str, pass: u32) {
        self.tell(&format!("hold {point} {pass}")).await;
    }

    /// Lets everybody go on.
    ///
    /// # Panics
    /// When it is dead.
    pub async fn release(&mut self) {
        self.tell("release").await;
    }

    /// Waits until somebody is held at `point`.
    ///
    /// # Panics
    /// When nobody comes in time.
    pub async fn is_held_at(&self, point: &str) {
        self.says(&format!("held {point}")).await;
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Panics
    /// When the operating system refuses.
    pub async fn kill(mut self) {
        self.process.kill().await.expect("a process can be killed");
    }

    async fn tell(&mut self, order: &str) {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.expect("the process lives");
        self.given += 1;
        let (given, done) = (self.given, |line: &&String| line.starts_with("done "));
        self.hears(|lines| (lines.iter().filter(done).count() >= given).then_some(())).await;
    }

    /// The rest of the first line that begins with `beginning`.
    async fn says(&self, beginning: &str) -> String {
        self.hears(|lines| lines.iter().find_map(|line| line.strip_prefix(beginning)).map(str::to_owned)).await
    }

    async fn hears<T>(&self, find: impl Fn(&[String]) -> Option<T>) -> T {
        let mut heard = self.heard.clone();
        let waited = tokio::time::timeout(PATIENCE, heard.wait_for(|lines| find(lines).is_some())).await;
        drop(waited);
        let lines = self.heard.borrow();
        find(&lines).unwrap_or_else(|| panic!("{} did not come there; it said {lines:#?}", self.part))
    }
}

/// Collects what a process says.
fn listen(output: ChildStdout) -> watch::Receiver<Vec<String>> {
    let (sender, heard) = watch::channel(Vec::new());
    env::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|heard| heard.push(line));
        }
    });
    heard
}
