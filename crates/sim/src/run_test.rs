//! The tests of the tests: seeds repeat, planted bugs are found, and no way to fail goes unnoticed.

use std::sync::atomic::{AtomicU32, Ordering};

use settee_core::env;

use super::*;
use crate::{Campaign, Fault, Rate};

/// A workload that is one server and has no invariants of its own.
struct One<M>(M);

impl<M: Fn(Boot) + Send + Sync + Clone + 'static> Workload for One<M> {
    fn build(&self, world: &World) -> Box<dyn Checks> {
        let main = self.0.clone();
        world.server("one", move |boot| {
            let main = main.clone();
            async move { main(boot) }
        });
        Box::new(NoChecks)
    }
}

fn run_one(main: impl Fn(Boot) + Send + Sync + Clone + 'static, options: &Options) -> SeedReport {
    let workload: Arc<dyn Workload> = Arc::new(One(main));
    seed(&workload, 1, options)
}

#[test]
fn a_panic_of_a_task_is_a_violation_with_its_place() {
    let report = run_one(|_| panic!("planted"), &Options { swarm: Some(Swarm::default()), ..Options::default() });
    assert_eq!(report.violations[0].invariant, "panic");
    assert!(report.violations[0].detail.contains("planted") && report.violations[0].detail.contains("run_test.rs"));
    assert!(report.violations.len() > 20, "the supervisor starts it again and again");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a seed that hangs in real time is what is tested")]
fn a_seed_that_hangs_is_given_up() {
    let hang = |_| std::thread::sleep(Duration::from_secs(3));
    let report =
        run_one(hang, &Options { patience: Duration::from_millis(50), swarm: Some(Swarm::default()), ..Options::default() });
    assert_eq!(report.violations[0].invariant, "stuck");
}

#[test]
fn a_campaign_notices_a_seed_that_does_not_repeat() {
    let runs = AtomicU32::new(0);
    let campaign = Campaign { seeds: 5..6, workers: Some(1), meta: true, progress: false };
    let summary = campaign.run(|number| {
        let mut report = run_one(|_| {}, &Options::default());
        report.hash = runs.fetch_add(1, Ordering::Relaxed).into();
        SeedReport { seed: number, ..report }
    });
    assert_eq!((summary.failures[0].seed, summary.failures[0].invariant.as_str()), (5, "replay"));
}

#[test]
fn nothing_strikes_in_the_liveness_phase() {
    struct Late;
    impl Workload for Late {
        fn build(&self, world: &World) -> Box<dyn Checks> {
            let watching = world.clone();
            world.client("watch", move |_| {
                let world = watching.clone();
                async move {
                    while world.elapsed() < crate::SAFETY {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        assert!(world.phase() == crate::Phase::Safety || world.elapsed() == crate::SAFETY);
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    assert!((0..1_000).all(|_| !world.strikes(Fault::SqlBusy)));
                    assert!(world.nodes().iter().all(crate::Node::is_alive));
                }
            });
            for _ in 0..3 {
                world.server("idle", |_| std::future::pending());
            }
            Box::new(NoChecks)
        }
    }
    let often = |fault| (fault, Rate::Every(Duration::from_millis(700)));
    let rates = [often(Fault::Kill), often(Fault::PowerCut), often(Fault::Pause), (Fault::SqlBusy, Rate::Share(1.0))];
    let options = Options { swarm: Some(Swarm { rates: rates.into() }), ..Options::default() };
    let report = seed(&(Arc::new(Late) as Arc<dyn Workload>), 3, &options);
    // The watching client ends by itself, so it is not alive when it looks at the others: it still is.
    assert_eq!(report.violations, []);
    assert!(report.faults["kill"] > 10 && report.faults["power_cut"] > 10);
}

#[test]
fn a_killed_process_leaves_nothing_behind_and_its_successor_starts_anew() {
    in_calm_world(|world| async move {
        let ticks = Arc::new(AtomicU32::new(0));
        let counting = ticks.clone();
        let node = world.server("ticking", move |boot| {
            let ticks = counting.clone();
            async move {
                env::spawn(async move {
                    loop {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                        ticks.fetch_add(boot.incarnation, Ordering::Relaxed);
                    }
                });
                std::future::pending::<()>().await;
            }
        });
        tokio::time::sleep(Duration::from_millis(105)).await;
        assert_eq!(ticks.swap(0, Ordering::Relaxed), 10);
        assert!(node.kill() && !node.kill());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(ticks.load(Ordering::Relaxed), 0);
        node.restart();
        tokio::time::sleep(Duration::from_millis(105)).await;
        assert_eq!(ticks.swap(0, Ordering::Relaxed), 20, "the second incarnation counts by two");
        assert!(node.pause());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(ticks.load(Ordering::Relaxed), 0);
        node.resume();
        tokio::time::sleep(Duration::from_millis(55)).await;
        assert!(ticks.load(Ordering::Relaxed) >= 10);
    });
}

#[test]
fn what_a_destructor_spawns_dies_with_its_process() {
    struct SpawnsWhenDropped(Arc<AtomicU32>);
    impl Drop for SpawnsWhenDropped {
        fn drop(&mut self) {
            let escaped = self.0.clone();
            env::spawn(async move { escaped.fetch_add(1, Ordering::Relaxed) });
        }
    }
    in_calm_world(|world| async move {
        let escaped = Arc::new(AtomicU32::new(0));
        let held = escaped.clone();
        let node = world.server("holder", move |_| {
            let held = SpawnsWhenDropped(held.clone());
            async move {
                std::future::pending::<()>().await;
                drop(held);
            }
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(node.kill());
        node.restart();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(escaped.load(Ordering::Relaxed), 0);
        assert_eq!(Arc::strong_count(&escaped), 3, "here, the program, the new process, nobody else");
    });
}

#[test]
fn each_node_has_its_own_clock_and_randomness() {
    in_calm_world(|world| async move {
        let (one, two) = (world.server("one", |_| std::future::pending()), world.server("two", |_| std::future::pending()));
        one.set_clock(5_000_000, 0);
        let seen = |node: &crate::Node| node.run(|| (env::wall_clock(), env::random_u64())).unwrap();
        let ((ahead, first), (right, second)) = (seen(&one), seen(&two));
        assert_eq!(ahead.since(right), Duration::from_secs(5));
        assert_ne!(first, second);
    });
}
