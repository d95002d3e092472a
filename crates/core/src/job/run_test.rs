//! The table of the rule, and the stories behind its lines.

use super::*;
use crate::id::{Epoch, Generation};

const NOW: Timestamp = Timestamp::from_millis(10_000);

fn worker(port: u16) -> Worker {
    Worker { address: ([127, 0, 0, 1], port).into(), publisher: 7 }
}

fn token(epoch: u64) -> FencingToken {
    FencingToken { generation: Generation(1), epoch: Epoch(epoch) }
}

fn named(port: u16) -> Assignment {
    Assignment { worker: worker(port), token: token(1) }
}

fn planned(idempotent: bool) -> Run {
    let policy = RunPolicy { idempotent, retry: Retry::default(), timeout: Duration::from_secs(60) };
    let id = RunId { job: "reconcile".into(), version: 3, due: Timestamp::from_millis(9_000), slice: 0 };
    Run::planned(id, 1, policy, None)
}

fn after(run: Run, events: impl IntoIterator<Item = Event>) -> Run {
    events.into_iter().fold(run, |run, event| run.apply(event, NOW).unwrap().0)
}

fn dispatched(idempotent: bool) -> Run {
    after(planned(idempotent), [Event::Assign(named(1)), Event::Offer(token(1))])
}

/// As a successor finds it.
fn loaded(run: Run) -> Run {
    Run { doubt: true, ..run }
}

fn done(port: u16, attempt: u32) -> Event {
    Event::Answered { worker: worker(port), attempt, answer: Answer::Done { result: "1".into() } }
}

fn failed(attempt: u32, certainty: Certainty) -> Event {
    Event::Answered { worker: worker(1), attempt, answer: Answer::Failed { cause: "no".into(), certainty } }
}

fn short(state: &RunState) -> &'static str {
    match state {
        RunState::Planned { assignment: None, .. } => "planned",
        RunState::Planned { assignment: Some(_), .. } => "named",
        RunState::Dispatched(_) => "dispatched",
        RunState::Succeeded { .. } => "succeeded",
        RunState::Failed { .. } => "failed",
        RunState::Unknown { .. } => "unknown",
        RunState::Skipped(_) => "skipped",
    }
}

#[test]
fn every_event_leads_where_the_drawing_says() {
    let not_taken = |again| Event::NotTaken { worker: worker(1), attempt: 1, again };
    let lost = || Event::Lost { worker: worker(1), attempt: 1 };
    let silent = || Event::Silent { worker: worker(1), attempt: 1 };
    let named_once = || after(planned(false), [Event::Assign(named(1))]);
    let table = [
        (planned(false), Event::Assign(named(1)), "named", 1),
        (named_once(), Event::Assign(named(2)), "named", 1),
        (named_once(), Event::Offer(token(1)), "dispatched", 1),
        (named_once(), Event::Died(worker(1)), "planned", 1),
        (named_once(), Event::Died(worker(2)), "named", 1),
        (loaded(named_once()), Event::Died(worker(1)), "unknown", 1),
        (loaded(named_once()), Event::Offer(token(2)), "dispatched", 1),
        (planned(false), Event::Skip(SkipCause::Overlap), "skipped", 1),
        (dispatched(false), done(1, 1), "succeeded", 1),
        (dispatched(false), not_taken(false), "planned", 1),
        (dispatched(false), not_taken(true), "dispatched", 1),
        (dispatched(false), lost(), "dispatched", 1),
        (dispatched(false), silent(), "unknown", 1),
        (dispatched(true), silent(), "unknown", 1),
        (dispatched(false), Event::Died(worker(1)), "unknown", 1),
        (dispatched(true), Event::Died(worker(1)), "planned", 2),
        (dispatched(false), failed(1, Certainty::Unknown), "unknown", 1),
        (dispatched(false), failed(1, Certainty::Done), "failed", 1),
        (dispatched(false), failed(1, Certainty::NotDone), "planned", 2),
        (dispatched(true), failed(1, Certainty::Unknown), "planned", 2),
    ];
    for (run, event, state, attempt) in table {
        let (next, _) = run.apply(event.clone(), NOW).unwrap();
        assert_eq!((short(&next.state), next.attempt), (state, attempt), "{event:?} in {:?}", run.state);
    }
}

