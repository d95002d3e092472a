//! The table of the module's doc, row by row, and what a random walk over all events must never do.

use std::time::Duration;

use super::*;
use crate::id::{BranchId, Epoch, FencingToken, Generation, ShardId, Xid};
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn xid() -> Xid {
    Xid::new(ShardId(7), Generation(1), 42, 0xfeed)
}

fn owner(epoch: u64) -> FencingToken {
    FencingToken { generation: Generation(1), epoch: Epoch(epoch) }
}

fn begin() -> Event {
    let timeout = Duration::from_secs(5);
    Event::Begin(Begin {
        name: "transfer".into(),
        reference: Some("E2E-1".into()),
        application: "payment".into(),
        timeout,
        trace: None,
    })
}

fn branch(call: u32, state: TryState) -> BranchSummary {
    BranchSummary { branch: BranchId::root(call), service: "pay.Debit".into(), route: Some("CH93".into()), state }
}

fn decide(decision: Decision, states: &[TryState]) -> Event {
    let branches = (1..).zip(states).map(|(call, state)| branch(call, *state)).collect();
    Event::Decide { decision, branches }
}

fn answered(call: u32, outcome: Outcome) -> Event {
    Event::BranchAnswered { branch: BranchId::root(call), outcome }
}

fn close(decision: Option<Decision>) -> Event {
    Event::OperatorClose(Close { user: "ana".into(), evidence: "ticket 7".into(), decision })
}

fn send(call: u32, decision: Decision, attempt: u32) -> Effect {
    Effect::Send { branch: BranchId::root(call), decision, attempt }
}

fn transaction(events: impl IntoIterator<Item = Event>) -> Transaction {
    let mut transaction = Transaction::absent(xid(), owner(1), Absence::NeverBegun);
    for event in events {
        transaction.apply(event, NOW).unwrap();
    }
    transaction
}

const TRIED: TryState = TryState::Tried;
const DECISION: Effect = Effect::Persist(Register::Decision);
const PROGRESS: Effect = Effect::Persist(Register::Progress);

fn decided(decision: Decision, cause: Cause) -> Effect {
    Effect::Answer(Answer::Decided(decision, cause))
}

fn in_state(state: State) -> Transaction {
    let refused = || Outcome::Refused("fence violation".into());
    let commit = || decide(Decision::Commit, &[TRIED, TRIED]);
    let abort = || decide(Decision::Abort, &[TRIED, TRIED]);
    let done = || Outcome::Done(Done::Real);
    let transaction = match state {
        State::Absent => transaction([]),
        State::Active => transaction([begin()]),
        State::Committing => transaction([begin(), commit()]),
        State::Committed => transaction([begin(), commit(), answered(1, done()), answered(2, done())]),
        State::Aborting => transaction([begin(), abort()]),
        State::Aborted => transaction([begin(), abort(), answered(1, done()), answered(2, done())]),
        State::CommitParked => transaction([begin(), commit(), answered(1, refused())]),
        State::AbortParked => transaction([begin(), abort(), answered(1, refused())]),
        State::ClosedByOperator => transaction([begin(), commit(), close(None)]),
        State::UnknownParked => {
            let mut transaction = Transaction::absent(xid(), owner(1), Absence::MayBeForgotten);
            transaction.apply(Event::Inquired, NOW).unwrap();
            transaction
        }
    };
    assert_eq!(transaction.state(), state);
    transaction
}

const ALL: [State; 10] = [
    State::Absent,
    State::Active,
    State::Committing,
    State::Committed,
    State::Aborting,
    State::Aborted,
    State::CommitParked,
    State::AbortParked,
    State::UnknownParked,
    State::ClosedByOperator,
];

fn every_event() -> Vec<Event> {
    let done = || Outcome::Done(Done::Real);
    vec![
        begin(),
        decide(Decision::Commit, &[TRIED, TRIED]),
        decide(Decision::Commit, &[TRIED, TryState::Unknown]),
        decide(Decision::Abort, &[TRIED, TRIED]),
        Event::DeadlinePassed,
        Event::Inquired,
        answered(1, done()),
        answered(2, done()),
        answered(1, Outcome::Unknown("timeout".into())),
        answered(2, Outcome::Refused("violation".into())),
        Event::BranchRetryDue { branch: BranchId::root(1) },
        Event::OperatorResume,
        close(Some(Decision::Abort)),
        Event::Restarted { owner: owner(2) },
    ]
}

