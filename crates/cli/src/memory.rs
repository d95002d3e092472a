//! How much memory a process holds, where the system says so: Linux.
#![expect(clippy::disallowed_methods, reason = "process code: /proc")]

use std::fs;

/// What a process holds now, by its number or as `self`.
#[must_use]
pub fn rss_bytes(process: &str) -> Option<u64> {
    status_bytes(process, "VmRSS:")
}

/// The most that it has held.
#[must_use]
pub fn peak_rss_bytes(process: &str) -> Option<u64> {
    status_bytes(process, "VmHWM:")
}

fn status_bytes(process: &str, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}
