//! What the coordinator knows, behind one lock that is never held across an await: open transactions, their timers, and what
//! waits to be durable or to be sent. Every decision is made and submitted here, so the order of decisions is that of writes.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use settee::txn::XidRange;
use settee_core::id::{BranchId, FencingToken, Generation, SHARDS, ShardId, Xid};
use settee_core::planted::Bug;
use settee_core::shard::{LANES, lane_of};
use settee_core::trace::TraceContext;
use settee_core::txn::{Absence, Answer, Decision, Effect, Event, IllegalEvent, Register, State, Transaction};
use settee_core::{Error, Instant, Timestamp, env};
use tokio::sync::oneshot;

use super::ends::Ends;
use super::outbox::{Outbox, Sending};
use super::recent::{Recent, time_of};
use super::record::{self, Forgotten, LeaseMark};
use super::timers::{Due, TimerKey, Timers};
use crate::record::encode;
use crate::shard::{Change, Shards, Ticket};

/// Decisions that this ownership made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) committed: u64,
    pub(super) aborted: u64,
}

/// What follows once a write is durable.
pub(super) struct Settle {
    ticket: Option<Ticket>,
    xid: Xid,
    sends: Vec<Sending>,
    ends: bool,
}

impl Settle {
    /// Waits until the write is durable.
    pub(super) async fn durable(&mut self) -> Result<(), Error> {
        match self.ticket.take().filter(|_| !Bug::SendsBeforeDecision.is_planted()) {
            Some(ticket) => ticket.committed().await,
            None => Ok(()),
        }
    }
}

/// What phase two of one branch needs.
pub(super) struct Addressed {
    pub(super) route: Option<String>,
    pub(super) token: FencingToken,
    pub(super) trace: Option<TraceContext>,
}

pub(super) struct Memory {
    shards: Shards,
    open: BTreeMap<Xid, Open>,
    /// Xids that are being looked for in the store: none of them may leave memory meanwhile, or it would seem never begun.
    looked_for: BTreeMap<Xid, usize>,
    settling: [VecDeque<Settle>; LANES],
    leases: Vec<LeaseMark>,
    forgotten: Vec<Forgotten>,
    pub(super) timers: Timers,
    pub(super) outbox: Outbox,
    pub(super) tally: Tally,
    pub(super) recent: Recent,
    ends: Ends,
}

struct Open {
    transaction: Transaction,
    deadline: Option<TimerKey>,
    /// Its end is durable: it may leave.
    may_leave: bool,
}

impl Memory {
    pub(super) fn new(shards: Shards, recent: Recent) -> Self {
        Self {
            shards,
            open: BTreeMap::new(),
            looked_for: BTreeMap::new(),
            settling: std::array::from_fn(|_| VecDeque::new()),
            leases: vec![LeaseMark::default(); SHARDS],
            forgotten: vec![Forgotten::default(); SHARDS],
            timers: Timers::default(),
            outbox: Outbox::default(),
            tally: Tally::default(),
            recent,
            ends: Ends::default(),
        }
    }

    pub(super) fn load_marks(&mut self, shard: ShardId, lease: LeaseMark, forgotten: Forgotten) {
        self.leases[usize::from(shard.0)] = lease;
        self.forgotten[usize::from(shard.0)] = forgotten;
    }

    /// Takes over a transaction that an earlier owner left open.
    pub(super) fn load(&mut self, transaction: Transaction, now: Timestamp) -> Result<(), IllegalEvent> {
        let xid = transaction.xid();
        let owner = self.shards.token(xid.shard());
        self.insert(transaction);
        self.apply(xid, Event::Restarted { owner }, now).map(|_| ())
    }

    pub(super) fn transaction(&self, xid: Xid) -> Option<&Transaction> {
        self.open.get(&xid).map(|open| &open.transaction)
    }

    /// All that are in memory, in the order of their xids.
    pub(super) fn all(&self) -> impl Iterator<Item = &Transaction> {
        self.open.values().map(|open| &open.transaction)
    }

    /// The transactions behind `after` in one shard, in order.
    pub(super) fn of_shard(&self, shard: ShardId, after: Option<Xid>) -> impl Iterator<Item = &Transaction> {
        let first = Xid::new(shard, Generation(0), 0, 0);
        let from = after.map_or(Bound::Included(first), |after| Bound::Excluded(after.max(first)));
        let behind = self.open.range((from, Bound::Unbounded)).map(|(_, open)| &open.transaction);
        behind.take_while(move |transaction| transaction.xid().shard() == shard)
    }

