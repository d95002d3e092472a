use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn policy() -> GroupPolicy {
    GroupPolicy { max_attempts: 3, window: 8, ..GroupPolicy::default() }
}

fn group() -> Group {
    Group::restore(policy(), &Snapshot::default(), 0)
}

fn read(offset: u64, key: Option<&str>) -> Event {
    Event::Read { offset: Offset(offset), position: Offset(offset), key: key.map(str::to_owned), not_before: None }
}

fn group_with(keys: &[Option<&str>]) -> Group {
    let mut group = group();
    for (offset, key) in (0..).zip(keys) {
        group.apply(read(offset, *key), Instant::now());
    }
    group
}

/// The offsets and deliveries that a consumer gets now.
fn take(group: &mut Group, now: Instant) -> Vec<(u64, u64)> {
    let effects = group.apply(Event::Take { consumer: 1, limit: 100 }, now);
    effects
        .into_iter()
        .map(|effect| match effect {
            Effect::Deliver { offset, delivery, .. } => (offset.0, delivery),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn offsets(taken: &[(u64, u64)]) -> Vec<u64> {
    taken.iter().map(|(offset, _)| *offset).collect()
}

fn ack(group: &mut Group, (offset, delivery): (u64, u64)) -> Vec<Effect> {
    group.apply(Event::Ack { offset: Offset(offset), delivery }, Instant::now())
}

fn nack(group: &mut Group, (offset, delivery): (u64, u64), cause: Cause, now: Instant) -> Vec<Effect> {
    group.apply(Event::Nack { offset: Offset(offset), delivery, cause, jitter: Duration::ZERO }, now)
}

fn failed() -> Cause {
    Cause::Failed("no".to_owned())
}

#[test]
fn a_key_in_flight_holds_back_its_own_messages_and_no_others() {
    let mut group = group_with(&[Some("a"), Some("a"), Some("b"), None]);
    let taken = take(&mut group, Instant::now());
    assert_eq!(offsets(&taken), [0, 2, 3]);
    ack(&mut group, taken[0]);
    assert_eq!(offsets(&take(&mut group, Instant::now())), [1]);
}

#[test]
fn a_key_that_backs_off_still_holds_back_its_later_messages() {
    let (mut group, now) = (group_with(&[Some("a"), Some("a")]), Instant::now());
    let first = take(&mut group, now)[0];
    assert_eq!(nack(&mut group, first, failed(), now), []);
    assert_eq!(take(&mut group, now), []);
    let due = now + Duration::from_secs(1);
    assert_eq!(group.next_timer(), Some(due));
    group.apply(Event::Tick, due);
    assert_eq!(offsets(&take(&mut group, due)), [0]);
}

#[test]
fn the_cursor_stays_below_an_unacknowledged_message_whatever_is_acknowledged_above_it() {
    let mut group = group_with(&[None, None, None]);
    let taken = take(&mut group, Instant::now());
    ack(&mut group, taken[2]);
    ack(&mut group, taken[1]);
    assert_eq!((group.cursor(), group.open()), (Offset(0), 1));
    ack(&mut group, taken[0]);
    assert_eq!((group.cursor(), group.open()), (Offset(3), 0));
}

#[test]
fn attempts_used_up_make_a_dead_letter_with_its_cause_and_free_the_key() {
    let (mut group, mut now) = (group_with(&[Some("a"), Some("a")]), Instant::now());
    for _ in 0..2 {
        let delivery = take(&mut group, now)[0];
        assert_eq!(nack(&mut group, delivery, failed(), now), []);
        now = group.next_timer().unwrap();
        group.apply(Event::Tick, now);
    }
    let last = take(&mut group, now)[0];
    let buried = Effect::Bury { offset: Offset(0), position: Offset(0), attempts: 3, cause: failed() };
    assert_eq!(nack(&mut group, last, failed(), now), [buried]);
    assert_eq!(offsets(&take(&mut group, now)), [1]);
}

#[test]
fn a_rejected_message_is_buried_at_the_first_attempt() {
    let (mut group, now) = (group_with(&[None]), Instant::now());
    let delivery = take(&mut group, now)[0];
    let effects = nack(&mut group, delivery, Cause::Rejected("bad".to_owned()), now);
    assert!(matches!(effects[..], [Effect::Bury { attempts: 1, .. }]));
}

#[test]
fn a_lost_consumer_gives_its_messages_back_at_once() {
    let (mut group, now) = (group_with(&[Some("a"), None]), Instant::now());
    take(&mut group, now);
    assert_eq!(group.apply(Event::ConsumerLost { consumer: 1 }, now).len(), 2);
    assert_eq!(offsets(&take(&mut group, now)), [0, 1]);
}

#[test]
fn an_answer_counts_after_its_deadline_only_until_somebody_else_has_the_message() {
    let (mut group, now) = (group_with(&[None]), Instant::now());
    let first = take(&mut group, now)[0];
    let late = now + policy().visibility;
    assert_eq!(group.apply(Event::Tick, late), [Effect::Redeliver { offset: Offset(0) }]);
    let mut other = group.clone();
    assert_eq!(ack(&mut other, first), [Effect::Done { offset: Offset(0) }]);
    let second = take(&mut group, late)[0];
    assert_eq!(ack(&mut group, first), [Effect::Stale { offset: Offset(0) }]);
    assert_eq!(ack(&mut group, second), [Effect::Done { offset: Offset(0) }]);
}

#[test]
fn a_delayed_message_is_not_delivered_early_and_does_not_hold_back_its_key() {
    let (mut group, now) = (group(), Instant::now());
    let due = now + Duration::from_secs(9);
    let key = Some("a".to_owned());
    group.apply(Event::Read { offset: Offset(0), position: Offset(0), key, not_before: Some(due) }, now);
    group.apply(read(1, Some("a")), now);
    let taken = take(&mut group, now);
    assert_eq!(offsets(&taken), [1]);
    group.apply(Event::Tick, due);
    assert_eq!(take(&mut group, due), [], "its key is in flight");
    ack(&mut group, taken[0]);
    assert_eq!(offsets(&take(&mut group, due)), [0]);
}

#[test]
fn after_a_restart_nothing_is_delivered_before_what_is_open_has_been_read_again() {
    let keys = [Some("a"), Some("b"), Some("a"), None];
    let (mut group, now) = (group_with(&keys), Instant::now());
    let taken = take(&mut group, now);
    ack(&mut group, taken[1]);
    let mut restored = Group::restore(policy(), &group.snapshot(), 1 << 32);
    restored.apply(read(4, Some("a")), now);
    assert_eq!((restored.next(), restored.room()), (Offset(4), 0), "a newer one would take the place of its key");
    assert_eq!(take(&mut restored, now), []);
    assert_eq!(restored.unread().collect::<Vec<_>>(), [Offset(0), Offset(2), Offset(3)]);
    for (offset, key) in (0..).zip(keys) {
        restored.apply(read(offset, key), now);
    }
    assert_eq!(offsets(&take(&mut restored, now)), [0, 3]);
    assert_eq!(ack(&mut restored, taken[0]), [Effect::Stale { offset: Offset(0) }], "a delivery of before the restart");
}

#[test]
fn what_was_only_read_ahead_is_not_written_but_read_again() {
    let (mut group, now) = (group_with(&[None, Some("a"), Some("a"), Some("a"), None]), Instant::now());
    let taken = take(&mut group, now);
    assert_eq!(offsets(&taken), [0, 1, 4]);
    ack(&mut group, taken[0]);
    let open = |offset, attempts| OpenMessage { offset: Offset(offset), position: Offset(offset), attempts };
    assert_eq!(group.snapshot().open, [open(1, 1), open(2, 0), open(3, 0), open(4, 1)]);
    let mut restored = group_with(&[None, Some("a"), Some("a"), Some("a")]);
    let taken = take(&mut restored, now);
    ack(&mut restored, taken[0]);
    let snapshot = restored.snapshot();
    assert_eq!((snapshot.next, snapshot.position, snapshot.open), (Offset(2), Offset(2), vec![open(1, 1)]));
}

#[test]
fn a_dead_letter_can_be_brought_back_behind_its_key_and_only_once() {
    let (mut group, now) = (group_with(&[Some("a"), Some("a")]), Instant::now());
    let first = take(&mut group, now)[0];
    nack(&mut group, first, Cause::Rejected(String::new()), now);
    let second = take(&mut group, now)[0];
    for _ in 0..2 {
        group.apply(Event::Revive { offset: Offset(0), position: Offset(0), key: Some("a".to_owned()) }, now);
    }
    assert_eq!(take(&mut group, now), []);
    ack(&mut group, second);
    assert_eq!(offsets(&take(&mut group, now)), [0]);
}

#[derive(Clone, Debug)]
enum Step {
    Read(u8),
    Take(u64),
    Ack(usize),
    Nack(usize),
    Wait(u64),
    Lose(u64),
    Restart,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..4).prop_map(Step::Read),
        3 => (1u64..3).prop_map(Step::Take),
        3 => any::<usize>().prop_map(Step::Ack),
        2 => any::<usize>().prop_map(Step::Nack),
        1 => (0u64..40).prop_map(Step::Wait),
        1 => (1u64..3).prop_map(Step::Lose),
        1 => Just(Step::Restart),
    ]
}

/// What a reviewer would keep on paper: the key of every message, which are done, and which delivery is the last of each.
#[derive(Default)]
struct Paper {
    keys: Vec<Option<String>>,
    done: BTreeSet<u64>,
    at_work: BTreeMap<u64, u64>,
    deliveries: Vec<(u64, u64)>,
}

impl Paper {
    fn note(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Deliver { offset, delivery, .. } => self.delivered(offset.0, delivery),
                Effect::Done { offset } | Effect::Bury { offset, .. } => {
                    assert!(self.done.insert(offset.0), "done twice");
                    self.at_work.remove(&offset.0);
                }
                Effect::Redeliver { offset } => drop(self.at_work.remove(&offset.0)),
                Effect::Stale { .. } => {}
            }
        }
    }

    fn delivered(&mut self, offset: u64, delivery: u64) {
        assert!(!self.done.contains(&offset), "{offset} was delivered after it was done");
        let key = self.key(offset);
        let of_key = |other: &u64| key.is_some() && self.key(*other) == key;
        let all = 0..offset;
        assert!(all.into_iter().filter(of_key).all(|before| self.done.contains(&before)), "{offset} overtook one of its key");
        assert!(!self.at_work.keys().any(of_key), "two of one key at a time");
        self.at_work.insert(offset, delivery);
        self.deliveries.push((offset, delivery));
    }

    fn key(&self, offset: u64) -> Option<String> {
        self.keys[usize::try_from(offset).unwrap()].clone()
    }
}

