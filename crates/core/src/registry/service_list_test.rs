use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::id::Epoch;

const START: ListVersion = ListVersion { epoch: Epoch(7), n: 40 };

fn address(port: u16) -> SocketAddr {
    ([10, 0, 0, 1], port).into()
}

fn instance(port: u16, sequence: u64) -> Arc<Instance> {
    let publication = PublicationId { publisher: 100, sequence };
    Arc::new(Instance { publication, ..Instance::new(address(port), "account") })
}

fn holder(session: u64) -> Holder {
    Holder { server: session % 2, session }
}

fn published(port: u16, sequence: u64, session: u64) -> Event {
    Event::Published { instance: instance(port, sequence), holder: holder(session) }
}

fn withdrawn(port: u16, sequence: u64) -> Event {
    Event::Withdrawn { address: address(port), publication: PublicationId { publisher: 100, sequence } }
}

fn closed(session: u64) -> Event {
    Event::SessionClosed { holder: holder(session), by_peer: true }
}

/// A list past its grace with `count` instances, each reached and each held by the session of its port.
fn list_of(count: u16, now: Instant) -> ServiceList {
    let mut list = ServiceList::new(START, now, now);
    for port in 1..=count {
        assert!(list.apply(published(port, 1, port.into()), now).contains(&Effect::Probe(address(port))));
        list.apply(Event::ProbeSucceeded { address: address(port) }, now);
    }
    list
}

fn ports(list: &ServiceList) -> Vec<u16> {
    list.list().instances.iter().map(|instance| instance.address.port()).collect()
}

fn orphans(list: &ServiceList) -> Vec<u16> {
    list.orphans().map(|address| address.port()).collect()
}

#[test]
fn one_table_of_what_is_evidence() {
    let by_nobody = Event::SessionClosed { holder: holder(1), by_peer: false };
    for (what, instances, events, left, orphaned) in [
        ("one close is believed at once", 3, vec![closed(1)], vec![2, 3], vec![]),
        ("the only instance may close too", 1, vec![closed(1)], vec![], vec![]),
        ("a close by our own end says nothing", 3, vec![by_nobody], vec![1, 2, 3], vec![1]),
        ("two of three are too many: the first comes back", 3, vec![closed(1), closed(2)], vec![1, 2, 3], vec![1, 2]),
        ("two of ten are a fifth, not more", 10, vec![closed(1), closed(2)], vec![3, 4, 5, 6, 7, 8, 9, 10], vec![]),
        ("a third makes them too many", 10, vec![closed(1), closed(2), closed(3)], (1..=10).collect(), vec![1, 2, 3]),
        (
            "a server's death says nothing about its clients",
            4,
            vec![Event::ServerDied { server: 1 }],
            vec![1, 2, 3, 4],
            vec![1, 3],
        ),
        ("a withdrawal is believed", 3, vec![withdrawn(1, 1), withdrawn(2, 1)], vec![3], vec![]),
        ("a withdrawal of an older publication is late", 3, vec![published(1, 5, 9), withdrawn(1, 1)], vec![1, 2, 3], vec![]),
        (
            "a withdrawn publication does not come back by a late repeat",
            3,
            vec![withdrawn(1, 1), published(1, 1, 1)],
            vec![2, 3],
            vec![],
        ),
        (
            "nor after a late withdrawal of one before it",
            3,
            vec![published(1, 5, 9), withdrawn(1, 5), withdrawn(1, 1), published(1, 5, 9)],
            vec![2, 3],
            vec![],
        ),
        ("a newer one does", 3, vec![withdrawn(1, 1), published(1, 2, 1)], vec![1, 2, 3], vec![]),
        ("a withdrawal explains the close that follows", 3, vec![withdrawn(1, 1), closed(1), closed(2)], vec![3], vec![]),
        (
            "an orphan is held again once it is published",
            3,
            vec![closed(1), closed(2), published(1, 1, 8)],
            vec![1, 2, 3],
            vec![2],
        ),
        ("an orphan leaves by deregistration", 3, vec![closed(1), closed(2), withdrawn(1, 1)], vec![2, 3], vec![2]),
        ("the late close of the old session changes nothing", 3, vec![published(1, 2, 9), closed(1)], vec![1, 2, 3], vec![]),
        ("nor does it when the same publication moved", 3, vec![published(1, 1, 9), closed(1)], vec![1, 2, 3], vec![]),
        (
            "what another server pushed last stays",
            1,
            vec![Event::Inherited { instances: vec![instance(1, 1), instance(2, 1)] }],
            vec![1, 2],
            vec![2],
        ),
    ] {
        let now = Instant::now();
        let mut list = list_of(instances, now);
        for event in events {
            list.apply(event, now);
        }
        assert_eq!((ports(&list), orphans(&list)), (left, orphaned), "{what}");
    }
}

