//! Calls under flow rules: a desk that draws slips at a rate, and lends while its breaker lets it.
//!
//! ```text
//!  0 s     8      11                40 (healed)    46      48               56
//!  | draws in bursts over the rate ...             | over  | steady: all must pass
//!          | lending fails: the breaker opens, probes, opens again, closes
//! ```
//! What passed the rules is noted where it begins, by life of the desk's process: the rules' state is that of the process.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use settee::error::codes;
use settee::flow::control::{FlowControl, FlowControlClient};
use settee::flow::{BreakerOptions, BreakerState, Flow, Limit, Mode, Rule, RuleSet, Side};
use settee::{Error, ErrorKind, Reply};
use settee_core::env;

use super::stage::{Stage, call_context, sleep_between};
use crate::faults::SAFETY;

/// The application whose rules these are.
pub(super) const APPLICATION: &str = "recorder";

/// Slips that may be drawn each second, and at once.
pub(super) const SLIPS: u32 = 4;
pub(super) const BURST: u32 = 2;

/// Probes that the breaker may have under way.
const PROBES: u32 = 2;

/// After how long a probe that did not end is given up, and its place is free.
pub(super) const PROBE_MILLIS: u64 = 1_000;

/// When lending fails.
const TROUBLE: Range<Duration> = Duration::from_secs(8)..Duration::from_secs(11);
/// When there are borrowers.
const BORROWING: Range<Duration> = Duration::from_secs(7)..Duration::from_secs(14);
/// How many come at a time: more than may probe.
const BORROWERS: usize = 3;
/// How long lending takes, in milliseconds.
const LENDING_MILLIS: (usize, usize) = (150, 400);

/// When more is asked for than the rate allows for the last time, and when everything that is asked for must pass: two seconds
/// later, and long enough after the heal that everybody knows the desk.
const OVERLOAD: Range<Duration> = Duration::from_secs(46)..Duration::from_secs(48);
const STEADY: Range<Duration> = Duration::from_secs(50)..Duration::from_secs(56);
/// Between two callers while all must pass: half of the rate.
const STEADY_EVERY: Duration = Duration::from_millis(500);

/// A desk.
#[settee::service("bank.Desk")]
pub(super) trait Desk {
    /// Draws a slip, at a rate.
    async fn draw(&self) -> Reply<()>;

    /// Lends, behind a breaker.
    async fn lend(&self) -> Reply<()>;
}

/// What is known of a desk.
#[derive(Clone, Debug, Default)]
pub(super) struct Served {
    /// Lives of the desk's process.
    lives: u32,
    /// Slips that passed the rate: in which life of the process, and when.
    pub(super) drawn: Vec<(u32, Duration)>,
    /// Whenever more probes than allowed were under way together: when, and how many.
    pub(super) crowded: Vec<(Duration, usize)>,
    /// Calls of the steady part, and how many of them failed.
    pub(super) steady: u32,
    pub(super) failed: Vec<String>,
}

/// The notes of both ends.
#[derive(Default)]
pub(super) struct Visits(Mutex<Served>);

impl Visits {
    pub(super) fn notes(&self) -> Served {
        self.0.lock().clone()
    }

    fn passes(&self, answers: [Reply<()>; 2]) {
        let mut served = self.0.lock();
        for answer in answers {
            served.steady += 1;
            served.failed.extend(answer.err().map(|fault| format!("{fault:?}")));
        }
    }

    fn begins(&self) -> u32 {
        let mut served = self.0.lock();
        served.lives += 1;
        served.lives
    }
}

/// The desk of one life of a process.
pub(super) struct Clerk {
    stage: Arc<Stage>,
    flow: Flow,
    life: u32,
    probes: AtomicUsize,
}

impl Clerk {
    pub(super) fn new(stage: Arc<Stage>, flow: Flow) -> Self {
        let life = stage.desk.begins();
        Self { stage, flow, life, probes: AtomicUsize::new(0) }
    }

    fn is_probing(&self) -> bool {
        self.flow.breakers().iter().any(|(_, state)| *state == BreakerState::HalfOpen)
    }
}

