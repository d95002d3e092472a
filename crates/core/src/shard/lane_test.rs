use super::*;

const INCARNATION: u128 = 7;

fn lane() -> Lane {
    let stamp = LaneStamp { incarnation: INCARNATION, seq: 0 };
    Lane::new(Bytes::from_static(b"owner"), Bytes::from_static(b"lane"), stamp)
}

fn change(key: &'static str, value: &'static str) -> Change {
    Change::put(Bytes::from_static(key.as_bytes()), Bytes::from_static(value.as_bytes()))
}

fn stamp(seq: u64) -> Bytes {
    LaneStamp { incarnation: INCARNATION, seq }.to_bytes()
}

fn sent(step: Step) -> Commit {
    match step {
        Step::Send(commit) | Step::SendAgain(commit) => commit,
        other => panic!("expected a group, got {other:?}"),
    }
}

#[test]
fn nothing_follows_a_group_whose_outcome_is_unknown_until_the_stamp_says_that_it_landed() {
    let mut lane = lane();
    let first = lane.submit(change("a", "1"));
    let group = sent(lane.send_next());
    lane.submit(change("a", "2"));
    assert_eq!(lane.send_next(), Step::Rest);
    assert_eq!(lane.ended(GroupOutcome::Unknown), Step::SendAgain(group));
    assert_eq!(lane.ended(GroupOutcome::Conflict), Step::ReadStamp);
    assert!(lane.committed() < first);
    let second = sent(lane.stamp_read(Some(&stamp(1))));
    assert_eq!(lane.committed(), first);
    assert!(second.compares.contains(&Compare::Value(Bytes::from_static(b"lane"), stamp(1))));
}

#[test]
fn a_group_that_certainly_did_not_happen_is_sent_again_unchanged() {
    let mut lane = lane();
    lane.submit(change("a", "1"));
    let group = sent(lane.send_next());
    assert_eq!(lane.ended(GroupOutcome::NotDone), Step::SendAgain(group));
    assert_eq!(lane.ended(GroupOutcome::Committed), Step::Rest);
}

#[test]
fn a_conflict_without_a_doubt_means_that_another_owns_the_lane() {
    let mut lane = lane();
    lane.submit(change("a", "1"));
    sent(lane.send_next());
    assert_eq!(lane.ended(GroupOutcome::Conflict), Step::Lost);
    assert_eq!(lane.send_next(), Step::Lost);
}

#[test]
fn a_stamp_of_another_incarnation_means_that_another_owns_the_lane() {
    let mut lane = lane();
    lane.submit(change("a", "1"));
    sent(lane.send_next());
    lane.ended(GroupOutcome::Unknown);
    lane.ended(GroupOutcome::Conflict);
    let foreign = LaneStamp { incarnation: 8, seq: 1 }.to_bytes();
    assert_eq!(lane.stamp_read(Some(&foreign)), Step::Lost);
}

#[test]
fn two_changes_of_one_key_never_share_a_group_and_keep_their_order() {
    let mut lane = lane();
    for value in ["1", "2", "3"] {
        lane.submit(change("a", value));
    }
    let values: Vec<_> = [lane.send_next(), lane.ended(GroupOutcome::Committed), lane.ended(GroupOutcome::Committed)]
        .into_iter()
        .map(|step| sent(step).writes[0].clone())
        .collect();
    let expected: Vec<_> = ["1", "2", "3"].map(|value| Write::Put(Bytes::from_static(b"a"), Bytes::from(value))).into();
    assert_eq!(values, expected);
}

#[test]
fn a_group_stays_within_what_an_engine_takes() {
    let mut lane = lane();
    for n in 0..300 {
        lane.submit(Change::put(format!("k{n}").into(), Bytes::new()));
    }
    let group = sent(lane.send_next());
    assert_eq!(group.writes.len(), GROUP_WRITES + 1, "with the lane's own stamp");
    lane.submit(Change::put(Bytes::from_static(b"large"), vec![0; GROUP_BYTES].into()));
    assert!(sent(lane.ended(GroupOutcome::Committed)).writes.len() <= GROUP_WRITES + 1);
}