    /// How many are open, and how many of them are parked.
    pub(super) fn count_open(&self) -> (u64, u64) {
        let states = self.open.values().map(|open| open.transaction.state());
        states
            .filter(|state| !state.is_terminal())
            .fold((0, 0), |(open, parked), state| (open + 1, parked + u64::from(state.is_parked())))
    }

    /// How many are in memory.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// An xid of which neither memory nor store has a record. It stays only if the event that follows makes one.
    pub(super) fn insert_absent(&mut self, xid: Xid) {
        let token = self.shards.token(xid.shard());
        let absence = Absence::judge(xid, token.generation, self.forgotten(xid.shard()).mark);
        self.insert(Transaction::absent(xid, token, absence));
    }

    pub(super) fn remove_if_absent(&mut self, xid: Xid) {
        if self.transaction(xid).is_some_and(|transaction| transaction.state() == State::Absent) {
            self.open.remove(&xid);
        }
    }

    /// Applies the rule, submits what it writes, and arranges for everything that follows from it. The answer, if there is one,
    /// may leave when a ticket taken now is committed.
    pub(super) fn apply(&mut self, xid: Xid, event: Event, now: Timestamp) -> Result<Option<Answer>, IllegalEvent> {
        self.pass_deadline(xid, &event, now)?;
        let Some(open) = self.open.get_mut(&xid) else { return Ok(None) };
        let before = time_of(&open.transaction);
        let effects = open.transaction.apply(event, now)?;
        self.recent.changed(xid, before, time_of(&open.transaction));
        let change = record::change(&open.transaction, &effects);
        let written = change.map(|change| self.shards.submit(xid.shard(), change));
        if effects.contains(&Effect::Persist(Register::Decision)) {
            self.decided(xid);
        }
        let answer = self.arrange(xid, written, effects);
        if self.transaction(xid).is_some_and(|transaction| transaction.state().is_terminal() || transaction.state().is_parked()) {
            self.ends.reached(xid);
        }
        Ok(answer)
    }

    /// A wait for the end of a transaction that is under way; `None` when there is nothing to wait for.
    pub(super) fn wait_for_end(&mut self, xid: Xid) -> Option<oneshot::Receiver<()>> {
        let state = self.transaction(xid)?.state();
        let is_under_way = !(state.is_terminal() || state.is_parked() || state == State::Absent);
        is_under_way.then(|| self.ends.wait(xid))
    }

    /// A decision that is asked for after the deadline finds the deadline first (R1), however late the timer is.
    fn pass_deadline(&mut self, xid: Xid, event: &Event, now: Timestamp) -> Result<(), IllegalEvent> {
        let deadline = self.open.get(&xid).and_then(|open| open.deadline);
        let is_over = deadline.is_some_and(|deadline| deadline.at() <= Instant::now());
        if is_over && matches!(event, Event::Decide { .. }) {
            self.cancel_deadline(xid);
            self.apply(xid, Event::DeadlinePassed, now)?;
        }
        Ok(())
    }

    fn arrange(&mut self, xid: Xid, written: Option<Ticket>, effects: Vec<Effect>) -> Option<Answer> {
        let (mut answer, mut sends, mut ends) = (None, Vec::new(), false);
        for effect in effects {
            match effect {
                Effect::Persist(_) => {}
                Effect::Answer(given) => answer = Some(given),
                Effect::DeadlineIn(wait) => self.set_deadline(xid, wait),
                Effect::RetryIn { branch, wait } => {
                    self.timers.add(Instant::now() + jittered(wait), Due::Retry(xid, branch));
                }
                Effect::Send { branch, decision, .. } => sends.push(Sending { xid, branch, decision }),
                Effect::Alarm(alarm) => tracing::error!(%xid, ?alarm, "a transaction is parked and waits for an operator"),
                Effect::End => ends = true,
            }
        }
        if ends || !sends.is_empty() {
            let ticket = written.unwrap_or_else(|| self.shards.observe(xid.shard()));
            self.settling[lane_of(xid.shard())].push_back(Settle { ticket: Some(ticket), xid, sends, ends });
        }
        answer
    }

    fn decided(&mut self, xid: Xid) {
        self.cancel_deadline(xid);
        match self.transaction(xid).and_then(Transaction::decision).map(|register| register.decision) {
            Some(Decision::Commit) => self.tally.committed += 1,
            Some(Decision::Abort) => self.tally.aborted += 1,
            None => {}
        }
    }

