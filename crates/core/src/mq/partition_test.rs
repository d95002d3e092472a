use proptest::prelude::*;

use super::*;
use crate::mq::Message;

const OWNER: FencingToken = FencingToken { generation: crate::id::Generation(1), epoch: crate::id::Epoch(1) };

fn submission(sequence: u64) -> Submission {
    let mark = ProducerMark { producer: 1, epoch: 1, sequence };
    Submission { mark, message: Message::new(format!("m{sequence}"), "") }
}

fn publish(request: u64, sequences: &[u64]) -> Event {
    Event::Publish { request: RequestId(request), messages: sequences.iter().copied().map(submission).collect() }
}

fn answer(request: u64, results: &[Result<u64, Refusal>]) -> Effect {
    Effect::Answer { request: RequestId(request), results: results.iter().map(|result| result.map(Offset)).collect() }
}

/// A partition over an empty log whose barrier has been answered: its tail is 1, its next offset 0.
fn ready() -> Partition {
    let (mut partition, first) = Partition::take_over(OWNER);
    assert_eq!(first, Effect::Read(Offset(0)));
    let effects = partition.apply(Event::Read { records: vec![], end: Some(Offset(0)) });
    let barrier = vec![Record::Barrier { owner: OWNER }];
    assert_eq!(effects, [Effect::Append { expected_tail: Offset(0), records: barrier }]);
    assert!(partition.apply(Event::Answered(Appended::At(Offset(0)))).is_empty());
    partition
}

fn append(tail: u64, messages: &[(u64, u64)]) -> Effect {
    let record = |(offset, sequence): &(u64, u64)| {
        let Submission { mark, message } = submission(*sequence);
        Record::Message { owner: OWNER, stored: StoredMessage { offset: Offset(*offset), mark, message } }
    };
    Effect::Append { expected_tail: Offset(tail), records: messages.iter().map(record).collect() }
}

#[test]
fn a_batch_is_answered_only_after_the_log_took_it() {
    let mut partition = ready();
    assert_eq!(partition.apply(publish(1, &[1, 2])), [append(1, &[(0, 1), (1, 2)])]);
    assert_eq!(partition.apply(publish(2, &[3])), [], "one batch at a time");
    let effects = partition.apply(Event::Answered(Appended::At(Offset(1))));
    assert_eq!(effects, [answer(1, &[Ok(0), Ok(1)]), append(3, &[(2, 3)])]);
    assert_eq!(partition.confirmed(), Offset(3));
}

#[test]
fn a_message_published_before_the_tail_is_known_waits_for_it() {
    let (mut partition, _) = Partition::take_over(OWNER);
    assert_eq!(partition.apply(publish(1, &[1])), []);
    partition.apply(Event::Read { records: vec![], end: Some(Offset(0)) });
    assert!(!matches!(partition.stage, Stage::Ready { .. } | Stage::Appending { .. }));
    assert_eq!(partition.apply(Event::Answered(Appended::At(Offset(0)))), [append(1, &[(0, 1)])]);
}

#[test]
fn a_batch_that_landed_without_an_answer_is_never_appended_again() {
    let mut partition = ready();
    let [Effect::Append { records, .. }] = &partition.apply(publish(1, &[1]))[..] else { panic!("one append") };
    assert_eq!(partition.apply(Event::Failed(Failure::Unknown)), [Effect::Read(Offset(1))]);
    assert!(!matches!(partition.stage, Stage::Ready { .. } | Stage::Appending { .. }));
    let landed = vec![(Offset(1), records[0].clone())];
    let effects = partition.apply(Event::Read { records: landed, end: Some(Offset(2)) });
    assert!(matches!(effects[..], [Effect::Append { expected_tail: Offset(2), .. }]), "a barrier first");
    assert_eq!(partition.apply(Event::Answered(Appended::At(Offset(2)))), [answer(1, &[Ok(0)])]);
}

