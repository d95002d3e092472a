//! Calls that must not be repeated: coins that the bank rings up at two tills, noted at both ends.
//!
//! A coin is one call. Its caller gives it little time, so that many outcomes are unknown, and two travel side by side, so that
//! an answer can go astray. A till turns some coins away before it has done anything: those may be tried again, within bounds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee::error::codes;
use settee::{Certainty, Context, Error, ErrorKind, Reply};
use settee_core::env;

use super::stage::{Stage, millis_between, sleep_between};
use crate::faults::SAFETY;

/// How long coins are rung up: into the liveness phase, where all must be answered.
const RINGING: Duration = Duration::from_secs(3);

/// Between two pairs of coins at most, in milliseconds.
const PAUSE_MILLIS: usize = 2_000;

/// How long a caller waits for its coin, in milliseconds.
const PATIENCE_MILLIS: (usize, usize) = (150, 1_500);

/// How long a till takes before a coin counts, and again before it answers, in milliseconds.
const WORK_MILLIS: usize = 200;

/// A coin whose number this divides is turned away.
const TURNED_AWAY: u64 = 7;

/// A till.
#[settee::service("bank.Till")]
pub(super) trait Till {
    /// Rings up a coin and answers its number. Each call counts: it must not be repeated.
    async fn ring(&self, coin: u64) -> Reply<u64>;
}

/// One coin, as both ends saw it. Times are virtual, since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Coin {
    pub(super) called_at: Duration,
    pub(super) patience: Duration,
    /// Calls that reached a till: when, and how much time it was told to have left.
    pub(super) arrivals: Vec<(Duration, Option<Duration>)>,
    /// How often it counted.
    pub(super) counted: u32,
    /// When its caller was told, and what.
    pub(super) told: Option<(Duration, Told)>,
}

/// What a caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// This number was rung up.
    Rung(u64),
    /// It was not.
    NotDone,
    /// Nobody can tell.
    Unknown,
}

/// All coins, by number.
#[derive(Default)]
pub(super) struct Coins(Mutex<BTreeMap<u64, Coin>>);

impl Coins {
    pub(super) fn all(&self) -> BTreeMap<u64, Coin> {
        self.0.lock().clone()
    }

    fn note(&self, number: u64, note: impl FnOnce(&mut Coin)) {
        note(self.0.lock().entry(number).or_default());
    }
}

/// A till of a process.
pub(super) struct Drawer(pub(super) Arc<Stage>);

impl Till for Drawer {
    async fn ring(&self, coin: u64) -> Reply<u64> {
        let Stage { world, coins, .. } = &*self.0;
        let arrival = (world.elapsed(), Context::current().remaining());
        coins.note(coin, |noted| noted.arrivals.push(arrival));
        if coin.is_multiple_of(TURNED_AWAY) {
            return Err(Error::new(ErrorKind::Unavailable, codes::DRAINING, "ring up a coin: the till is being counted").into());
        }
        sleep_between(0, WORK_MILLIS).await;
        world.record("coin counted", coin);
        coins.note(coin, |noted| noted.counted += 1);
        sleep_between(0, WORK_MILLIS).await;
        Ok(coin)
    }
}

/// Rings up pairs of coins, now and then.
pub(super) async fn ring(stage: Arc<Stage>, till: TillClient) {
    let mut number = 0;
    while stage.world.elapsed() < SAFETY + RINGING {
        sleep_between(0, PAUSE_MILLIS).await;
        for _ in 0..2 {
            number += 1;
            env::spawn(ring_one(stage.clone(), till.clone(), number));
        }
    }
}

async fn ring_one(stage: Arc<Stage>, till: TillClient, number: u64) {
    let patience = millis_between(PATIENCE_MILLIS.0, PATIENCE_MILLIS.1);
    let called_at = stage.world.elapsed();
    stage.coins.note(number, |coin| (coin.called_at, coin.patience) = (called_at, patience));
    let answer = Context::root("bank").with_timeout(patience).scope(till.ring(number)).await;
    let told = match answer.map_err(Error::from) {
        Ok(rung) => Told::Rung(rung),
        Err(error) if error.certainty() == Certainty::NotDone => Told::NotDone,
        Err(_) => Told::Unknown,
    };
    stage.world.record("coin", format_args!("{number} {told:?}"));
    stage.world.reached(match told {
        Told::Rung(_) => "coin rung up",
        Told::NotDone => "coin not rung up",
        Told::Unknown => "coin unknown",
    });
    let told_at = stage.world.elapsed();
    stage.coins.note(number, |coin| coin.told = Some((told_at, told)));
}