#[test]
fn closes_further_apart_than_the_window_are_believed_one_by_one() {
    let now = Instant::now();
    let mut list = list_of(3, now);
    list.apply(closed(1), now);
    list.apply(closed(2), now + CLOSE_WINDOW + Duration::from_millis(1));
    assert_eq!((ports(&list), orphans(&list)), (vec![3], vec![]));
}

#[test]
fn an_older_publication_is_refused_and_told_which_one_stands() {
    let now = Instant::now();
    let mut list = list_of(1, now);
    list.apply(published(1, 5, 2), now);
    let stands = PublicationId { publisher: 100, sequence: 5 };
    assert_eq!(list.apply(published(1, 4, 3), now), [Effect::Superseded(stands)]);
}

#[test]
fn an_orphan_gives_way_to_a_process_whose_clock_was_set_back_and_takes_the_place_again_when_it_lives() {
    let now = Instant::now();
    let mut list = list_of(1, now);
    list.apply(published(1, 5, 2), now);
    list.apply(Event::SessionClosed { holder: holder(2), by_peer: false }, now);
    assert_eq!(orphans(&list), [1]);
    let sequence = |list: &ServiceList| list.list().instances[0].publication.sequence;
    let effects = list.apply(published(1, 4, 3), now);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Superseded(_))), "{effects:?}");
    assert_eq!((orphans(&list), sequence(&list)), (vec![], 4));
    list.apply(published(1, 5, 4), now);
    assert_eq!(sequence(&list), 5);
}

#[test]
fn an_orphan_leaves_after_two_failed_probes_and_no_sooner() {
    let now = Instant::now();
    let mut list = list_of(2, now);
    list.apply(closed(1), now);
    let effects = list.apply(closed(2), now);
    assert!(effects.contains(&Effect::Probe(address(1))) && effects.contains(&Effect::Probe(address(2))));
    list.apply(Event::ProbeFailed { address: address(1) }, now);
    list.apply(Event::ProbeSucceeded { address: address(2) }, now);
    assert_eq!(ports(&list), [1, 2]);
    assert_eq!(list.next_timer(), Some(now + PROBE_PAUSE));
    let later = now + PROBE_PAUSE;
    assert_eq!(list.apply(Event::Tick, later), [Effect::Probe(address(1))]);
    list.apply(Event::ProbeFailed { address: address(1) }, later);
    assert_eq!((ports(&list), orphans(&list)), (vec![2], vec![2]));
}

#[test]
fn a_server_that_never_reached_an_address_removes_it_only_after_ten_minutes() {
    let now = Instant::now();
    let mut list = ServiceList::new(START, now, now);
    list.apply(Event::Inherited { instances: vec![instance(1, 1)] }, now);
    for round in 0..20 {
        list.apply(Event::ProbeFailed { address: address(1) }, now + PROBE_AGAIN * round);
        list.apply(Event::Tick, now + PROBE_AGAIN * (round + 1));
    }
    assert_eq!(ports(&list), [1]);
    list.apply(Event::Tick, now + ORPHAN_LIFE);
    assert!(list.is_empty());
}

#[test]
fn an_instance_that_was_brought_back_is_probed_again() {
    let now = Instant::now();
    let mut list = ServiceList::new(START, now, now);
    for port in 1..=2 {
        list.apply(published(port, 1, port.into()), now);
    }
    list.apply(closed(1), now);
    list.apply(Event::ProbeSucceeded { address: address(1) }, now);
    assert!(list.apply(closed(2), now).contains(&Effect::Probe(address(1))));
}

