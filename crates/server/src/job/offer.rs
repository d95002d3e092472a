//! Offering a slice to its worker: under the lock who is asked, outside it the call, and what its end means.

use settee::job::protocol;
use settee_core::error::{Certainty, ErrorKind};
use settee_core::job::run::{Event, RunState};
use settee_core::job::{Answer, Assignment, Run, RunId, Worker};
use settee_core::registry::InstanceList;
use settee_core::{Context, Error, Instant, Timestamp};

use super::agenda::Item;
use super::memory::{LOOK_AGAIN, Memory, Sending};
use super::record::shard_of;
use super::workers::{Standing, choose, died, standing};

/// What a slice needs next.
enum Need {
    Nothing,
    Time(Timestamp),
    Worker,
    Burial(Worker),
    Call,
}

impl Memory {
    /// Brings a slice one step nearer to its worker.
    pub(super) fn offer(&mut self, id: &RunId, now: Timestamp) {
        let trust_absence = Instant::now() >= self.trust_absence_at;
        let token = self.shards.token(shard_of(&id.job));
        let Some(entry) = self.jobs.get_mut(&id.job) else { return };
        let list = entry.instances();
        if entry.gives_turn_back(id.due, now) {
            self.agenda.set(Item::Fire(id.job.clone(), id.due), id.due);
            return self.next_turn(&id.job, now);
        }
        let has_turn = entry.runs.get(&id.due).is_some_and(|group| group.fired);
        let Some(slot) = entry.slot(id).filter(|_| has_turn) else { return };
        match need(&slot.run, &list, trust_absence, now) {
            Need::Nothing => {}
            Need::Time(at) => self.agenda.set(Item::Offer(id.clone()), at),
            Need::Worker => {
                let turn = slot.offers.wrapping_add(slot.run.attempt - 1);
                let Some(worker) = choose(&list, id, slot.run.of, turn) else {
                    return self.agenda.set(Item::Offer(id.clone()), now.after(LOOK_AGAIN));
                };
                self.apply(id, Event::Assign(Assignment { worker, token }), now);
                self.apply(id, Event::Offer(token), now);
            }
            Need::Burial(worker) => self.apply(id, Event::Died(worker), now),
            Need::Call => self.apply(id, Event::Offer(token), now),
        }
    }
}

fn need(run: &Run, list: &InstanceList, trust_absence: bool, now: Timestamp) -> Need {
    let is_dead = |worker| match standing(list, worker) {
        Standing::Replaced => true,
        Standing::Absent => trust_absence,
        Standing::Listed | Standing::Unclear => false,
    };
    if let Some(at) = run.waits_until(now) {
        return Need::Time(at);
    }
    match run.state {
        RunState::Planned { assignment: None, .. } => Need::Worker,
        // Nobody offered it yet, so any doubt about the worker is enough to take another.
        RunState::Planned { assignment: Some(by), .. } if !run.doubt && standing(list, by.worker) != Standing::Listed => {
            Need::Burial(by.worker)
        }
        RunState::Planned { assignment: Some(by), .. } | RunState::Dispatched(by) if is_dead(by.worker) => {
            Need::Burial(by.worker)
        }
        RunState::Planned { assignment: Some(_), .. } | RunState::Dispatched(_) => Need::Call,
        _ => Need::Nothing,
    }
}

/// Makes an offer once its plan is durable, and tells what became of it. `None`: ownership was lost, and nothing was sent.
pub(super) async fn dispatch(sending: Sending) -> Option<(RunId, Event)> {
    let Sending { ticket, channel, worker, order, again } = sending;
    ticket.committed().await.ok()?;
    let call = Context::root("settee.Jobs").scope(protocol::offer(&channel, worker.address, &order));
    let event = tokio::select! {
        biased;
        answered = call => outcome(answered, worker, order.attempt, again),
        () = died(&channel, worker) => Event::Died(worker),
    };
    Some((order.id, event))
}

fn outcome(answered: Result<Answer, Error>, worker: Worker, attempt: u32, again: bool) -> Event {
    let error = match answered {
        Ok(answer) => return Event::Answered { worker, attempt, answer },
        Err(error) => error,
    };
    match (error.certainty(), error.kind()) {
        (Certainty::NotDone, _) => Event::NotTaken { worker, attempt, again },
        // The attempt's time and the margin are over, or the answer cannot be read: asking again gives no other.
        (Certainty::Unknown, ErrorKind::DeadlineExceeded) | (Certainty::Done, _) => Event::Silent { worker, attempt },
        (Certainty::Unknown, _) => Event::Lost { worker, attempt },
    }
}