#[test]
fn a_batch_that_did_not_land_is_appended_behind_a_barrier_and_before_what_came_later() {
    let mut partition = ready();
    partition.apply(publish(1, &[1]));
    partition.apply(publish(2, &[2]));
    partition.apply(Event::Failed(Failure::Unknown));
    partition.apply(Event::Read { records: vec![], end: Some(Offset(1)) });
    let effects = partition.apply(Event::Answered(Appended::At(Offset(1))));
    assert_eq!(effects, [append(2, &[(0, 1), (1, 2)])]);
}

#[test]
fn an_append_of_before_that_lands_late_makes_the_barrier_try_again() {
    let mut partition = ready();
    let [Effect::Append { records, .. }] = &partition.apply(publish(1, &[1]))[..] else { panic!("one append") };
    partition.apply(Event::Failed(Failure::Unknown));
    partition.apply(Event::Read { records: vec![], end: Some(Offset(1)) });
    assert_eq!(partition.apply(Event::Answered(Appended::TailIs(Offset(2)))), [Effect::Read(Offset(1))]);
    partition.apply(Event::Read { records: vec![(Offset(1), records[0].clone())], end: Some(Offset(2)) });
    assert_eq!(partition.apply(Event::Answered(Appended::At(Offset(2)))), [answer(1, &[Ok(0)])]);
}

#[test]
fn a_log_that_certainly_refused_leaves_the_tail_and_tells_the_sender() {
    let mut partition = ready();
    partition.apply(publish(1, &[1]));
    assert_eq!(partition.apply(Event::Failed(Failure::NotDone)), [answer(1, &[Err(Refusal::NotStored)])]);
    assert_eq!(partition.apply(publish(2, &[1])), [append(1, &[(0, 1)])]);
}

#[test]
fn a_log_without_room_says_so_and_takes_messages_again_once_there_is_some() {
    let mut partition = ready();
    partition.apply(publish(1, &[1]));
    partition.apply(publish(2, &[2]));
    assert_eq!(partition.apply(Event::Failed(Failure::Full)), [answer(1, &[Err(Refusal::Full)]), append(1, &[(0, 2)])]);
    assert_eq!(partition.apply(Event::Failed(Failure::Full)), [answer(2, &[Err(Refusal::Full)])]);
    assert_eq!(partition.apply(publish(3, &[1])), [append(1, &[(0, 1)])]);
    assert_eq!(partition.apply(Event::Answered(Appended::At(Offset(1)))), [answer(3, &[Ok(0)])]);
}

#[test]
fn without_room_for_a_barrier_only_what_may_be_in_the_log_waits() {
    let mut partition = ready();
    let [Effect::Append { records, .. }] = &partition.apply(publish(1, &[1]))[..] else { panic!("one append") };
    partition.apply(publish(2, &[2]));
    partition.apply(Event::Failed(Failure::Unknown));
    partition.apply(Event::Read { records: vec![], end: Some(Offset(1)) });
    let effects = partition.apply(Event::Failed(Failure::Full));
    assert_eq!(effects, [Effect::RetryLater, answer(2, &[Err(Refusal::Full)])], "the first one may still land");
    assert_eq!(partition.apply(publish(3, &[3])), [answer(3, &[Err(Refusal::Full)])], "at once");
    assert_eq!(partition.apply(Event::Retry), [Effect::Read(Offset(1))]);
    let landed = vec![(Offset(1), records[0].clone())];
    partition.apply(Event::Read { records: landed, end: Some(Offset(2)) });
    assert_eq!(partition.apply(Event::Answered(Appended::At(Offset(2)))), [answer(1, &[Ok(0)])]);
    assert_eq!(partition.apply(publish(4, &[2])), [append(3, &[(1, 2)])]);
}

#[test]
fn a_log_that_stops_leaves_nobody_waiting_and_says_unknown_only_of_what_it_may_hold() {
    for (failure, batch) in [(Failure::Unknown, Refusal::Lost), (Failure::NotDone, Refusal::Stopped)] {
        let mut partition = ready();
        partition.apply(publish(1, &[1]));
        partition.apply(publish(2, &[1, 2]));
        let told = [answer(1, &[Err(batch)]), answer(2, &[Err(Refusal::Stopped); 2])];
        assert_eq!(partition.apply(Event::Stopped(failure)), told, "{failure:?}");
        assert_eq!(partition.apply(publish(3, &[3])), [answer(3, &[Err(Refusal::Stopped)])], "at once");
        assert_eq!((partition.waiting(), partition.apply(Event::Answered(Appended::At(Offset(1))))), (0, vec![]));
    }
}

