//! One lane: changes queue up, leave in groups, one group at a time.
//!
//! ```text
//!            submit                      Committed
//!   Idle ------------> InFlight ------------------------> Idle / next group
//!                      |  ^  |  Conflict after a doubt
//!   NotDone, Unknown   |  |  +----------------------> Checking --stamp is seq+1--> Idle / next group
//!   (send it again     +--+                            +---otherwise-------------> Lost
//!    unchanged)
//!                         Conflict without a doubt: Lost
//! ```
//! Every group compares the owner's incarnation and the lane's stamp `{incarnation, seq}`, and writes `seq + 1`. A group whose
//! outcome is Unknown is sent again unchanged until the stamp says whether it landed; nothing of the lane follows before.
//! Why one in flight: two pipelined groups overtook each other in 34 to 70 % of pairs against a real etcd: a cursor goes back.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::id::ShardId;
use crate::planted::Bug;
use crate::port::{Commit, Compare, Write};

/// Lanes of a server. Eight keep groups large and beats fast: see P1 for the figures with more.
pub const LANES: usize = 8;

/// Writes of one group at most: etcd takes 128 operations, and some are the lane's own.
const GROUP_WRITES: usize = 120;

/// Bytes of one group at most: etcd takes 1.5 MB.
const GROUP_BYTES: usize = 1 << 20;

/// The lane that `shard` stays in.
#[must_use]
pub fn lane_of(shard: ShardId) -> usize {
    usize::from(shard.0) % LANES
}

/// What is written together for one decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Conditions of write-once keys; others are not needed, the owner is alone.
    pub compares: Vec<Compare>,
    /// The writes.
    pub writes: Vec<Write>,
}

impl Change {
    /// A change that sets `key`.
    #[must_use]
    pub fn put(key: Bytes, value: Bytes) -> Self {
        Self { compares: Vec::new(), writes: vec![Write::Put(key, value)] }
    }

    /// The same change, which also sets `key`.
    #[must_use]
    pub fn and_put(mut self, key: Bytes, value: Bytes) -> Self {
        self.writes.push(Write::Put(key, value));
        self
    }

    /// The same change, which also sets `key` and must be the first to do so.
    #[must_use]
    pub fn and_put_once(mut self, key: Bytes, value: Bytes) -> Self {
        self.compares.push(Compare::Absent(key.clone()));
        self.and_put(key, value)
    }

    /// The same change, which also removes `key`.
    #[must_use]
    pub fn and_delete(mut self, key: Bytes) -> Self {
        self.writes.push(Write::Delete(key));
        self
    }

    fn bytes(&self) -> usize {
        self.writes.iter().map(Write::size).sum()
    }
}

/// Counts the changes of a lane: everything below a position is committed once the lane says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// Who a lane belongs to and how many groups it has committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneStamp {
    /// The owner's incarnation: drawn anew at every start.
    pub incarnation: u128,
    /// Groups committed.
    pub seq: u64,
}

impl LaneStamp {
    /// The stored bytes.
    #[must_use]
    pub fn to_bytes(self) -> Bytes {
        [&self.incarnation.to_be_bytes()[..], &self.seq.to_be_bytes()].concat().into()
    }
}

/// What became of a group that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupOutcome {
    /// It is durable.
    Committed,
    /// A compare did not hold.
    Conflict,
    /// It certainly did not happen.
    NotDone,
    /// Nobody knows.
    Unknown,
}

/// What the one who drives the lane does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until a change is submitted.
    Rest,
    /// Commit this; it was not sent before.
    Send(Commit),
    /// Commit this once more, after a pause.
    SendAgain(Commit),
    /// Read the lane's stamp and give it to [`Lane::stamp_read`].
    ReadStamp,
    /// Ownership is lost: nothing that is not committed may be answered.
    Lost,
}

/// The rule of one lane.
///
/// ```
/// use settee_core::shard::{Change, GroupOutcome, Lane, LaneStamp, Step};
///
/// let mut lane = Lane::new("owner".into(), "lane".into(), LaneStamp { incarnation: 7, seq: 0 });
/// let position = lane.submit(Change::put("transfer/1".into(), "begun".into()));
/// let Step::Send(group) = lane.send_next() else { panic!("nothing is in flight") };
/// assert_eq!(lane.ended(GroupOutcome::Unknown), Step::SendAgain(group), "nothing follows before its outcome is known");
/// assert_eq!(lane.ended(GroupOutcome::Committed), Step::Rest);
/// assert_eq!(lane.committed(), position);
/// ```
#[derive(Debug)]
pub struct Lane {
    owner_key: Bytes,
    stamp_key: Bytes,
    stamp: LaneStamp,
    waiting: VecDeque<Change>,
    waiting_bytes: usize,
    submitted: u64,
    committed: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle,
    InFlight(Group),
    Checking(Group),
    Lost,
}

#[derive(Debug)]
struct Group {
    commit: Commit,
    changes: u64,
    /// Whether an earlier sending may have landed.
    doubt: bool,
}

