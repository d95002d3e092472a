//! The embedded `Kv`: durable commits a second of many committers, beside fjall, which groups commits the same way.
//!
//! fjall is given no compares, no revisions, no watches and no checksum of its own beside each value, so its figures are what
//! another raw engine could give: a rival, not a floor.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench takes real time")]

mod engine;
mod rival;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::Bytes;
use futures::future::try_join_all;
use settee_benches::command::{Options, main as bench, runtime};
use settee_benches::report::{Figure, Figures};
use settee_benches::rounds::take_turns;
use settee_core::id::fnv1a;
use tokio::runtime::Runtime;

use self::engine::{Engine, Pairs, Settee};
use self::rival::Fjall;

/// As many tasks as a busy server has transactions under way.
const COMMITTERS: u64 = 128;
/// A record of a coordinator.
const VALUE_BYTES: usize = 200;
/// One measurement of one side.
const TURN: Duration = Duration::from_secs(1);
/// What a server holds after a while: enough for several levels of any tree.
const KEYS: u64 = 100_000;
/// Keys written by one commit while loading.
const KEYS_A_COMMIT: u64 = 250;

fn main() -> ExitCode {
    bench("kv", measure, &[])
}

fn measure(options: &Options) -> anyhow::Result<Figures> {
    let runtime = runtime()?;
    let folder = tempfile::tempdir_in("target")?;
    let (ours, theirs) = (folder.path().join("settee"), folder.path().join("fjall"));
    let [commits, rival_commits] = {
        let (settee, fjall) = (runtime.block_on(Settee::open(&ours))?, runtime.block_on(Fjall::open(&theirs))?);
        runtime.block_on(load(&settee))?;
        runtime.block_on(load(&fjall))?;
        let (mut first, mut rival_first) = (KEYS, KEYS);
        let samples = take_turns(
            options.rounds,
            [
                Box::new(|| commits_per_second(&runtime, &settee, &mut first)),
                Box::new(|| commits_per_second(&runtime, &fjall, &mut rival_first)),
            ],
        )?;
        runtime.block_on(settee.close())?;
        runtime.block_on(fjall.close())?;
        samples
    };
    let [opened, rival_opened] = take_turns(
        options.rounds,
        [
            Box::new(|| milliseconds_to_open::<Settee>(&runtime, &ours)),
            Box::new(|| milliseconds_to_open::<Fjall>(&runtime, &theirs)),
        ],
    )?;
    Ok(Figures::default()
        .with(Figure::new("kv.commits", "commits/s", &commits).beside(&rival_commits))
        .with(Figure::new("kv.open_ms", "ms", &opened).beside(&rival_opened))
        .note(format!(
            "{COMMITTERS} committers, one {VALUE_BYTES}-byte value a commit, synced, {KEYS} keys before; baseline: fjall"
        ))
        .note("kv.open_ms: with the keys of all rounds; settee verifies every page and value that it holds"))
}

/// The `n`-th pair. Ids come in no order, so keys do not either.
fn pair(n: u64) -> (Bytes, Bytes) {
    let key = format!("k/{:016x}{n:08x}", fnv1a(&n.to_le_bytes()));
    (key.into(), vec![u8::try_from(n % 251).unwrap_or_default(); VALUE_BYTES].into())
}

async fn load(engine: &impl Engine) -> anyhow::Result<()> {
    let starts: Vec<_> = (0..KEYS).step_by(usize::try_from(KEYS_A_COMMIT)?).collect();
    for group in starts.chunks(16) {
        let commits = group.iter().map(|start| engine.commit((*start..start + KEYS_A_COMMIT).map(pair).collect::<Pairs>()));
        try_join_all(commits).await?;
    }
    Ok(())
}

/// Commits new keys from `first` on.
fn commits_per_second(runtime: &Runtime, engine: &impl Engine, first: &mut u64) -> anyhow::Result<f64> {
    let start = Instant::now();
    let committer = |offset: u64| {
        let mut n = *first + offset;
        async move {
            let mut count = 0;
            while start.elapsed() < TURN {
                engine.commit(vec![pair(n)]).await?;
                n += COMMITTERS;
                count += 1;
            }
            anyhow::Ok(count)
        }
    };
    let counts = runtime.block_on(try_join_all((0..COMMITTERS).map(committer)))?;
    let most = counts.iter().max().copied().unwrap_or_default();
    *first += COMMITTERS * most;
    Ok(counts.iter().sum::<u64>() as f64 / start.elapsed().as_secs_f64())
}

fn milliseconds_to_open<E: Engine>(runtime: &Runtime, place: &Path) -> anyhow::Result<f64> {
    let start = Instant::now();
    let engine = runtime.block_on(E::open(place))?;
    let took = start.elapsed();
    let found = runtime.block_on(engine.contains(pair(0).0))?;
    ensure!(found, "a key is not there");
    runtime.block_on(engine.close())?;
    Ok(took.as_secs_f64() * 1e3)
}
