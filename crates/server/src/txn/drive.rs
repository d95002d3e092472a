//! The tasks behind the answers: settlers wait for durability, the driver sends phase two, the timer fires what is due.
//!
//! Each is one task (settlers: one a lane) for all transactions, so a hundred thousand open ones cost memory, not tasks.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use settee::rpc::RouteKey;
use settee::txn::{PhaseTwo, answers};
use settee_core::id::Xid;
use settee_core::txn::Event;
use settee_core::{Instant, env};

use super::coordinator::Inner;
use super::outbox::Sending;
use super::timers::Due;

/// Timers fired before others get the lock: after an outage thousands are due at once.
const TIMERS_AT_ONCE: usize = 256;

/// Waits for the writes of one lane in their order, and lets go what waited for them. Ends with the ownership.
pub(super) async fn settle(inner: &Inner, lane: usize) {
    loop {
        let next = inner.memory.lock().next_settle(lane);
        let Some(mut settle) = next else {
            inner.wake_settlers[lane].notified().await;
            continue;
        };
        if settle.durable().await.is_err() {
            return;
        }
        inner.memory.lock().settled(settle);
        inner.wake_driver.notify_one();
    }
}

/// Sends phase two, as much at once as each service may take.
pub(super) async fn send(inner: &Inner) {
    let mut calls = FuturesUnordered::new();
    loop {
        while let Some((service, sending)) = take(inner) {
            calls.push(send_one(inner, service, sending));
        }
        tokio::select! {
            () = inner.wake_driver.notified() => {}
            Some(()) = calls.next(), if !calls.is_empty() => {}
        }
    }
}

fn take(inner: &Inner) -> Option<(String, Sending)> {
    inner.memory.lock().outbox.take()
}

async fn send_one(inner: &Inner, service: String, sending: Sending) {
    let Sending { xid, branch, decision } = sending;
    let addressed = inner.memory.lock().address(xid, &branch);
    let outcome = match addressed {
        None => None,
        Some(addressed) => {
            let message = PhaseTwo { xid, branch: branch.clone(), decision, token: addressed.token };
            let route = addressed.route.as_deref().map(RouteKey::new);
            let call = inner.participants.phase_two(&service, route, message);
            Some(answers::outcome(answers::phase_two_context(addressed.trace).scope(call).await))
        }
    };
    inner.memory.lock().outbox.landed(&service);
    if let Some(outcome) = outcome {
        apply(inner, xid, Event::BranchAnswered { branch, outcome });
    }
}

/// Fires deadlines and retries when they are due.
pub(super) async fn fire_timers(inner: &Inner) {
    loop {
        let fired = (0..TIMERS_AT_ONCE).map_while(|_| fire_one(inner)).count();
        if fired == TIMERS_AT_ONCE {
            tokio::task::yield_now().await;
            continue;
        }
        let next = inner.memory.lock().timers.next();
        match next {
            None => inner.wake_timer.notified().await,
            Some(at) => tokio::select! {
                () = inner.wake_timer.notified() => {}
                () = tokio::time::sleep_until(at) => {}
            },
        }
    }
}

fn fire_one(inner: &Inner) -> Option<()> {
    let due = inner.memory.lock().timers.take(Instant::now())?;
    match due {
        Due::Deadline(xid) => apply(inner, xid, Event::DeadlinePassed),
        Due::Retry(xid, branch) => apply(inner, xid, Event::BranchRetryDue { branch }),
    }
    Some(())
}

/// Applies what nobody waits for the answer of. A transaction that has left memory needs nothing any more.
fn apply(inner: &Inner, xid: Xid, event: Event) {
    let name = event.name();
    let (applied, _nobody_waits) = inner.change(xid, |memory| memory.apply(xid, event, env::wall_clock()));
    if let Err(illegal) = applied {
        tracing::error!(%xid, event = name, %illegal, "the coordinator broke its own rule");
    }
}