impl Desk for Clerk {
    async fn draw(&self) -> Reply<()> {
        // Before the first rules have come every call passes.
        if self.flow.generation() > 0 {
            let now = self.stage.world.elapsed();
            self.stage.desk.0.lock().drawn.push((self.life, now));
            self.stage.world.reached("slip drawn");
        }
        Ok(())
    }

    async fn lend(&self) -> Reply<()> {
        let probe = self.is_probing().then(|| UnderWay::enter(&self.probes));
        if let Some((_, together)) = &probe {
            if *together > usize::try_from(PROBES).unwrap_or(0) {
                let now = self.stage.world.elapsed();
                self.stage.desk.0.lock().crowded.push((now, *together));
            }
            self.stage.world.reached("breaker probed");
        }
        sleep_between(LENDING_MILLIS.0, LENDING_MILLIS.1).await;
        match TROUBLE.contains(&self.stage.world.elapsed()) {
            true => Err(Error::new(ErrorKind::Unavailable, codes::INTERNAL, "lend: the safe is stuck").unknown().into()),
            false => Ok(()),
        }
    }
}

/// Counts something while it is under way; says how many are with it.
pub(super) struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    pub(super) fn enter(count: &'a AtomicUsize) -> (Self, usize) {
        let before = count.fetch_add(1, Ordering::Relaxed);
        (Self(count), before + 1)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Puts the rules in force, then calls as the plan of this file says.
pub(super) async fn visit(stage: Arc<Stage>, desk: DeskClient, rules: FlowControlClient) {
    while put(&rules).await.is_err() {
        sleep_between(200, 900).await;
    }
    for _ in 0..BORROWERS {
        env::spawn(borrow(stage.clone(), desk.clone()));
    }
    while stage.world.elapsed() < SAFETY {
        sleep_between(1_000, 5_000).await;
        crowd(&desk);
    }
    sleep_until(&stage, OVERLOAD.start).await;
    while OVERLOAD.contains(&stage.world.elapsed()) {
        crowd(&desk);
        sleep_between(500, 1_000).await;
    }
    sleep_until(&stage, STEADY.start).await;
    while STEADY.contains(&stage.world.elapsed()) {
        let (drawn, lent) = tokio::join!(call_context().scope(desk.draw()), call_context().scope(desk.lend()));
        stage.desk.passes([drawn, lent]);
        tokio::time::sleep(STEADY_EVERY).await;
    }
}

async fn sleep_until(stage: &Stage, at: Duration) {
    tokio::time::sleep(at.saturating_sub(stage.world.elapsed())).await;
}

/// More callers at once than may draw.
fn crowd(desk: &DeskClient) {
    for _ in 0..2 * BURST {
        let desk = desk.clone();
        env::spawn(async move { call_context().scope(desk.draw()).await.ok() });
    }
}

async fn borrow(stage: Arc<Stage>, desk: DeskClient) {
    sleep_until(&stage, BORROWING.start).await;
    while BORROWING.contains(&stage.world.elapsed()) {
        let refused = call_context().scope(desk.lend()).await.is_err();
        sleep_between(10, if refused { 300 } else { 60 }).await;
    }
}

async fn put(rules: &FlowControlClient) -> Reply<RuleSet> {
    let generation = call_context().scope(rules.rules(APPLICATION.to_owned())).await?.generation;
    let rule = |method: &str, limit| Rule {
        name: method.to_owned(),
        service: "bank.Desk".to_owned(),
        method: Some(method.to_owned()),
        side: Side::Server,
        limit,
        mode: Mode::Enforce,
    };
    let breaker = BreakerOptions {
        window_ms: 2_000,
        min_calls: 4,
        open_ms: 400,
        probes: PROBES,
        successes: 2,
        probe_ms: PROBE_MILLIS,
        ..BreakerOptions::default()
    };
    let rate = Limit::Rate { calls: SLIPS, period_ms: 1_000, burst: BURST };
    let wanted = RuleSet { generation, rules: vec![rule("draw", rate), rule("lend", Limit::Breaker(breaker))] };
    call_context().scope(rules.put(APPLICATION.to_owned(), wanted)).await
}
