//! Whether the peer is still there: asked by a heartbeat when it has said nothing for a while.
//!
//! A machine that loses power closes nothing, and whoever only listens to it would listen for ever. Any byte from the peer is a
//! sign of life. A connection on which nobody waits for anything is left alone. While this end does not listen, because too much
//! is under way, silence means nothing; the peer is still spoken to, so that it does not give up this end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use settee_core::Instant;
use tokio::time::{Sleep, sleep_until};

/// A peer that says nothing for so long is asked: rare enough to cost nothing on a connection that is used.
const QUIET: Duration = Duration::from_secs(1);

/// How long it may take to answer: a long pause of a loaded process, well below the deadline of most calls.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What to do about the peer now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing.
    Rest,
    /// Send it a heartbeat.
    Ask,
    /// It did not answer: the connection is dead.
    Dead,
}

/// The peer's signs of life.
pub(super) struct Pulse {
    heard: Instant,
    asked: Option<Instant>,
    expecting: bool,
    timer: Pin<Box<Sleep>>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { heard: now, asked: None, expecting: false, timer: Box::pin(sleep_until(now + QUIET)) }
    }

    /// The peer said something.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
        self.asked = None;
    }

    /// To be called at every poll, with whether anybody waits for the peer, and whether everything it says is listened to. The
    /// timer is moved only when it fires.
    pub(super) fn beat(&mut self, expecting: bool, listening: bool, context: &mut Context<'_>) -> Beat {
        if !std::mem::replace(&mut self.expecting, expecting) && expecting {
            self.heard();
            self.timer.as_mut().reset(self.heard + QUIET);
        }
        while expecting && self.timer.as_mut().poll(context).is_ready() {
            let (now, due) = (Instant::now(), self.due());
            if listening && now >= due && self.asked.is_some() {
                return Beat::Dead;
            }
            if !listening {
                self.heard();
            } else if now >= due {
                self.asked = Some(now);
            }
            let next = self.due();
            self.timer.as_mut().reset(next);
            if !listening || now >= due {
                let _registered: Poll<()> = self.timer.as_mut().poll(context);
                return Beat::Ask;
            }
        }
        Beat::Rest
    }

    fn due(&self) -> Instant {
        self.asked.map_or(self.heard + QUIET, |asked| asked + ANSWER_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_asked_once_and_then_given_up_and_any_byte_saves_it() {
        let mut pulse = Pulse::new();
        let at = async |pulse: &mut Pulse, millis, expecting| {
            tokio::time::advance(Duration::from_millis(millis)).await;
            pulse.beat(expecting, true, &mut Context::from_waker(Waker::noop()))
        };
        assert_eq!(at(&mut pulse, 60_000, false).await, Beat::Rest, "nobody waits");
        assert_eq!(at(&mut pulse, 0, true).await, Beat::Rest);
        assert_eq!(at(&mut pulse, 1_001, true).await, Beat::Ask);
        assert_eq!(at(&mut pulse, 2_990, true).await, Beat::Rest);
        pulse.heard();
        assert_eq!(at(&mut pulse, 990, true).await, Beat::Rest);
        assert_eq!(at(&mut pulse, 20_000, true).await, Beat::Ask, "this end was paused: the peer gets its time");
        assert_eq!(at(&mut pulse, 2_990, true).await, Beat::Rest);
        assert_eq!(at(&mut pulse, 20, true).await, Beat::Dead);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_listen_judges_nobody_and_keeps_speaking() {
        let mut pulse = Pulse::new();
        let mut deaf = |expecting| pulse.beat(expecting, false, &mut Context::from_waker(Waker::noop()));
        assert_eq!(deaf(true), Beat::Rest);
        for _ in 0..20 {
            tokio::time::advance(Duration::from_millis(1_001)).await;
            assert_eq!(deaf(true), Beat::Ask);
        }
        assert_eq!(pulse.beat(true, true, &mut Context::from_waker(Waker::noop())), Beat::Rest, "judged anew");
    }
}
