//! The test of the tests: every planted bug is run, seed by seed, until a checker finds what it must break.
//!
//! Seeds of one bug run side by side and stop at the first that finds it; which that is does not depend on how many run at once.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::bank::Plant;
use crate::cores;
use crate::run::SeedReport;

/// Width of the longest name of a plant in a table.
const NAME_WIDTH: usize = 28;

/// Which seeds, and how.
#[derive(Clone, Debug)]
pub struct Search {
    /// The seeds that each bug is given.
    pub seeds: Range<u64>,
    /// How many run at a time; one a core if it is `None`.
    pub workers: Option<usize>,
}

/// What became of one planted bug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its name.
    pub name: &'static str,
    /// The invariant that it must break.
    pub invariant: &'static str,
    /// How many seeds were needed until that invariant was reported; `None` when none of them was enough.
    pub found_after_seeds: Option<u64>,
}

/// What became of all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finds {
    /// In the order in which they are listed.
    pub planted: Vec<Found>,
}

impl Search {
    /// Searches for each of `plants`, running a seed with it planted by `run`. Shows each as soon as it is known.
    #[must_use]
    pub fn run(&self, plants: &[Plant], run: impl Fn(Plant, u64) -> SeedReport + Sync) -> Finds {
        let mut finds = Finds::default();
        for plant in plants {
            let found = self.first(|seed| is_found(*plant, &run(*plant, seed)));
            let found_after_seeds = found.map(|seed| seed - self.seeds.start + 1);
            let found = Found { name: plant.name(), invariant: plant.breaks(), found_after_seeds };
            show(&found, finds.planted.len() + 1, plants.len());
            finds.planted.push(found);
        }
        finds
    }

    /// The first seed of which `finds` is true.
    fn first(&self, finds: impl Fn(u64) -> bool + Sync) -> Option<u64> {
        let (next, first) = (AtomicU64::new(self.seeds.start), AtomicU64::new(self.seeds.end));
        cores::side_by_side(self.workers, || {
            let take = || Some(next.fetch_add(1, Ordering::Relaxed));
            while let Some(seed) = take().filter(|seed| *seed < first.load(Ordering::Relaxed)) {
                if finds(seed) {
                    first.fetch_min(seed, Ordering::Relaxed);
                }
            }
        });
        Some(first.into_inner()).filter(|seed| *seed < self.seeds.end)
    }
}

fn is_found(plant: Plant, report: &SeedReport) -> bool {
    report.violations.iter().any(|violation| violation.invariant == plant.breaks())
}

fn show(found: &Found, number: usize, of: usize) {
    if std::io::stderr().is_terminal() {
        // Progress that cannot be shown is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{number:>3} of {of}  {found}");
    }
}

impl Finds {
    /// How many were not found.
    #[must_use]
    pub fn missed(&self) -> usize {
        self.planted.iter().filter(|found| found.found_after_seeds.is_none()).count()
    }
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, invariant, found_after_seeds } = self;
        write!(out, "{name:<NAME_WIDTH$}  {invariant:<4}  ")?;
        match found_after_seeds {
            Some(seeds) => write!(out, "{seeds:>5} seeds"),
            None => out.write_str("NOT FOUND"),
        }
    }
}

impl fmt::Display for Finds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.planted.iter().try_for_each(|found| writeln!(out, "{found}"))?;
        let (all, missed) = (self.planted.len(), self.missed());
        writeln!(out, "{all} planted bugs, {} found, {missed} missed", all - missed)
    }
}

/// `count` of the plants, others at each `turn`: so that few a day are all in the end.
#[must_use]
pub fn rotated(count: usize, turn: usize) -> Vec<Plant> {
    let all: Vec<_> = Plant::all().collect();
    let first = turn.wrapping_mul(count) % all.len();
    all.iter().cycle().skip(first).take(count.min(all.len())).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Violation;

    fn plant() -> Plant {
        Plant::MintsMoney
    }

    fn report(seed: u64, invariant: &str) -> SeedReport {
        SeedReport::ended_by(seed, Violation::new(invariant, "a test says so"))
    }

    #[test]
    fn the_first_seed_counts_however_many_run_at_once_and_another_invariant_does_not() {
        for workers in [1, 2, 7] {
            let search = Search { seeds: 10..60, workers: Some(workers) };
            let finds = search.run(&[plant()], |_, seed| report(seed, if seed >= 31 { plant().breaks() } else { "liveness" }));
            let found = Found { name: plant().name(), invariant: "I1", found_after_seeds: Some(22) };
            assert_eq!((finds.missed(), finds.planted), (0, vec![found]), "{workers} workers");
        }
    }

    #[test]
    fn what_no_seed_finds_is_missed_and_null() {
        let finds = Search { seeds: 1..9, workers: Some(2) }.run(&[plant()], |_, seed| report(seed, "I2"));
        assert_eq!(finds.missed(), 1);
        let expected = r#"{"planted":[{"name":"mints-money","invariant":"I1","found_after_seeds":null}]}"#;
        assert_eq!(serde_json::to_string(&finds).unwrap(), expected);
    }

    #[test]
    fn a_rotation_reaches_every_plant() {
        let all = Plant::all().count();
        let reached: BTreeSet<_> = (20_000..20_000 + all).flat_map(|day| rotated(2, day)).map(Plant::name).collect();
        assert_eq!(reached.len(), all);
        assert_eq!(rotated(all + 5, 3).len(), all);
    }

    #[test]
    fn every_invariant_that_is_checked_is_broken_by_some_plant() {
        let broken: BTreeSet<_> = Plant::all().map(Plant::breaks).collect();
        let checked = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I13", "I15", "I16"];
        assert_eq!(broken, BTreeSet::from(checked));
        assert!(Plant::all().all(|plant| Plant::named(plant.name()) == Some(plant) && plant.name().len() <= NAME_WIDTH));
    }
}