#[test]
fn a_log_that_stops_while_it_is_read_again_never_denies_what_was_sent_to_it() {
    let mut partition = ready();
    partition.apply(publish(1, &[1]));
    partition.apply(publish(2, &[2]));
    partition.apply(Event::Failed(Failure::Unknown));
    let told = [answer(1, &[Err(Refusal::Lost)]), answer(2, &[Err(Refusal::Stopped)])];
    assert_eq!(partition.apply(Event::Stopped(Failure::NotDone)), told, "what failed was the reading, not the append");
}

#[test]
fn a_repeat_gets_the_first_offset_also_while_the_first_is_under_way() {
    let mut partition = ready();
    partition.apply(publish(1, &[1]));
    assert_eq!(partition.apply(publish(2, &[1])), []);
    let effects = partition.apply(Event::Answered(Appended::At(Offset(1))));
    assert_eq!(effects, [answer(1, &[Ok(0)]), answer(2, &[Ok(0)])]);
    assert_eq!(partition.apply(publish(3, &[1, 1])), [answer(3, &[Ok(0), Ok(0)])]);
}

#[test]
fn an_old_epoch_is_fenced_even_within_one_batch() {
    let mut partition = ready();
    let in_epoch = |epoch| Submission { mark: ProducerMark { producer: 1, epoch, sequence: 1 }, message: Message::new("m", "") };
    partition.apply(Event::Publish { request: RequestId(1), messages: vec![in_epoch(2), in_epoch(1)] });
    let effects = partition.apply(Event::Answered(Appended::At(Offset(1))));
    assert_eq!(effects, [answer(1, &[Ok(0), Err(Refusal::Fenced)])]);
}

#[test]
fn a_tail_below_what_was_acknowledged_parks_the_partition() {
    let mut partition = ready();
    partition.apply(publish(1, &[1]));
    partition.apply(Event::Answered(Appended::At(Offset(1))));
    partition.apply(publish(2, &[2]));
    let effects = partition.apply(Event::Answered(Appended::TailIs(Offset(1))));
    assert!(matches!(effects[..], [Effect::Park(_), Effect::Answer { .. }]));
    assert_eq!(partition.apply(publish(3, &[3])), [answer(3, &[Err(Refusal::Parked)])]);
}

#[test]
fn a_failed_read_is_retried_later_and_the_position_is_kept() {
    let (mut partition, _) = Partition::take_over(OWNER);
    assert_eq!(partition.apply(Event::Failed(Failure::NotDone)), [Effect::RetryLater]);
    assert_eq!(partition.apply(Event::Retry), [Effect::Read(Offset(0))]);
}

#[test]
fn more_than_may_wait_is_refused_and_leaves_no_trace() {
    let mut partition = ready();
    let many: Vec<_> = (0..=u64::try_from(MAX_WAITING).unwrap()).collect();
    let [Effect::Answer { results, .. }] = &partition.apply(publish(1, &many))[..] else { panic!("one answer") };
    assert!(results.iter().all(|result| *result == Err(Refusal::Busy)));
    assert!(crate::Error::from(Refusal::Busy).retry_after().is_some(), "the page of FLW0001 promises it");
    assert_eq!(partition.apply(publish(2, &[1])), [append(1, &[(0, 1)])]);
}

/// The log of the model: appends land now, later or never, with or without an answer.
#[derive(Default)]
struct ModelLog {
    records: Vec<Record>,
    late: Vec<(Offset, Vec<Record>)>,
}

impl ModelLog {
    fn tail(&self) -> Offset {
        Offset(self.records.len().try_into().unwrap())
    }

