//! I10: a call that must not be repeated happens at most once, its caller gets its own answer in time, and retries are bounded.

use std::time::Duration;

use settee_core::rpc::retry::MAX_ATTEMPTS;

use super::Evidence;
use crate::bank::till::{Coin, Told};
use crate::faults::Fault;
use crate::history::Violation;
use crate::net::LONGEST_DELAY;
use crate::world::World;

/// How much later than its deadline a caller may be told: the wait before a last retry, and a step of the clock.
const TOLD_LATE: Duration = Duration::from_millis(50);

/// How much later than its caller's deadline a call may begin at its callee, where nothing holds it up on the way.
const BEGUN_LATE: Duration = Duration::from_millis(50);

/// What stops calls on their way: the time that is left travels with a call, so it begins to run anew at the callee.
const HOLD_UPS: [Fault; 2] = [Fault::Partition, Fault::Pause];

/// How long a delay can hold up a call: its own, behind that of what was sent before it.
const DELAYS: u32 = 2;

/// Every coin counted at most once, and as its caller was told; no call was given more time or tries than it had.
pub(in crate::bank) fn i10_calls_happen_once_and_are_answered(world: &World, evidence: &Evidence) -> Vec<Violation> {
    let wrong = evidence.coins.iter().filter_map(|(number, coin)| {
        let what = told_wrong(*number, coin).or_else(|| too_often(coin)).or_else(|| too_late(world, coin))?;
        Some(Violation::new("I10", format_args!("coin {number} {what}: {coin:?}")))
    });
    wrong.collect()
}

fn told_wrong(number: u64, coin: &Coin) -> Option<&'static str> {
    match (coin.told, coin.counted) {
        (Some((_, Told::Rung(other))), _) if other != number => Some("got the answer of another call"),
        (Some((_, Told::Rung(_))), 0) => Some("was rung up and never counted"),
        (Some((_, Told::NotDone)), 1..) => Some("was not done, and counted"),
        (None, _) => Some("was never answered"),
        _ => None,
    }
}

fn too_often(coin: &Coin) -> Option<&'static str> {
    let tries = u32::try_from(coin.arrivals.len()).unwrap_or(u32::MAX);
    match coin.counted {
        2.. => Some("counted more than once"),
        _ if tries > MAX_ATTEMPTS => Some("was tried too often"),
        _ => None,
    }
}

fn too_late(world: &World, coin: &Coin) -> Option<&'static str> {
    let deadline = coin.called_at + coin.patience;
    let given_more = |left: Option<Duration>| left.is_none_or(|left| left > coin.patience);
    let (told_at, _) = coin.told?;
    match () {
        () if coin.arrivals.iter().any(|(_, left)| given_more(*left)) => Some("was given more time than its caller had"),
        () if told_at > deadline + TOLD_LATE => Some("was answered long after its deadline"),
        () if coin.arrivals.iter().any(|(at, _)| begun_late(world, coin, *at)) => Some("began after its deadline"),
        () => None,
    }
}

/// A call that begins at its callee when its caller has gone, and nothing was in its way.
fn begun_late(world: &World, coin: &Coin, at: Duration) -> bool {
    let delays = if world.swarm().suffers(Fault::Delay) { LONGEST_DELAY * DELAYS } else { Duration::ZERO };
    // What was sent before a cut and waits for its end is in the way of what comes after.
    let from = coin.called_at.saturating_sub(delays);
    let is_late = at > coin.called_at + coin.patience + BEGUN_LATE + delays;
    is_late && !HOLD_UPS.iter().any(|fault| world.hold_ups().between(*fault, from, at))
}
