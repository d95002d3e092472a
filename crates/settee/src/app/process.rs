//! What a process needs around its [`App`](super::App): a runtime, its command line, and the signals that end it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};

use crate::config::{Layers, Settings, fields_of};

/// Threads for disk and SQL work at most: each waits for one operation, and more of them than a disk has queues only cost memory.
const BLOCKING_THREADS: usize = 16;

/// Runs `work` on settee's runtime: what `#[settee::main]` expands to.
///
/// # Panics
/// When the operating system gives no threads, which leaves nothing to run on.
pub fn run<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(BLOCKING_THREADS).build();
    runtime.expect("the operating system gives threads").block_on(work)
}

/// The layers of this process: `--config FILE`, the environment, and each `--set key=value`.
///
/// # Errors
/// `Invalid`: a flag that is not known (`APP0001`), a file or value that cannot be read (`APP0002`).
pub fn command_line<C: DeserializeOwned>(application: &str) -> Result<(Settings, C), Error> {
    let flags = Flags::read(std::env::args().skip(1), &keys::<C>())?;
    let mut layers = Layers::new();
    if let Some(path) = &flags.config {
        layers = layers.with_file(path, &read_file(path)?)?;
    }
    layers = layers.with_environment::<C>(application, std::env::vars());
    for assignment in &flags.set {
        layers = layers.with_flag(assignment)?;
    }
    layers.read()
}

/// Says on stdout that this process serves: one line, `{"ready":"127.0.0.1:4321"}`. Whoever started it waits for that line, and
/// learns which port 0 became. Nobody may be listening, which changes nothing.
pub fn announce(address: SocketAddr) {
    let mut out = io::stdout().lock();
    let _nobody_listens = writeln!(out, "{{\"ready\":\"{address}\"}}").and_then(|()| out.flush());
}

/// Waits for the first signal that asks this process to end: SIGTERM, or Ctrl-C.
pub(super) async fn stop_signal() {
    if settee_core::env::is_simulated() {
        return std::future::pending().await;
    }
    let interrupt = tokio::signal::ctrl_c();
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        let _either_way_it_is_over = interrupt.await;
        return;
    };
    tokio::select! {
        _ = interrupt => {}
        _ = terminate.recv() => {}
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Flags {
    config: Option<PathBuf>,
    set: Vec<String>,
}

impl Flags {
    /// `keys` are those that can be set: somebody may have taken one for a flag.
    fn read(mut arguments: impl Iterator<Item = String>, keys: &[String]) -> Result<Self, Error> {
        let mut flags = Self::default();
        while let Some(flag) = arguments.next() {
            let value = arguments.next();
            match (flag.as_str(), value) {
                ("--config", Some(path)) => flags.config = Some(path.into()),
                ("--set", Some(assignment)) => flags.set.push(assignment),
                ("--config" | "--set", None) => return Err(wrong_flag(&format!("{flag} needs a value"))),
                (_, value) => return Err(wrong_flag(&format!("{flag} is not known; {}", meant(&flag, value, keys)))),
            }
        }
        Ok(flags)
    }
}

/// The keys of settee and of the application, as they follow `--set`.
fn keys<C: DeserializeOwned>() -> Vec<String> {
    let settee = fields_of::<Settings>().unwrap_or_default().iter().map(|key| format!("settee.{key}"));
    let own = fields_of::<C>().unwrap_or_default().iter().map(|key| (*key).to_owned());
    own.chain(settee).collect()
}

/// What to type in place of a flag that is not known.
fn meant(flag: &str, value: Option<String>, keys: &[String]) -> String {
    let wanted = flag.trim_start_matches('-').replace('-', "_");
    let last = |key: &String| key.rsplit('.').next() == Some(&*wanted);
    match keys.iter().find(|key| last(key)) {
        Some(key) => format!("try --set {key}={}", value.as_deref().unwrap_or("VALUE")),
        None => "there are --config FILE and --set KEY=VALUE".to_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a process reads its configuration before anything runs")]
fn read_file(path: &PathBuf) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| {
        let advice = if error.kind() == io::ErrorKind::NotFound { "; create it, or name another with --config FILE" } else { "" };
        let message = format!("read the configuration {}: {error}{advice}", path.display());
        Error::new(ErrorKind::Invalid, codes::BAD_VALUE, message).caused_by(error)
    })
}

fn wrong_flag(why: &str) -> Error {
    Error::new(ErrorKind::Invalid, codes::UNKNOWN_KEY, format!("read the command line: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_flag_names_the_right_ones() {
        let keys = ["settee.listen", "database"].map(str::to_owned);
        let read = |flags: &[&str]| Flags::read(flags.iter().map(|flag| (*flag).to_owned()), &keys);
        assert_eq!(read(&["--set", "a=1", "--set", "b=2"]).unwrap().set, ["a=1", "b=2"]);
        for (flags, expected) in [
            (&["--confg", "x"][..], "--confg is not known; there are --config FILE and --set KEY=VALUE"),
            (&["--listen", "127.0.0.1:1"], "--listen is not known; try --set settee.listen=127.0.0.1:1"),
            (&["--database"], "--database is not known; try --set database=VALUE"),
        ] {
            assert_eq!(read(flags).unwrap_err().message(), format!("read the command line: {expected}"));
        }
        assert!(read(&["--config"]).unwrap_err().message().contains("needs a value"));
    }
}