    fn set_deadline(&mut self, xid: Xid, wait: Duration) {
        let key = self.timers.add(Instant::now() + wait, Due::Deadline(xid));
        if let Some(open) = self.open.get_mut(&xid) {
            open.deadline = Some(key);
        }
    }

    fn cancel_deadline(&mut self, xid: Xid) {
        if let Some(key) = self.open.get_mut(&xid).and_then(|open| open.deadline.take()) {
            self.timers.cancel(key);
        }
    }

    /// The next write of a lane whose durability something waits for.
    pub(super) fn next_settle(&mut self, lane: usize) -> Option<Settle> {
        self.settling[lane].pop_front()
    }

    /// The write of `settle` is durable: what follows from it may leave.
    pub(super) fn settled(&mut self, settle: Settle) {
        let Settle { xid, sends, ends, .. } = settle;
        for sending in sends {
            let register = self.open.get(&xid).and_then(|open| open.transaction.decision());
            let listed = register.and_then(|register| register.branches.iter().find(|listed| listed.branch == sending.branch));
            if let Some(service) = listed.map(|listed| listed.service.clone()) {
                self.outbox.push(&service, sending);
            }
        }
        if ends {
            if let Some(open) = self.open.get_mut(&xid) {
                open.may_leave = true;
            }
            self.let_leave(xid);
        }
    }

    /// Where phase two of a branch goes; `None` if it is no longer wanted.
    pub(super) fn address(&self, xid: Xid, branch: &BranchId) -> Option<Addressed> {
        let transaction = self.transaction(xid)?;
        let is_open = transaction.progress().branches.get(branch)?.is_open() && transaction.progress().closing.is_none();
        let listed = transaction.decision()?.branches.iter().find(|listed| listed.branch == *branch)?;
        let trace = transaction.progress().begun.as_ref().and_then(|begun| begun.trace);
        is_open.then(|| Addressed { route: listed.route.clone(), token: transaction.progress().owner, trace })
    }

    pub(super) fn look_for(&mut self, xid: Xid) {
        *self.looked_for.entry(xid).or_default() += 1;
    }

    pub(super) fn looked_for(&mut self, xid: Xid) {
        if let Some(lookers) = self.looked_for.get_mut(&xid) {
            *lookers -= 1;
            if *lookers == 0 {
                self.looked_for.remove(&xid);
                self.let_leave(xid);
            }
        }
    }

    fn let_leave(&mut self, xid: Xid) {
        let may_leave = self.open.get(&xid).is_some_and(|open| open.may_leave);
        if may_leave && !self.looked_for.contains_key(&xid) {
            self.open.remove(&xid);
        }
    }

    /// Leases counters of one shard; they may be used when a ticket taken now is committed.
    pub(super) fn lease(&mut self, shard: ShardId, count: u32, valid: Duration) -> XidRange {
        let mark = &mut self.leases[usize::from(shard.0)];
        let first = mark.next;
        mark.next = mark.next.saturating_add(u64::from(count));
        let _observed_by_the_caller = self.shards.submit(shard, Change::put(record::lease_key(shard), encode(mark)));
        let valid_ms = u64::try_from(valid.as_millis()).unwrap_or(u64::MAX);
        XidRange { shard, generation: self.shards.token(shard).generation, first, count, valid_ms }
    }

    pub(super) fn forgotten(&self, shard: ShardId) -> Forgotten {
        self.forgotten[usize::from(shard.0)]
    }

    /// Forgets transactions of one shard: the mark rises in the same group that deletes their records.
    pub(super) fn forget(&mut self, shard: ShardId, forgotten: Forgotten, deletes: Change) -> Ticket {
        self.forgotten[usize::from(shard.0)] = forgotten;
        self.shards.submit(shard, deletes.and_put(record::forgotten_key(shard), encode(&forgotten)))
    }

    pub(super) fn all_forgotten(&self) -> Tally {
        let add = |tally: Tally, more: &Forgotten| Tally {
            committed: tally.committed + more.committed,
            aborted: tally.aborted + more.aborted,
        };
        self.forgotten.iter().fold(Tally::default(), add)
    }

    /// Knows of a transaction. Nothing follows from that by itself.
    pub(super) fn insert(&mut self, transaction: Transaction) {
        self.recent.changed(transaction.xid(), None, time_of(&transaction));
        self.open.insert(transaction.xid(), Open { transaction, deadline: None, may_leave: false });
    }
}

/// Between three quarters and five quarters of `wait`: branches that failed together are not all retried together.
fn jittered(wait: Duration) -> Duration {
    wait * 3 / 4 + env::random_duration(wait / 2)
}
