//! What the flow rules cost a call that they let pass: a rate, a concurrency limit and a breaker, all three on the same call.
//!
//! Measured is the whole of it, admission and the report of the end, as the filters at both ends of a call make it. Beside it
//! stand a bare `governor` check (a rate, nothing else) and a call through tower's concurrency limit (no rate, no breaker).
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "contention needs threads, and real time")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use settee::flow::{BreakerOptions, Flow, Limit, Mode, Rule, RuleSet, Side};
use settee_benches::command::{Options, main as bench};
use settee_benches::machine;
use settee_benches::report::{Figure, Figures, Target};
use settee_benches::rounds::{Samples, take_turns};
use tower::limit::ConcurrencyLimit;
use tower::{Service, service_fn};

/// Checks of one measurement and thread: some tens of milliseconds.
const CHECKS: u32 = 400_000;
/// A rate that never runs out.
const NEVER_USED_UP: u32 = 1_000_000_000;
/// Permits that never run out.
const PLACES: u32 = 1_024;
const SERVICE: &str = "pay.Payment";
const METHOD: &str = "transfer";

fn main() -> ExitCode {
    bench("flow", measure, &[])
}

fn measure(options: &Options) -> anyhow::Result<Figures> {
    let [alone, governor_alone, tower_alone] = side_by_side(options, 1)?;
    let [two, governor_two, tower_two] = side_by_side(options, 2)?;
    Ok(Figures::default()
        .with(Figure::new("flow.check_ns", "ns", &alone).beside(&governor_alone).target(Target::ValueAtMost(60.0)))
        .with(Figure::new("flow.check_ns_two_threads", "ns", &two).beside(&governor_two).target(Target::ValueAtMost(120.0)))
        .with(Figure::new("flow.governor_ns", "ns", &governor_alone))
        .with(Figure::new("flow.governor_ns_two_threads", "ns", &governor_two))
        .with(Figure::new("flow.tower_concurrency_ns", "ns", &tower_alone))
        .with(Figure::new("flow.tower_concurrency_ns_two_threads", "ns", &tower_two))
        .note("flow.check_ns: rate + concurrency + breaker, admission and end; baseline: governor, one rate alone")
        .note("two threads: time of one thread for one check while another does the same on the next core"))
}

fn side_by_side(options: &Options, threads: usize) -> anyhow::Result<[Samples; 3]> {
    let (flow, governor, tower) = (rules()?, limiter()?, ConcurrencyLimit::new(service_fn(inner), PLACES as usize));
    take_turns(
        options.rounds,
        [
            Box::new(|| nanoseconds(threads, || || check(&flow))),
            Box::new(|| nanoseconds(threads, || || black_box(&governor).check().is_ok())),
            Box::new(|| {
                nanoseconds(threads, || {
                    let mut service = tower.clone();
                    move || called(&mut service)
                })
            }),
        ],
    )
}

fn rules() -> anyhow::Result<Flow> {
    let rule = |name: &str, limit| Rule {
        name: name.to_owned(),
        service: SERVICE.to_owned(),
        method: Some(METHOD.to_owned()),
        side: Side::Server,
        limit,
        mode: Mode::Enforce,
    };
    let rules = vec![
        rule("rate", Limit::Rate { calls: NEVER_USED_UP, period_ms: 1_000, burst: NEVER_USED_UP }),
        rule("concurrency", Limit::Concurrency { calls: PLACES }),
        rule("breaker", Limit::Breaker(BreakerOptions::default())),
    ];
    let flow = Flow::new();
    flow.replace(&RuleSet { generation: 1, rules })?;
    Ok(flow)
}

fn check(flow: &Flow) -> bool {
    match flow.admit(Side::Server, black_box(SERVICE), black_box(METHOD)) {
        Ok(admitted) => {
            admitted.ended(true);
            true
        }
        Err(_) => false,
    }
}

fn limiter() -> anyhow::Result<DefaultDirectRateLimiter> {
    let most = NonZeroU32::new(NEVER_USED_UP).context("not zero")?;
    Ok(RateLimiter::direct(Quota::per_second(most).allow_burst(most)))
}

fn inner((): ()) -> Ready<Result<bool, Infallible>> {
    ready(Ok(true))
}

/// One call through a tower service whose inner service is ready at once.
fn called<S: Service<(), Response = bool>>(service: &mut S) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    if service.poll_ready(&mut context).is_pending() {
        return false;
    }
    matches!(pin!(service.call(())).poll(&mut context), Poll::Ready(Ok(true)))
}

/// What one check costs one thread, while as many threads as are asked for make checks, each on its own core.
fn nanoseconds<C: FnMut() -> bool>(threads: usize, checker: impl Fn() -> C + Sync) -> anyhow::Result<f64> {
    let start = Barrier::new(threads);
    let timed = |core: usize| -> anyhow::Result<Duration> {
        machine::keep_to(machine::core_for(core))?;
        let mut check = checker();
        start.wait();
        let started = Instant::now();
        let passed = (0..CHECKS).filter(|_| check()).count();
        let took = started.elapsed();
        ensure!(passed == CHECKS as usize, "only {passed} of {CHECKS} checks passed");
        Ok(took)
    };
    let took = thread::scope(|scope| {
        let timed = &timed;
        let running: Vec<_> = (0..threads).map(|core| scope.spawn(move || timed(core))).collect();
        running.into_iter().map(|thread| thread.join().expect("it does not panic")).collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mean = took.iter().sum::<Duration>() / u32::try_from(threads)?;
    Ok(mean.as_secs_f64() * 1e9 / f64::from(CHECKS))
}
