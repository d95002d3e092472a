//! I9: a rate is never exceeded, a breaker lets few probes through, and soon after an overload everything passes again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Evidence;
use crate::bank::desk::{BURST, PROBE_MILLIS, SLIPS};
use crate::faults::Fault;
use crate::history::Violation;
use crate::world::World;

/// Of a hundred calls in the steady part so many may fail.
const FAILING_PERCENT: usize = 1;

/// As long as a probe may take it may be under way beside its successor, if the process stood still.
const PROBE: Duration = Duration::from_millis(PROBE_MILLIS);

fn violation(detail: impl std::fmt::Display) -> Violation {
    Violation::new("I9", detail)
}

/// In any window of any life of the desk no more slips than the rate allows; no more probes at once than allowed; no caller of
/// the steady part turned away.
pub(in crate::bank) fn i9_limits_hold_and_let_go(world: &World, evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut lives = BTreeMap::<u32, Vec<Duration>>::new();
    for (life, at) in &evidence.desk.drawn {
        lives.entry(*life).or_default().push(*at);
    }
    found.extend(lives.iter().filter_map(|(life, drawn)| Some(violation(format_args!("life {life}: {}", over_rate(drawn)?)))));
    // A process that was paused meets probes of before that nobody waits for any more.
    let stood_still = |at: Duration| world.hold_ups().between(Fault::Pause, at.saturating_sub(PROBE), at);
    let crowded = evidence.desk.crowded.iter().find(|(at, _)| !stood_still(*at));
    found.extend(crowded.map(|(at, probes)| violation(format_args!("{probes} probes were under way at once, {at:?}"))));
    let (calls, failed) = (usize::try_from(evidence.desk.steady).unwrap_or(0), &evidence.desk.failed);
    if calls == 0 || failed.len() * 100 > calls * FAILING_PERCENT {
        found.push(violation(format_args!("{} of {calls} calls failed though there was no overload: {failed:?}", failed.len())));
    }
    found
}

/// The first window in which more was let through than `BURST` and what the rate adds in its time.
fn over_rate(drawn: &[Duration]) -> Option<String> {
    let interval = Duration::from_secs(1) / SLIPS;
    let windows = drawn.iter().enumerate().flat_map(|(first, from)| (first..drawn.len()).map(move |last| (first, last, from)));
    windows.into_iter().find_map(|(first, last, from)| {
        let (count, length) = (last - first + 1, drawn[last].saturating_sub(*from));
        let allowed = u128::from(BURST) + length.as_nanos() / interval.as_nanos();
        (count as u128 > allowed).then(|| format!("{count} slips in {length:?}, {allowed} may pass"))
    })
}
