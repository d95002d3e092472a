//! The machine: what to call it in a report, its cores, and the processor time of this process.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::unistd::Pid;

/// What figures of one machine are filed under: processor, cores, memory, kernel, and how busy it was before.
#[must_use]
pub fn name() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (cpuinfo, meminfo) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let processor = field(&cpuinfo, "model name").unwrap_or("unknown processor");
    let memory_kib: u64 = field(&meminfo, "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0);
    let (kernel, load) = (read("/proc/sys/kernel/osrelease"), read("/proc/loadavg"));
    format!(
        "{processor}, {} cores, {} GiB, Linux {}, load {}",
        cores(),
        memory_kib >> 20,
        kernel.trim(),
        load.split(' ').next().unwrap_or("unknown"),
    )
}

fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim())
}

/// Cores that this process may run on.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Keeps the calling thread, and those that it starts from now on, to one core. Where there is only one, nothing changes.
///
/// # Errors
/// The system does not let this process choose.
pub fn keep_to(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("keep to core {core}"))
}

/// The core for the `index`-th of several parts: each its own as long as there are enough.
#[must_use]
pub fn core_for(index: usize) -> usize {
    index % cores().max(1)
}

/// Processor time that this process has used, in user code and in the kernel, all threads together.
///
/// # Errors
/// The system does not tell.
pub fn processor_time() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("read the processor time")?;
    let duration =
        |time: TimeVal| Duration::new(time.tv_sec().unsigned_abs(), u32::try_from(time.tv_usec()).unwrap_or(0) * 1_000);
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}