impl Lane {
    /// A lane of the owner whose incarnation is stored under `owner_key`, with `stamp` stored under `stamp_key`.
    #[must_use]
    pub fn new(owner_key: Bytes, stamp_key: Bytes, stamp: LaneStamp) -> Self {
        Self {
            owner_key,
            stamp_key,
            stamp,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            submitted: 0,
            committed: 0,
            state: State::Idle,
        }
    }

    /// Queues a change; it is committed once [`Lane::committed`] is at the returned position.
    pub fn submit(&mut self, change: Change) -> Position {
        self.waiting_bytes += change.bytes();
        self.waiting.push_back(change);
        self.submitted += 1;
        Position(self.submitted)
    }

    /// The position of the last change that was submitted.
    #[must_use]
    pub fn submitted(&self) -> Position {
        Position(self.submitted)
    }

    /// Everything up to this position is durable.
    #[must_use]
    pub fn committed(&self) -> Position {
        Position(self.committed)
    }

    /// The key of the stamp, for [`Step::ReadStamp`].
    #[must_use]
    pub fn stamp_key(&self) -> Bytes {
        self.stamp_key.clone()
    }

    /// Bytes that wait to be sent, for admission.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// The next group, if none is in flight.
    pub fn send_next(&mut self) -> Step {
        match &self.state {
            State::Lost => Step::Lost,
            State::InFlight(_) | State::Checking(_) => Step::Rest,
            State::Idle => match self.cut() {
                None => Step::Rest,
                Some(group) => {
                    let commit = group.commit.clone();
                    self.state = State::InFlight(group);
                    Step::Send(commit)
                }
            },
        }
    }

    /// What to do after the group in flight ended so.
    pub fn ended(&mut self, outcome: GroupOutcome) -> Step {
        match (std::mem::replace(&mut self.state, State::Lost), outcome) {
            (State::InFlight(group), GroupOutcome::Committed) => self.settle(&group),
            (State::InFlight(group), GroupOutcome::NotDone) => self.again(group),
            (State::InFlight(group), GroupOutcome::Unknown) if Bug::ForgetsUnknownGroup.is_planted() => self.settle(&group),
            (State::InFlight(group), GroupOutcome::Unknown) => self.again(Group { doubt: true, ..group }),
            (State::InFlight(group), GroupOutcome::Conflict) if group.doubt => {
                self.state = State::Checking(group);
                Step::ReadStamp
            }
            _ => Step::Lost,
        }
    }

    /// What to do after the lane's stamp was read as `bytes`.
    pub fn stamp_read(&mut self, bytes: Option<&[u8]>) -> Step {
        let State::Checking(group) = std::mem::replace(&mut self.state, State::Lost) else { return Step::Lost };
        // Any other stamp: not landed and yet in conflict, so someone else wrote what only the owner writes.
        if bytes == Some(&*self.next_stamp().to_bytes()) { self.settle(&group) } else { Step::Lost }
    }

    fn settle(&mut self, group: &Group) -> Step {
        self.committed += group.changes;
        self.stamp = self.next_stamp();
        self.state = State::Idle;
        self.send_next()
    }

    fn again(&mut self, group: Group) -> Step {
        let commit = group.commit.clone();
        self.state = State::InFlight(group);
        Step::SendAgain(commit)
    }

    fn next_stamp(&self) -> LaneStamp {
        LaneStamp { seq: self.stamp.seq + 1, ..self.stamp }
    }

    fn cut(&mut self) -> Option<Group> {
        let (mut commit, mut changes, mut bytes) = (Commit::default(), 0, 0);
        while let Some(change) = self.waiting.front() {
            let (more_writes, more_bytes) = (commit.writes.len() + change.writes.len(), bytes + change.bytes());
            if changes > 0 && (more_writes > GROUP_WRITES || more_bytes > GROUP_BYTES || overlaps(&commit, change)) {
                break;
            }
            let Some(change) = self.waiting.pop_front() else { break };
            bytes = more_bytes;
            changes += 1;
            commit.compares.extend(change.compares);
            commit.writes.extend(change.writes);
        }
        if changes == 0 {
            return None;
        }
        self.waiting_bytes -= bytes;
        let incarnation = Bytes::copy_from_slice(&self.stamp.incarnation.to_be_bytes());
        if !Bug::DropsIncarnation.is_planted() {
            commit.compares.push(Compare::Value(self.owner_key.clone(), incarnation));
            commit.compares.push(Compare::Value(self.stamp_key.clone(), self.stamp.to_bytes()));
        }
        commit.writes.push(Write::Put(self.stamp_key.clone(), self.next_stamp().to_bytes()));
        Some(Group { commit, changes, doubt: false })
    }
}

/// A commit names a key once: a second change of the same key goes into the next group, in order.
fn overlaps(commit: &Commit, change: &Change) -> bool {
    let named = |key: &Bytes| commit.writes.iter().any(|write| write.key() == key);
    change.writes.iter().any(|write| named(write.key()))
}

#[cfg(test)]
#[path = "lane_test.rs"]
mod tests;