#[test]
fn the_table_of_the_doc_is_what_the_rule_does() {
    use State::*;
    let legal = |event: &Event, state: State| match event {
        Event::Begin(_) | Event::Decide { .. } | Event::Inquired => true,
        Event::DeadlinePassed | Event::Restarted { .. } => state != Absent,
        Event::BranchAnswered { .. } | Event::BranchRetryDue { .. } => !matches!(state, Absent | Active | UnknownParked),
        Event::OperatorResume => matches!(state, CommitParked | AbortParked),
        Event::OperatorClose(_) => matches!(state, Committing | Aborting | CommitParked | AbortParked | UnknownParked),
    };
    for state in ALL {
        for event in every_event() {
            let mut transaction = in_state(state);
            let result = transaction.apply(event.clone(), NOW);
            assert_eq!(result.is_ok(), legal(&event, state), "{} in {state}: {result:?}", event.name());
        }
    }
}

#[test]
fn a_commit_is_durable_and_answered_before_the_first_confirm_leaves() {
    let mut transaction = in_state(State::Active);
    let effects = transaction.apply(decide(Decision::Commit, &[TRIED, TRIED]), NOW).unwrap();
    let expected =
        [DECISION, decided(Decision::Commit, Cause::Application), send(1, Decision::Commit, 0), send(2, Decision::Commit, 0)];
    assert_eq!(effects, expected);
    assert_eq!(transaction.apply(answered(1, Outcome::Done(Done::Real)), NOW).unwrap(), []);
    let effects = transaction.apply(answered(2, Outcome::Done(Done::Already)), NOW).unwrap();
    assert_eq!(effects, [PROGRESS, Effect::End]);
    assert_eq!(transaction.state(), State::Committed);
}

#[test]
fn a_branch_whose_reply_was_lost_is_never_committed() {
    let mut transaction = in_state(State::Active);
    let effects = transaction.apply(decide(Decision::Commit, &[TRIED, TryState::Unknown]), NOW).unwrap();
    let expected =
        [DECISION, decided(Decision::Abort, Cause::BranchUnknown), send(1, Decision::Abort, 0), send(2, Decision::Abort, 0)];
    assert_eq!(effects, expected);
}

#[test]
fn a_refusal_aborts_and_the_one_who_refused_is_not_asked_again() {
    let mut transaction = in_state(State::Active);
    let effects = transaction.apply(decide(Decision::Commit, &[TRIED, TryState::Refused]), NOW).unwrap();
    assert_eq!(effects, [DECISION, decided(Decision::Abort, Cause::Refused), send(1, Decision::Abort, 0)]);
}

#[test]
fn a_decision_asked_for_again_is_the_one_that_was_made() {
    let mut transaction = in_state(State::Active);
    transaction.apply(Event::DeadlinePassed, NOW).unwrap();
    let late = transaction.apply(decide(Decision::Commit, &[TRIED]), NOW).unwrap();
    assert_eq!(late, [decided(Decision::Abort, Cause::Deadline)]);
    let mut committed = in_state(State::Committed);
    assert_eq!(committed.apply(decide(Decision::Abort, &[]), NOW).unwrap(), [decided(Decision::Commit, Cause::Application)]);
}

#[test]
fn nobody_is_answered_about_a_deadline_that_nobody_asked_about() {
    let effects = in_state(State::Active).apply(Event::DeadlinePassed, NOW).unwrap();
    assert_eq!(effects, [DECISION, PROGRESS, Effect::End]);
}

#[test]
fn an_xid_that_never_began_is_aborted_durably_before_the_answer() {
    for event in [Event::Inquired, decide(Decision::Commit, &[])] {
        let mut transaction = in_state(State::Absent);
        let effects = transaction.apply(event, NOW).unwrap();
        assert_eq!(effects, [DECISION, decided(Decision::Abort, Cause::Presumed), PROGRESS, Effect::End]);
        assert_eq!(transaction.apply(begin(), NOW).unwrap(), [decided(Decision::Abort, Cause::Presumed)]);
    }
}

