//! Swarm testing: each seed draws which classes of fault exist in its world and how often they strike.
//!
//! A seed with everything switched on hides the bugs that need a quiet neighbour; a random subset finds both. Timed faults
//! (kill, power cut, pause, partition, clock) are struck by the [`Director`]; the others are asked for at each operation by
//! whoever performs it, through [`Faults::strikes`]. Nothing strikes after the safety phase.

mod director;

pub(crate) use director::Director;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How long faults strike, in virtual time.
pub const SAFETY: Duration = Duration::from_secs(40);

/// How long the healed system has to converge, in virtual time.
pub const LIVENESS: Duration = Duration::from_secs(20);

/// One seed in this many has no faults at all: a bug there needs no excuse.
const CALM_SEEDS: u32 = 16;

/// A class of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A process dies, as by `kill -9`: peers see resets, the page cache survives.
    Kill,
    /// A machine loses power: peers hear nothing, what was not synced is gone.
    PowerCut,
    /// A process is not scheduled for a while.
    Pause,
    /// Links are cut, in one or both directions; connections stall and then break.
    Partition,
    /// A wall clock jumps and drifts.
    ClockSkew,
    /// A chunk of bytes takes long to arrive.
    Delay,
    /// Blocking work (a disk, a statement) takes long.
    SlowWork,
    /// A sector that was being written is torn at a power cut.
    DiskTorn,
    /// A sync of a file fails.
    DiskSync,
    /// No room is left on a disk.
    DiskFull,
    /// A machine loses power in the middle of work on its disk: mostly within a sync, of which a part then reached the disk.
    DiskDies,
    /// The answer to a commit of the state port is lost.
    KvUnknown,
    /// The answer to an append of the log port is lost.
    LogUnknown,
    /// The database is locked.
    SqlBusy,
    /// A statement fails.
    SqlFailed,
    /// The answer to a statement is lost.
    SqlUnknown,
}

impl Fault {
    /// Every class, timed ones first.
    pub const ALL: [Self; 16] = [
        Self::Kill,
        Self::PowerCut,
        Self::Pause,
        Self::Partition,
        Self::ClockSkew,
        Self::Delay,
        Self::SlowWork,
        Self::DiskTorn,
        Self::DiskSync,
        Self::DiskFull,
        Self::KvUnknown,
        Self::LogUnknown,
        Self::SqlBusy,
        Self::SqlFailed,
        Self::SqlUnknown,
        Self::DiskDies,
    ];

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::PowerCut => "power_cut",
            Self::Pause => "pause",
            Self::Partition => "partition",
            Self::ClockSkew => "clock_skew",
            Self::Delay => "delay",
            Self::SlowWork => "slow_work",
            Self::DiskTorn => "disk_torn",
            Self::DiskSync => "disk_sync",
            Self::DiskFull => "disk_full",
            Self::DiskDies => "disk_dies",
            Self::KvUnknown => "kv_unknown",
            Self::LogUnknown => "log_unknown",
            Self::SqlBusy => "sql_busy",
            Self::SqlFailed => "sql_failed",
            Self::SqlUnknown => "sql_unknown",
        }
    }

    /// The class with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// Whether the director strikes it by the clock, rather than an operation asking for it.
    #[must_use]
    pub const fn is_timed(self) -> bool {
        matches!(self, Self::Kill | Self::PowerCut | Self::Pause | Self::Partition | Self::ClockSkew)
    }
}

/// How often a class strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// On average once in this time.
    Every(Duration),
    /// This share of operations, 0 to 1.
    Share(f64),
}

/// What a seed drew: the classes that exist in its world.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Swarm {
    /// The enabled classes; a class that is not here never strikes.
    pub rates: BTreeMap<Fault, Rate>,
}

impl Swarm {
    /// The swarm of `seed`: about half of the classes, each rarely or often.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ 0x5ca1_ab1e);
        let calm = random.random_ratio(1, CALM_SEEDS);
        // Every class draws, enabled or not: adding a class at the end leaves the draws of the others alone.
        let drawn = Fault::ALL.map(|fault| (fault, random.random_bool(0.5), random.random_range(0.0..1.0_f64)));
        let enabled = drawn.into_iter().filter(|(_, enabled, _)| *enabled && !calm);
        Self { rates: enabled.map(|(fault, _, level)| (fault, rate(fault, level))).collect() }
    }

    /// Whether the class exists in its world.
    #[must_use]
    pub fn suffers(&self, fault: Fault) -> bool {
        self.rates.contains_key(&fault)
    }

    /// The same without `fault`: to find out which classes a failure needs.
    #[must_use]
    pub fn without(mut self, fault: Fault) -> Self {
        self.rates.remove(&fault);
        self
    }
}

