//! Many seeds: who runs them, what they add up to, and how it is reported.
//!
//! A campaign does not know how a seed is run: the `simulate` binary gives it a function that starts a process for each.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use crate::cores;
use crate::faults::Fault;
use crate::history::Violation;
use crate::run::SeedReport;

/// Failing seeds that a summary names; the count goes on.
const MAX_FAILURES: usize = 50;

/// Which seeds, and how.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The seeds.
    pub seeds: Range<u64>,
    /// How many run at a time; `None`: one a core.
    pub workers: Option<usize>,
    /// Run each twice and compare the hashes.
    pub meta: bool,
    /// Show progress on a terminal.
    pub progress: bool,
}

/// A seed in which something did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Replays it.
    pub seed: u64,
    /// The first invariant that did not hold.
    pub invariant: String,
    /// How.
    pub detail: String,
    /// The options that the seed drew.
    pub swarm: String,
}

/// What a campaign adds up to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Seeds that were run; twice each counts once.
    pub seeds: u64,
    /// Invariants that did not hold, over all seeds.
    pub violations: u64,
    /// Of real time.
    pub seeds_per_minute: f64,
    /// Virtual time of all runs.
    pub simulated_seconds: f64,
    /// The first failing seeds, in order.
    pub failures: Vec<Failure>,
    /// Faults that took effect.
    pub faults: BTreeMap<String, u64>,
    /// End states that were reached.
    pub states: BTreeMap<String, u64>,
}

impl Campaign {
    /// Runs every seed by `run`.
    #[must_use]
    #[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "throughput belongs to the real world")]
    pub fn run(&self, run: impl Fn(u64) -> SeedReport + Sync) -> Summary {
        let started = std::time::Instant::now();
        let next = AtomicU64::new(self.seeds.start);
        let summary = Mutex::new(Summary::default());
        cores::side_by_side(self.workers, || {
            while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < self.seeds.end) {
                let report = self.run_one(seed, &run);
                summary.lock().add(report, started.elapsed());
                self.show(&summary.lock());
            }
        });
        if self.is_showing() {
            eprintln!();
        }
        let mut summary = summary.into_inner();
        summary.failures.sort_by_key(|failure| failure.seed);
        summary
    }

    fn run_one(&self, seed: u64, run: &impl Fn(u64) -> SeedReport) -> SeedReport {
        let mut report = run(seed);
        if self.meta {
            let again = run(seed);
            report.simulated_ms += again.simulated_ms;
            if (again.hash, again.events) != (report.hash, report.events) {
                let detail =
                    format!("{} events hash to {:x}, again {} to {:x}", report.events, report.hash, again.events, again.hash);
                report.violations.push(Violation::new("replay", detail));
            }
        }
        report
    }

    fn is_showing(&self) -> bool {
        self.progress && std::io::stderr().is_terminal()
    }

    fn show(&self, summary: &Summary) {
        if self.is_showing() {
            let total = self.seeds.end.saturating_sub(self.seeds.start);
            let (done, rate, violations) = (summary.seeds, summary.seeds_per_minute, summary.violations);
            // Progress that cannot be shown is no reason to stop.
            let _ = write!(std::io::stderr(), "\r{done} of {total} seeds, {rate:.0} a minute, {violations} violations ");
        }
    }
}

impl Summary {
    /// Classes of faults that never took effect and `states` that were never reached: what these seeds did not test.
    #[must_use]
    pub fn missing(&self, states: &[&'static str]) -> Vec<&'static str> {
        let faults = Fault::ALL.into_iter().map(Fault::name).filter(|name| !self.faults.contains_key(*name));
        let states = states.iter().copied().filter(|name| !self.states.contains_key(*name));
        faults.chain(states).collect()
    }

    fn add(&mut self, report: SeedReport, elapsed: Duration) {
        self.seeds += 1;
        self.violations += u64::try_from(report.violations.len()).unwrap_or(u64::MAX);
        self.simulated_seconds += Duration::from_millis(report.simulated_ms).as_secs_f64();
        self.seeds_per_minute = self.seeds as f64 / elapsed.as_secs_f64().max(1e-6) * 60.0;
        for (total, counts) in [(&mut self.faults, report.faults), (&mut self.states, report.states)] {
            counts.into_iter().for_each(|(name, count)| *total.entry(name).or_default() += count);
        }
        let first = report.violations.into_iter().next();
        if let Some(Violation { invariant, detail }) = first
            && self.failures.len() < MAX_FAILURES
        {
            self.failures.push(Failure { seed: report.seed, invariant, detail, swarm: report.swarm });
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, violations, seeds_per_minute, simulated_seconds, .. } = self;
        writeln!(
            out,
            "{seeds} seeds, {simulated_seconds:.0} s simulated, {seeds_per_minute:.0} seeds a minute, {violations} violations"
        )?;
        for (title, counts) in [("faults", &self.faults), ("states", &self.states)] {
            let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
            writeln!(out, "{title}: {}", counts.join(", "))?;
        }
        Ok(())
    }
}