proptest! {
    /// However consumers take, answer, fail, die and come back: the order of a key holds, what is done stays done, and the
    /// cursor never passes what is not.
    #[test]
    fn no_history_inverts_a_key_or_redelivers_what_is_done(steps in proptest::collection::vec(any_step(), 1..120)) {
        let (mut group, mut paper, mut now) = (group(), Paper::default(), Instant::now());
        let mut epoch = 0;
        for step in steps {
            match step {
                Step::Read(key) if group.room() > 0 => {
                    let key = (key > 0).then(|| key.to_string());
                    let offset = u64::try_from(paper.keys.len()).unwrap();
                    group.apply(read(offset, key.as_deref()), now);
                    paper.keys.push(key);
                }
                Step::Read(_) => {}
                Step::Take(consumer) => paper.note(group.apply(Event::Take { consumer, limit: 3 }, now)),
                Step::Ack(pick) if !paper.deliveries.is_empty() => {
                    let (offset, delivery) = paper.deliveries[pick % paper.deliveries.len()];
                    paper.note(group.apply(Event::Ack { offset: Offset(offset), delivery }, now));
                }
                Step::Nack(pick) if !paper.deliveries.is_empty() => {
                    let picked = paper.deliveries[pick % paper.deliveries.len()];
                    paper.note(nack(&mut group, picked, failed(), now));
                    if paper.at_work.get(&picked.0) == Some(&picked.1) {
                        paper.at_work.remove(&picked.0);
                    }
                }
                Step::Ack(_) | Step::Nack(_) => {}
                Step::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    paper.note(group.apply(Event::Tick, now));
                }
                Step::Lose(consumer) => paper.note(group.apply(Event::ConsumerLost { consumer }, now)),
                Step::Restart => {
                    epoch += 1;
                    let snapshot = group.snapshot();
                    group = Group::restore(policy(), &snapshot, epoch << 32);
                    paper.at_work.clear();
                    let again = snapshot.open.iter().map(|open| open.offset.0);
                    let read_ahead = snapshot.next.0..u64::try_from(paper.keys.len()).unwrap();
                    for offset in again.chain(read_ahead) {
                        group.apply(read(offset, paper.key(offset).as_deref()), now);
                    }
                }
            }
            let first_open = (0..u64::try_from(paper.keys.len()).unwrap()).find(|offset| !paper.done.contains(offset));
            prop_assert_eq!(group.cursor().0, first_open.unwrap_or(group.next().0));
            prop_assert!(group.open() <= policy().window);
        }
    }
}
