//! The server by itself: how soon it serves, and what it keeps in memory while nobody asks it anything.
//!
//! Each round starts `settee server` as a process on a folder that is not there yet, as on a first day. It is ready when it says so
//! on stdout; what is resident is read a moment later, as the kernel counts it.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench takes real time")]

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Context;
use settee_benches::command::{Options, main as bench};
use settee_benches::peer::Peer;
use settee_benches::report::{Figure, Figures, Target};
use settee_benches::rounds::Samples;

/// How long it is left alone before its memory is read: what only the start needed has been given back by then.
const LEFT_ALONE: Duration = Duration::from_secs(1);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("server") => settee_cli::main(),
        _ => bench("server", measure, &[]),
    }
}

fn measure(options: &Options) -> anyhow::Result<Figures> {
    let home = tempfile::tempdir_in("target")?;
    let (mut ready_ms, mut resident_mib) = (Vec::new(), Vec::new());
    for round in 0..=options.rounds {
        let (ready, resident) = start(&home.path().join(round.to_string()))?;
        // The first one reads the program from the disk.
        if round > 0 {
            ready_ms.push(ready.as_secs_f64() * 1_000.0);
            resident_mib.push(resident);
        }
    }
    let figure = |name, unit, samples| Figure::new(name, unit, &Samples::of(samples));
    Ok(Figures::default()
        .with(figure("server.ready_ms", "ms", ready_ms).target(Target::ValueAtMost(300.0)))
        .with(figure("server.resident_mib", "MiB", resident_mib).target(Target::ValueAtMost(50.0))))
}

/// Starts a server on a new folder: how long until it is ready, and the MiB that it then holds.
fn start(data: &Path) -> anyhow::Result<(Duration, f64)> {
    let mut server = Command::new(std::env::current_exe().context("find this program")?);
    server.args(["server", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    let began = Instant::now();
    let (server, _ready) = Peer::spawn(server).context("start the server")?;
    let ready = began.elapsed();
    std::thread::sleep(LEFT_ALONE);
    Ok((ready, resident_mib(server.id())?))
}

fn resident_mib(process: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("read what is resident")?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")).context("find VmRSS")?;
    Ok(kib.parse::<f64>().context("read VmRSS")? / 1_024.0)
}