#[test]
fn an_old_or_foreign_report_never_flips_what_is_known() {
    let second = after(dispatched(true), [Event::Died(worker(1)), Event::Assign(named(2)), Event::Offer(token(1))]);
    let over = [
        after(dispatched(false), [done(1, 1)]),
        after(dispatched(false), [failed(1, Certainty::Unknown)]),
        after(dispatched(false), [Event::Died(worker(1))]),
        second,
    ];
    for run in over {
        let reports =
            [done(1, 1), failed(1, Certainty::Unknown), Event::Died(worker(1)), Event::Lost { worker: worker(1), attempt: 1 }];
        for report in reports {
            assert_eq!(run.apply(report, NOW).unwrap(), (run.clone(), vec![]));
        }
    }
}

#[test]
fn a_successor_offers_a_run_to_the_named_worker_only() {
    let inherited = loaded(after(planned(true), [Event::Assign(named(1))]));
    inherited.apply(Event::Assign(named(2)), NOW).unwrap_err();
    inherited.apply(Event::Skip(SkipCause::Overlap), NOW).unwrap_err();
    let (run, effects) = inherited.apply(Event::Offer(token(2)), NOW).unwrap();
    let assignment = Assignment { worker: worker(1), token: token(2) };
    assert_eq!(effects, [Effect::Save, Effect::Send { assignment, attempt: 1, again: true }]);
    assert_eq!(run.assignment(), Some(assignment));
}

#[test]
fn a_run_that_nobody_received_goes_elsewhere_even_if_it_may_run_only_once() {
    let (run, effects) = dispatched(false).apply(Event::NotTaken { worker: worker(1), attempt: 1, again: false }, NOW).unwrap();
    assert_eq!(effects, [Effect::Save, Effect::AssignAt(NOW.after(ASSIGN_AGAIN))]);
    let run = after(run, [Event::Assign(named(2)), Event::Offer(token(1)), done(2, 1)]);
    assert_eq!(short(&run.state), "succeeded");
}

#[test]
fn retries_back_off_and_end() {
    let mut run = dispatched(true);
    for (attempt, wait) in [(1, 1), (2, 2)] {
        let (retried, effects) = run.apply(failed(attempt, Certainty::Unknown), NOW).unwrap();
        assert_eq!(effects, [Effect::Save, Effect::AssignAt(NOW.after(Duration::from_secs(wait)))]);
        run = after(retried, [Event::Assign(named(1)), Event::Offer(token(1))]);
    }
    assert_eq!(short(&after(run.clone(), [failed(3, Certainty::Unknown)]).state), "unknown");
    assert_eq!(short(&after(run, [Event::Died(worker(1))]).state), "unknown");
}

#[test]
fn a_wait_that_a_wrong_clock_reckoned_ends_when_the_clock_is_right_and_a_due_time_is_kept() {
    let later = NOW.after(Duration::from_secs(1_740));
    let by_a_clock_ahead = |event| dispatched(true).apply(event, later).unwrap().0;
    let again = by_a_clock_ahead(Event::NotTaken { worker: worker(1), attempt: 1, again: false });
    let retried = by_a_clock_ahead(failed(1, Certainty::NotDone));
    for run in [again, retried] {
        assert!(run.waits_until(later).is_some(), "the rule's own wait is kept: {run:?}");
        assert_eq!(run.waits_until(NOW), None, "{run:?}");
        assert_eq!(run.waits_until(Timestamp::EPOCH), Some(run.id.due));
    }
}

#[test]
fn text_that_is_no_run_is_refused_and_named() {
    for text in ["", "a/1/2026-01-01T00:00:00Z", "a b/1/2026-01-01T00:00:00Z/0", "a/x/2026-01-01T00:00:00Z/0", "a/1/now/0"] {
        assert!(text.parse::<RunId>().unwrap_err().to_string().contains(&format!("{text:?}")));
    }
    let id = planned(true).id;
    assert_eq!(id.to_string().parse::<RunId>().unwrap(), id);
}