/// Log-uniform, since the interesting rates span decades: once in 1.5 to 20 s, or 0.1 % to 10 % of operations.
fn rate(fault: Fault, level: f64) -> Rate {
    match fault {
        _ if fault.is_timed() => Rate::Every(Duration::from_secs_f64(1.5 * (20.0_f64 / 1.5).powf(level))),
        // A disk has many operations, and each of these takes its machine away for a second.
        Fault::DiskDies => Rate::Share(0.000_05 * 100.0_f64.powf(level)),
        // It is asked for once a power cut, not once an operation.
        Fault::DiskTorn => Rate::Share(0.1 * 10.0_f64.powf(level)),
        _ => Rate::Share(0.001 * 100.0_f64.powf(level)),
    }
}

impl fmt::Display for Swarm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rates.is_empty() {
            return out.write_str("calm");
        }
        for (index, (fault, rate)) in self.rates.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match rate {
                Rate::Every(mean) => write!(out, "{comma}{} every {:.1} s", fault.name(), mean.as_secs_f64())?,
                Rate::Share(share) => write!(out, "{comma}{} {:.2} %", fault.name(), share * 100.0)?,
            }
        }
        Ok(())
    }
}

/// The dice of one seed, and what they did.
pub(crate) struct Faults {
    swarm: Swarm,
    dice: Mutex<Dice>,
}

struct Dice {
    active: bool,
    /// One stream a class: asking for one fault does not shift the dice of another.
    random: BTreeMap<Fault, StdRng>,
    /// How a fault that struck looks in detail.
    details: StdRng,
    struck: BTreeMap<&'static str, u64>,
}

impl Faults {
    pub(crate) fn new(seed: u64, swarm: Swarm) -> Self {
        let stream = |(index, fault): (u64, &Fault)| (*fault, StdRng::seed_from_u64(seed.wrapping_add(index << 32) ^ 0xfa17));
        let random = (1..).zip(&Fault::ALL).map(stream).collect();
        let details = StdRng::seed_from_u64(seed ^ 0xde7a_1150);
        Self { swarm, dice: Mutex::new(Dice { active: true, random, details, struck: BTreeMap::new() }) }
    }

    pub(crate) fn swarm(&self) -> &Swarm {
        &self.swarm
    }

    /// Whether `fault` strikes at this operation. It is counted if so: the caller makes it happen.
    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        self.strikes_in(fault, 1.0)
    }

    /// As [`Self::strikes`], at an operation that takes as long as `others` usual ones.
    pub(crate) fn strikes_in(&self, fault: Fault, others: f64) -> bool {
        let Some(Rate::Share(share)) = self.swarm.rates.get(&fault) else { return false };
        let share = (share * others).min(1.0);
        let mut dice = self.dice.lock();
        let struck = dice.active && dice.random.get_mut(&fault).is_some_and(|random| random.random_bool(share));
        if struck {
            *dice.struck.entry(fault.name()).or_default() += 1;
        }
        struck
    }

    /// A number below `bound`, for the details of a fault that struck.
    pub(crate) fn detail(&self, bound: u64) -> u64 {
        self.dice.lock().details.random_range(0..bound.max(1))
    }

    /// A fault took effect that was not decided by [`Self::strikes`].
    pub(crate) fn count(&self, name: &'static str) {
        *self.dice.lock().struck.entry(name).or_default() += 1;
    }

    pub(crate) fn is_active(&self) -> bool {
        self.dice.lock().active
    }

    /// Ends the safety phase: nothing strikes from here on.
    pub(crate) fn stop(&self) {
        self.dice.lock().active = false;
    }

    pub(crate) fn struck(&self) -> BTreeMap<&'static str, u64> {
        self.dice.lock().struck.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swarm_follows_its_seed_and_every_class_is_drawn_by_some_seed() {
        assert_eq!(Swarm::draw(3), Swarm::draw(3));
        let swarms: Vec<_> = (0..200).map(Swarm::draw).collect();
        for fault in Fault::ALL {
            let enabled = swarms.iter().filter(|swarm| swarm.suffers(fault)).count();
            assert!((60..140).contains(&enabled), "{} in {enabled} of 200", fault.name());
        }
        assert!(swarms.iter().any(|swarm| swarm.to_string() == "calm"));
    }

    #[test]
    fn a_class_that_is_off_never_strikes_and_none_does_after_the_safety_phase() {
        let faults = Faults::new(1, Swarm { rates: BTreeMap::from([(Fault::SqlBusy, Rate::Share(0.5))]) });
        assert!((0..100).filter(|_| faults.strikes(Fault::SqlBusy)).count() > 20);
        assert!((0..100).all(|_| !faults.strikes(Fault::KvUnknown)));
        faults.stop();
        assert!((0..100).all(|_| !faults.strikes(Fault::SqlBusy)));
    }
}