    fn append(&mut self, expected: Offset, records: &[Record]) -> Appended {
        let tail = self.tail();
        if expected != tail {
            return Appended::TailIs(tail);
        }
        self.records.extend_from_slice(records);
        Appended::At(tail)
    }

    fn land_late(&mut self) {
        for (expected, records) in std::mem::take(&mut self.late) {
            self.append(expected, &records);
        }
    }

    fn perform(&mut self, effect: &Effect, fault: u8) -> Option<Event> {
        match (effect, fault % 6) {
            (Effect::Read(_), 1) | (Effect::Append { .. }, 1) => Some(Event::Failed(Failure::Unknown)),
            (Effect::Append { expected_tail, records }, 2) => {
                self.append(*expected_tail, records);
                Some(Event::Failed(Failure::Unknown))
            }
            (Effect::Append { expected_tail, records }, 3) => {
                self.late.push((*expected_tail, records.clone()));
                Some(Event::Failed(Failure::Unknown))
            }
            (Effect::Append { expected_tail, records }, _) => Some(Event::Answered(self.append(*expected_tail, records))),
            (Effect::Read(from), _) => {
                let records = (0..).map(Offset).zip(self.records.iter().cloned()).filter(|(at, _)| at >= from).collect();
                Some(Event::Read { records, end: Some(self.tail()) })
            }
            (Effect::RetryLater, _) => Some(Event::Retry),
            (Effect::Answer { .. } | Effect::Park(_), _) => None,
        }
    }
}

proptest! {
    /// Requests, repeats, lost answers, late landings and owners that die: every sequence is in the log once and in order,
    /// and every answer named the offset at which it lies.
    #[test]
    fn no_fault_of_the_log_doubles_loses_or_misorders_a_message(steps in proptest::collection::vec((0u8..8, any::<u8>()), 1..80)) {
        let mut log = ModelLog::default();
        let (mut partition, first) = Partition::take_over(OWNER);
        let mut io = Some(first);
        let (mut sent, mut requests, mut answered) = (0u64, 0u64, std::collections::BTreeMap::new());
        let mut asked = std::collections::BTreeMap::new();
        let calm = std::iter::repeat_n((7u8, 0u8), 40);
        for (step, fault) in steps.into_iter().chain(calm) {
            let event = match step {
                0 | 1 => { sent += 1; Some(vec![sent]) }
                2 if sent > 0 => Some(vec![sent]),
                3 => { log.land_late(); None }
                4 => { // the owner dies; the client repeats what was not answered
                    let (successor, first) = Partition::take_over(OWNER);
                    (partition, io) = (successor, Some(first));
                    let open: Vec<u64> = (1..=sent).filter(|sequence| !answered.contains_key(sequence)).collect();
                    (!open.is_empty()).then_some(open)
                }
                _ => None,
            };
            let mut effects = Vec::new();
            if let Some(sequences) = event {
                requests += 1;
                asked.insert(RequestId(requests), sequences.clone());
                effects.extend(partition.apply(publish(requests, &sequences)));
            } else if let Some(event) = io.take().and_then(|io| log.perform(&io, fault)) {
                effects.extend(partition.apply(event));
            }
            for effect in effects {
                match effect {
                    Effect::Answer { request, results } => for (sequence, result) in asked[&request].iter().zip(results) {
                        answered.insert(*sequence, result.expect("nothing refuses here"));
                    },
                    Effect::Park(why) => prop_assert!(false, "parked: {why}"),
                    other => prop_assert!(io.replace(other).is_none(), "two are under way"),
                }
            }
        }
        let stored: Vec<_> = log.records.iter().filter_map(Record::message).collect();
        let order: Vec<u64> = stored.iter().map(|one| one.mark.sequence).collect();
        prop_assert_eq!(&order, &(1..=u64::try_from(order.len()).unwrap()).collect::<Vec<_>>());
        for (sequence, offset) in answered {
            let found = stored.iter().find(|one| one.mark.sequence == sequence);
            prop_assert_eq!(found.map(|one| one.offset), Some(offset));
        }
    }
}
