//! Empty global transactions: two branches that do nothing, one process, the embedded engines with every sync.
//!
//! ```text
//! begin ─ attempt x 2 ─ commit          settee::txn, in process
//!   coordinator, shards, lanes          settee-server
//!   EmbeddedKv                          one folder, synced; what is answered is on the disk
//! participants: fences in memory        each branch: fence, empty handler, save, commit; then confirm
//! ```
//! Nothing crosses a socket, and the participants' databases cost nothing: what is left is what settee's own coordination costs.
//! A transaction counts once phase two has ended, too. Then the process is killed while it answers, and everything that it answered
//! is looked for in what it left behind.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench takes real time")]

mod bank;
mod coordinator;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use settee_benches::command::{Options, Part, main as bench, runtime};
use settee_benches::peer::Peer;
use settee_benches::report::{Figure, Figures, Target};
use settee_benches::rounds::{Measure, take_turns};

use self::coordinator::Coordination;

/// Transactions under way at once: what a busy server has, and enough to fill the groups of its lanes.
pub(crate) const UNDER_WAY: usize = 512;
/// One measurement.
pub(crate) const TURN: Duration = Duration::from_secs(2);
/// How long the process that will be killed may answer.
const UNTIL_KILLED: Duration = Duration::from_secs(1);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let parts: &[Part] = &[("measured", coordinator::measured), ("killed", coordinator::killed)];
    bench("txn_empty", measure, parts)
}

fn measure(options: &Options) -> anyhow::Result<Figures> {
    let folder = tempfile::tempdir_in("target")?;
    let place = folder.path().to_str().context("the folder's name is text")?;
    let [rates] = {
        let (mut peer, _) = Peer::start("measured", None, &[place])?;
        let turn: Measure<'_> = Box::new(|| Ok(peer.ask("run")?.parse()?));
        take_turns(options.rounds, [turn])?
    };
    let answered = answered_before_a_kill(place)?;
    let found = found_again(folder.path(), &answered)?;
    ensure!(found == answered.len(), "{} of {} answered decisions are gone after a kill", answered.len() - found, answered.len());
    Ok(Figures::default()
        .with(Figure::new("txn_empty.per_second", "txn/s", &rates).target(Target::ValueAtLeast(20_000.0)))
        .note(format!(
            "{UNDER_WAY} under way, two empty branches each, until phase two has ended; participants' fences in memory"
        ))
        .note("in the path: begin, decision and end of each, durable in the embedded Kv before they are answered; no sockets")
        .note(format!("after kill -9: {found} of {} answered decisions found", answered.len())))
}

/// Starts a process that answers transactions one after the other, kills it in the middle, and returns what it had answered.
fn answered_before_a_kill(place: &str) -> anyhow::Result<Vec<String>> {
    let (mut peer, first) = Peer::start("killed", None, &[place])?;
    let (started, mut answered) = (Instant::now(), vec![first]);
    while started.elapsed() < UNTIL_KILLED {
        answered.push(peer.answer()?);
    }
    // What it said before it died was answered, too.
    answered.extend(peer.kill()?);
    Ok(answered)
}

fn found_again(place: &Path, answered: &[String]) -> anyhow::Result<usize> {
    runtime()?.block_on(async {
        let again = Coordination::open(place).await?;
        let mut found = 0;
        for xid in answered {
            found += usize::from(again.is_committed(xid.parse().context("read an xid")?).await?);
        }
        Ok(found)
    })
}
