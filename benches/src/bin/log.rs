//! The embedded log beside raw synced writes of the same size, to a preallocated file full of zeroes in the same folder.
//!
//! One appender, one append at a time: nothing shares a sync, so what the log adds (a checksum, a header, the way to its writer
//! and back) is all there is between the two.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the floor is a raw file, in real time")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::Bytes;
use settee_benches::command::{Options, main as bench, runtime};
use settee_benches::report::{Figure, Figures, Target};
use settee_benches::rounds::take_turns;
use settee_core::port::{Append, Appended, Log, StreamName};
use settee_engines::embedded::{EmbeddedLog, FileDisk, LogOptions};
use tokio::runtime::Runtime;

/// A message of a payment, and a little more.
const SINGLE_BYTES: usize = 1_024;
/// Large enough for the disk to be the limit.
const LARGE_BYTES: usize = 1 << 20;
/// Records of a large append: messages of a batch.
const LARGE_RECORDS: usize = 16;
/// One measurement of one side: thousands of syncs.
const TURN: Duration = Duration::from_millis(500);
/// The raw file is written in a circle, well behind what was synced last.
const RAW_FILE_BYTES: usize = 64 << 20;

fn main() -> ExitCode {
    bench("log", measure, &[])
}

fn measure(options: &Options) -> anyhow::Result<Figures> {
    let folder = tempfile::tempdir_in("target")?;
    let runtime = runtime()?;
    let mut raw = RawFile::create(folder.path())?;
    let appender = Appender::open(&runtime, folder.path())?;
    let single = vec![Bytes::from(vec![7; SINGLE_BYTES])];
    let large = vec![Bytes::from(vec![7; LARGE_BYTES / LARGE_RECORDS]); LARGE_RECORDS];
    let [log, floor] = take_turns(
        options.rounds,
        [Box::new(|| appender.appends_per_second(&runtime, &single)), Box::new(|| raw.writes_per_second(SINGLE_BYTES))],
    )?;
    let [log_large, floor_large] = take_turns(
        options.rounds,
        [
            Box::new(|| Ok(appender.appends_per_second(&runtime, &large)? * megabytes(LARGE_BYTES))),
            Box::new(|| Ok(raw.writes_per_second(LARGE_BYTES)? * megabytes(LARGE_BYTES))),
        ],
    )?;
    runtime.block_on(appender.log.close());
    Ok(Figures::default()
        .with(Figure::new("log.single_append", "appends/s", &log).over_floor(&floor).target(Target::RatioAtLeast(0.75)))
        .with(Figure::new("log.bandwidth", "MB/s", &log_large).over_floor(&floor_large).target(Target::RatioAtLeast(0.55)))
        .note(format!("floor: pwrite and fdatasync of {SINGLE_BYTES} B, and of 1 MiB; one at a time on both sides"))
        .note(
            "in the path: the queue, the committer's task, a blocking thread, CRC32C over each group, one write, one fdatasync",
        ))
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

struct RawFile {
    file: File,
    position: usize,
}

impl RawFile {
    fn create(folder: &Path) -> anyhow::Result<Self> {
        let file = File::create(folder.join("raw"))?;
        file.write_all_at(&vec![0; RAW_FILE_BYTES], 0)?;
        file.sync_all()?;
        Ok(Self { file, position: 0 })
    }

    fn writes_per_second(&mut self, bytes: usize) -> anyhow::Result<f64> {
        let block = vec![7; bytes];
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < TURN {
            self.file.write_all_at(&block, self.position as u64)?;
            self.file.sync_data()?;
            self.position = (self.position + bytes) % (RAW_FILE_BYTES - bytes);
            count += 1;
        }
        Ok(f64::from(count) / start.elapsed().as_secs_f64())
    }
}

struct Appender {
    log: EmbeddedLog,
    stream: StreamName,
}

impl Appender {
    fn open(runtime: &Runtime, folder: &Path) -> anyhow::Result<Self> {
        let disk = Arc::new(FileDisk::open(&folder.join("log"))?);
        let log = runtime.block_on(EmbeddedLog::open(disk, LogOptions::default()))?;
        Ok(Self { log, stream: StreamName::new("bench").expect("it is a name") })
    }

    fn appends_per_second(&self, runtime: &Runtime, batch: &[Bytes]) -> anyhow::Result<f64> {
        runtime.block_on(async {
            let (start, mut count) = (Instant::now(), 0);
            while start.elapsed() < TURN {
                let append = Append { stream: self.stream.clone(), batch: batch.to_vec(), expected_tail: None };
                ensure!(matches!(self.log.append(append).await?, Appended::At(_)), "an append without a condition is appended");
                count += 1;
            }
            Ok(f64::from(count) / start.elapsed().as_secs_f64())
        })
    }
}