#[test]
fn an_xid_that_may_have_been_forgotten_is_parked_until_an_operator_says() {
    let mut transaction = in_state(State::UnknownParked);
    assert_eq!(transaction.apply(Event::Inquired, NOW).unwrap(), [Effect::Answer(Answer::Parked)]);
    assert_eq!(transaction.apply(close(None), NOW), Err(IllegalEvent::Missing("the decision that participants are to be told")));
    let effects = transaction.apply(close(Some(Decision::Commit)), NOW).unwrap();
    assert_eq!(effects, [DECISION, PROGRESS, Effect::Answer(Answer::Ordered), Effect::End]);
    assert_eq!(transaction.apply(Event::Inquired, NOW).unwrap(), [decided(Decision::Commit, Cause::Operator)]);
}

#[test]
fn no_answer_is_tried_again_for_a_day_and_then_parked() {
    let mut transaction = in_state(State::Committing);
    for attempt in 1..ATTEMPT_BUDGET {
        let effects = transaction.apply(answered(1, Outcome::Unknown("timeout".into())), NOW).unwrap();
        assert_eq!(effects, [Effect::RetryIn { branch: BranchId::root(1), wait: retry_wait(attempt) }]);
        let due = transaction.apply(Event::BranchRetryDue { branch: BranchId::root(1) }, NOW).unwrap();
        assert_eq!(due, [send(1, Decision::Commit, attempt)]);
    }
    let effects = transaction.apply(answered(1, Outcome::Unknown("timeout".into())), NOW).unwrap();
    let alarm = Effect::Alarm(Alarm::BranchParked { branch: BranchId::root(1), why: "timeout".into() });
    assert_eq!(effects, [PROGRESS, alarm]);
    assert_eq!(transaction.state(), State::CommitParked);
    assert_eq!(transaction.apply(answered(2, Outcome::Done(Done::Real)), NOW).unwrap(), []);
}

#[test]
fn an_operator_can_resume_what_is_parked() {
    let mut transaction = in_state(State::CommitParked);
    let effects = transaction.apply(Event::OperatorResume, NOW).unwrap();
    assert_eq!(effects, [PROGRESS, Effect::Answer(Answer::Ordered), send(1, Decision::Commit, 0)]);
    assert_eq!(transaction.state(), State::Committing);
}

#[test]
fn a_confirm_of_what_was_never_tried_is_not_taken_for_done() {
    let mut transaction = in_state(State::Committing);
    transaction.apply(answered(1, Outcome::Done(Done::Empty)), NOW).unwrap();
    assert_eq!(transaction.state(), State::CommitParked);
}

#[test]
fn a_new_owner_sends_what_is_unfinished_whatever_was_stored_of_it() {
    let before = transaction([begin(), decide(Decision::Commit, &[TRIED, TRIED]), answered(1, Outcome::Done(Done::Real))]);
    let at_begin = transaction([begin()]).progress().clone();
    for stored in [None, Some(at_begin), Some(before.progress().clone())] {
        let mut loaded = Transaction::restore(xid(), before.decision().cloned(), stored).unwrap();
        let effects = loaded.apply(Event::Restarted { owner: owner(2) }, NOW).unwrap();
        assert!(effects.contains(&send(2, Decision::Commit, 0)), "{effects:?}");
        assert!(!effects.contains(&DECISION));
        assert_eq!(loaded.progress().owner, owner(2));
    }
}

#[test]
fn a_new_owner_gives_a_deadline_its_rest_and_never_nothing() {
    for (elapsed, rest) in [(0, 5_000), (2_000, 3_000), (4_900, 1_000), (90_000, 1_000)] {
        let mut transaction = in_state(State::Active);
        let now = NOW.after(Duration::from_millis(elapsed));
        let effects = transaction.apply(Event::Restarted { owner: owner(2) }, now).unwrap();
        assert_eq!(effects, [Effect::DeadlineIn(Duration::from_millis(rest))]);
    }
}