#[test]
fn a_list_is_incomplete_until_its_grace_ends_or_all_it_inherited_is_accounted_for() {
    let now = Instant::now();
    let ends = now + Duration::from_secs(10);
    let mut list = ServiceList::new(START, ends, now);
    assert_eq!((list.list().complete, list.next_timer()), (false, Some(ends)));
    let effects = list.apply(Event::Tick, ends);
    assert!(matches!(&effects[..], [Effect::Changed(delta)] if delta.complete && delta.changes.is_empty()));

    let mut list = ServiceList::new(START, ends, now);
    list.apply(Event::Inherited { instances: vec![instance(1, 1)] }, now);
    assert!(!list.list().complete);
    list.apply(published(1, 1, 1), now);
    assert!(list.list().complete);
}

#[test]
fn a_list_is_forgotten_only_when_nothing_is_lost_with_it() {
    let now = Instant::now();
    let mut list = list_of(1, now);
    assert!(!list.is_forgettable(now));
    list.apply(withdrawn(1, 1), now);
    assert!(!list.is_forgettable(now));
    assert!(list.is_forgettable(now + WITHDRAWN_KEPT + Duration::from_millis(1)));
}

/// What a test knows by itself about the evidence for one address.
#[derive(Default)]
struct Evidence {
    /// Sessions that published it and have not ended, as far as their ends were told.
    sessions: BTreeSet<u64>,
    reached: bool,
    failed: u32,
    last_session: Option<Instant>,
}

proptest! {
    /// Publications, closes, deaths, probes and time in any order: a subscriber that applies the deltas has the truth at every
    /// step, versions only grow, and whoever leaves has left by one of the four ways.
    #[test]
    fn no_list_shrinks_without_evidence_and_deltas_give_the_truth(
        steps in proptest::collection::vec((0u8..8, 1u16..7, 1u64..9, 0u64..3_000), 1..120)
    ) {
        let mut now = Instant::now();
        let mut list = ServiceList::new(START, now + Duration::from_secs(5), now);
        let mut mirror = list.list();
        let mut known: BTreeMap<u16, Evidence> = BTreeMap::new();
        for (kind, port, number, millis) in steps {
            now += Duration::from_millis(if kind == 7 && number == 8 { 700_000 } else { millis });
            let evidence = known.entry(port).or_default();
            let event = match kind {
                0 | 1 => published(port, u64::from(kind) + 1, number),
                2 => withdrawn(port, 2),
                3 => Event::SessionClosed { holder: holder(number), by_peer: true },
                4 => Event::SessionClosed { holder: holder(number), by_peer: false },
                5 => { evidence.reached = true; evidence.failed = 0; Event::ProbeSucceeded { address: address(port) } }
                6 => { evidence.failed += 1; Event::ProbeFailed { address: address(port) } }
                _ if number == 1 => Event::ServerDied { server: 1 },
                _ => Event::Tick,
            };
            let before = list.list().instances.len();
            let effects = list.apply(event.clone(), now);
            let taken = matches!(kind, 0 | 1) && !effects.iter().any(|effect| matches!(effect, Effect::Superseded(_)));
            if taken {
                let evidence = known.entry(port).or_default();
                evidence.sessions.insert(number);
                (evidence.failed, evidence.last_session) = (0, Some(now));
            }
            let mut removed = Vec::new();
            for effect in effects {
                if let Effect::Changed(delta) = effect {
                    prop_assert!(delta.to > delta.from);
                    removed.extend(delta.changes.iter().filter_map(|change| match change {
                        Change::Removed(address) => Some(address.port()),
                        _ => None,
                    }));
                    mirror = mirror.apply(&delta).map_err(|gap| TestCaseError::fail(gap.to_string()))?;
                }
            }
            prop_assert_eq!(&mirror, &list.list());
            for gone in &removed {
                let evidence = &known[gone];
                let is_evidence = match event {
                    Event::Withdrawn { address, .. } => address.port() == *gone,
                    Event::SessionClosed { holder, by_peer } => {
                        let few = removed.len() == 1 || removed.len() * 5 <= before;
                        by_peer && few && evidence.sessions.contains(&holder.session)
                    }
                    Event::ProbeFailed { address } => address.port() == *gone && evidence.reached && evidence.failed >= 2,
                    Event::Tick => evidence.last_session.is_some_and(|last| now >= last + ORPHAN_LIFE),
                    _ => false,
                };
                prop_assert!(is_evidence, "{gone} left by {event:?}");
            }
            if let Event::SessionClosed { holder, .. } = event {
                known.values_mut().for_each(|evidence| { evidence.sessions.remove(&holder.session); });
            }
        }
    }
}
