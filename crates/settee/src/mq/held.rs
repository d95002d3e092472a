//! The topics of an outbox that the broker does not take now: each waits by itself, longer every time, so that none holds up another.
//!
//! A topic waits as a whole: its rows go out in their order or not at all, as the broker alone knows which keys share a partition.

use std::collections::BTreeMap;

use settee_core::Instant;
use settee_core::backoff::Backoff;
use settee_core::trouble::Trouble;

use super::client::backoff;

/// Topics that wait by themselves at most. When more are refused, it is the broker that is in trouble, and the relay waits as a
/// whole.
pub(super) const MAX_HELD: usize = 64;

/// The topics that are not published into before their time.
#[derive(Debug, Default)]
pub(super) struct HeldTopics(BTreeMap<String, Held>);

#[derive(Debug)]
struct Held {
    until: Instant,
    backoff: Backoff,
    trouble: Trouble,
}

/// What became of a topic that was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Holding {
    /// It waits, which is worth a line in the log.
    Said,
    /// It waits on, as was said before.
    Quiet,
    /// Too many wait.
    TooMany,
}

impl HeldTopics {
    /// The topics to leave out now.
    pub(super) fn names(&self, now: Instant) -> Vec<String> {
        self.0.iter().filter(|(_, held)| held.until > now).map(|(topic, _)| topic.clone()).collect()
    }

    /// When the next of those may be tried again.
    pub(super) fn next_try(&self, now: Instant) -> Option<Instant> {
        self.0.values().map(|held| held.until).filter(|until| *until > now).min()
    }

    /// Makes a topic that was refused wait, longer than the last time.
    pub(super) fn hold(&mut self, topic: &str, now: Instant) -> Holding {
        if self.0.len() >= MAX_HELD && !self.0.contains_key(topic) {
            return Holding::TooMany;
        }
        let new = || Held { until: now, backoff: backoff(), trouble: Trouble::default() };
        let held = self.0.entry(topic.to_owned()).or_insert_with(new);
        held.until = now + held.backoff.wait();
        if held.trouble.met(now) { Holding::Said } else { Holding::Quiet }
    }

    /// Takes note that a topic is taken again, or that nothing is there for it any more: whether it was held.
    pub(super) fn release(&mut self, topic: &str) -> bool {
        self.0.remove(topic).is_some()
    }

    /// Forgets the topics that may be tried and of which nothing is there: an operator removed their rows.
    pub(super) fn forget_empty(&mut self, now: Instant, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|topic, held| held.until > now || is_there(topic));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_topic_that_is_refused_again_and_again_waits_longer_and_is_spoken_of_once_a_minute() {
        let (mut held, mut now, mut said, mut waits) = (HeldTopics::default(), Instant::now(), 0, Vec::new());
        for _ in 0..60 {
            said += u32::from(held.hold("a", now) == Holding::Said);
            assert_eq!(held.names(now), ["a"]);
            let next = held.next_try(now).unwrap();
            waits.push(next.duration_since(now));
            now = next;
            assert!(held.names(now).is_empty(), "it may be tried");
        }
        assert!(waits[0] < waits[3] && waits[3] < waits[8], "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(2)), "{waits:?}");
        assert_eq!(said, 2, "in less than two minutes");
        assert!(held.release("a") && !held.release("a"));
    }

    #[test]
    fn what_is_remembered_of_topics_is_bounded_and_forgotten() {
        let (mut held, now) = (HeldTopics::default(), Instant::now());
        for number in 0..MAX_HELD {
            assert_eq!(held.hold(&number.to_string(), now), Holding::Said);
        }
        assert_eq!((held.hold("one more", now), held.hold("1", now)), (Holding::TooMany, Holding::Quiet));
        held.forget_empty(now, |_| false);
        assert_eq!(held.names(now).len(), MAX_HELD, "those that wait are not there because they were left out");
        held.forget_empty(now + Duration::from_secs(3), |topic| topic == "7");
        assert_eq!(held.0.keys().collect::<Vec<_>>(), ["7"]);
    }
}