#[test]
fn registers_that_contradict_each_other_are_refused() {
    let transaction = in_state(State::Committing);
    let mut foreign = transaction.decision().cloned().unwrap();
    foreign.xid = Xid::new(ShardId(7), Generation(1), 43, 0);
    let mut fewer = transaction.decision().cloned().unwrap();
    fewer.branches.pop();
    let progress = || Some(transaction.progress().clone());
    assert!(Transaction::restore(xid(), Some(foreign), progress()).is_err());
    assert!(Transaction::restore(xid(), Some(fewer), progress()).is_err());
    assert!(Transaction::restore(xid(), None, progress()).is_err());
    assert!(Transaction::restore(xid(), None, None).is_err());
}

#[test]
fn what_is_over_a_limit_changes_nothing() {
    let many = (1..=1_025).map(|call| branch(call, TRIED)).collect::<Vec<_>>();
    let wide = vec![BranchSummary { service: "x".repeat(70_000), ..branch(1, TRIED) }];
    let twice = vec![branch(1, TRIED), branch(1, TryState::Unknown)];
    for branches in [many, wide, twice] {
        let mut transaction = in_state(State::Active);
        assert!(transaction.apply(Event::Decide { decision: Decision::Commit, branches }, NOW).is_err());
        assert_eq!(transaction, in_state(State::Active));
    }
}

#[test]
fn a_begin_that_is_too_large_is_not_called_a_decision() {
    let Event::Begin(begin) = begin() else { panic!("it is a begin") };
    let wide = Begin { name: "x".repeat(70_000), ..begin };
    let error = in_state(State::Absent).apply(Event::Begin(wide), NOW).unwrap_err().to_string();
    assert!(error.contains("70012 bytes") && error.contains("65536") && !error.contains("decide"), "{error}");
}

#[test]
fn a_try_that_the_commit_does_not_list_is_cancelled() {
    let transaction = in_state(State::Committed);
    let verdict = |call| transaction.decision().unwrap().verdict_for(&BranchId::root(call));
    assert_eq!((verdict(1), verdict(2), verdict(3)), (Decision::Commit, Decision::Commit, Decision::Abort));
}

/// Every path of up to five events, stored and loaded again after each.
#[test]
fn on_every_path_the_decision_never_changes_and_a_restart_at_any_point_agrees() {
    fn walk(transaction: &Transaction, depth: usize, paths: &mut u64) {
        *paths += 1;
        if depth == 0 {
            return;
        }
        for event in every_event() {
            let mut next = transaction.clone();
            let Ok(effects) = next.apply(event.clone(), NOW) else {
                assert_eq!(&next, transaction, "an illegal {} changed something", event.name());
                continue;
            };
            check(transaction, &next, &effects);
            walk(&next, depth - 1, paths);
        }
    }

    fn check(before: &Transaction, after: &Transaction, effects: &[Effect]) {
        if let Some(decision) = before.decision() {
            assert_eq!(after.decision(), Some(decision), "a decision was changed");
        }
        let wrote = effects.contains(&DECISION);
        assert_eq!(wrote, before.decision().is_none() && after.decision().is_some(), "a decision was not written once");
        let first_write = effects.iter().position(|effect| matches!(effect, Effect::Persist(_)));
        let first_send = effects.iter().position(|effect| matches!(effect, Effect::Send { .. }));
        assert!(!wrote || first_write == Some(0), "something leaves before the decision is durable: {effects:?}");
        assert!(!(wrote && first_send == Some(0)));
        if before.state().is_terminal() {
            assert_eq!(after.state(), before.state(), "a terminal state was left");
        }
        if after.state() != State::Absent {
            let restored = Transaction::restore(xid(), after.decision().cloned(), Some(after.progress().clone()));
            assert_eq!(restored.as_ref(), Ok(after));
        }
    }

    let mut paths = 0;
    for absence in [Absence::NeverBegun, Absence::MayBeForgotten] {
        walk(&Transaction::absent(xid(), owner(1), absence), 5, &mut paths);
    }
    assert!(paths > 10_000, "{paths}");
}
