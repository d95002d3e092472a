//! The rule: one transaction, its two registers, and what every event does to them. The table is in the module's doc.

use std::collections::BTreeMap;
use std::time::Duration;

use super::branch::{Branch, BranchSummary, Done, Outcome, TryState};
use super::event::{Alarm, Answer, Begin, Close, Effect, Event, IllegalEvent, Register};
use super::register::{Begun, Cause, Closing, Decision, DecisionRegister, Progress, State};
use super::retry::{ATTEMPT_BUDGET, retry_wait};
use super::{Absence, MAX_BRANCHES, MAX_CONTEXT_BYTES, MAX_TIMEOUT, RESTART_GRACE};
use crate::id::{BranchId, FencingToken, Xid};
use crate::time::Timestamp;

type Applied = Result<Vec<Effect>, IllegalEvent>;

/// A global transaction, as its coordinator holds it.
///
/// ```
/// use settee_core::id::{FencingToken, Generation, ShardId, Xid};
/// use settee_core::txn::{Absence, Event, State, Transaction};
/// use settee_core::Timestamp;
///
/// let xid = Xid::new(ShardId(7), Generation(1), 42, 0xfeed);
/// let mut unheard_of = Transaction::absent(xid, FencingToken::default(), Absence::NeverBegun);
/// unheard_of.apply(Event::Inquired, Timestamp::EPOCH).unwrap();
/// assert_eq!(unheard_of.state(), State::Aborted);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    decision: Option<DecisionRegister>,
    progress: Progress,
    /// What it means that nothing is recorded; `None` as soon as something is.
    absence: Option<Absence>,
}

/// Registers that cannot have been written by this rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("restore transaction {xid}: {what}")]
pub struct DamagedRegisters {
    /// The transaction.
    pub xid: Xid,
    /// What is wrong.
    pub what: &'static str,
}

impl Transaction {
    /// A transaction of which there is no record, and what that means.
    #[must_use]
    pub fn absent(xid: Xid, owner: FencingToken, absence: Absence) -> Self {
        Self { decision: None, progress: empty_progress(xid, owner, 0), absence: Some(absence) }
    }

    /// A transaction from what was stored of it.
    ///
    /// # Errors
    /// The registers are both missing, or contradict each other.
    pub fn restore(xid: Xid, decision: Option<DecisionRegister>, progress: Option<Progress>) -> Result<Self, DamagedRegisters> {
        let damaged = |what| DamagedRegisters { xid, what };
        let stored =
            decision.as_ref().map(|decision| decision.xid).into_iter().chain(progress.as_ref().map(|progress| progress.xid));
        if !stored.clone().all(|stored| stored == xid) {
            return Err(damaged("a register belongs to another transaction"));
        }
        let mut progress = match (progress, &decision) {
            (Some(progress), _) => progress,
            (None, Some(decision)) => empty_progress(xid, decision.owner, decision.version),
            (None, None) => return Err(damaged("nothing is recorded")),
        };
        let listed = decision.as_ref().map(|decision| first_branches(decision, decision.at)).unwrap_or_default();
        if progress.branches.is_empty() {
            progress.branches = listed;
        } else if !progress.branches.keys().eq(listed.keys()) {
            return Err(damaged("progress and decision list different branches"));
        }
        Ok(Self { decision, progress, absence: None })
    }

    /// Its identity.
    #[must_use]
    pub fn xid(&self) -> Xid {
        self.progress.xid
    }

    /// The first register, once it is decided.
    #[must_use]
    pub fn decision(&self) -> Option<&DecisionRegister> {
        self.decision.as_ref()
    }

    /// The second register.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        let branches = &self.progress.branches;
        match self.decision.as_ref().map(|register| register.decision) {
            _ if self.absence.is_some() => State::Absent,
            _ if self.progress.closing.is_some() => State::ClosedByOperator,
            None if self.progress.begun.is_some() => State::Active,
            None => State::UnknownParked,
            Some(Decision::Commit) if branches.values().any(Branch::is_parked) => State::CommitParked,
            Some(Decision::Abort) if branches.values().any(Branch::is_parked) => State::AbortParked,
            Some(Decision::Commit) if branches.values().any(Branch::is_open) => State::Committing,
            Some(Decision::Abort) if branches.values().any(Branch::is_open) => State::Aborting,
            Some(Decision::Commit) => State::Committed,
            Some(Decision::Abort) => State::Aborted,
        }
    }

    /// What `event` does to it, and what the coordinator must do about it, in order. `now` is the wall clock, for records.
    ///
    /// # Errors
    /// The event cannot happen in this state, or is over a limit. The transaction is unchanged then.
    pub fn apply(&mut self, event: Event, now: Timestamp) -> Applied {
        let state = self.state();
        if let Some(absence) = self.absence {
            return self.apply_absent(absence, event, now);
        }
        match (state, event) {
            (_, Event::Begin(_) | Event::Decide { .. } | Event::Inquired) if state != State::Active => Ok(vec![self.standing()]),
            (State::Active, Event::Begin(_)) => Ok(vec![Effect::Answer(Answer::Begun)]),
            (State::Active, Event::Inquired) => Ok(vec![Effect::Answer(Answer::Undecided)]),
            (State::Active, Event::Decide { decision, branches }) => self.decide(decision, Cause::Application, branches, now),
            (State::Active, Event::DeadlinePassed) => {
                let effects = self.decide(Decision::Abort, Cause::Deadline, Vec::new(), now)?;
                Ok(effects.into_iter().filter(|effect| !matches!(effect, Effect::Answer(_))).collect())
            }
            (_, Event::DeadlinePassed) => Ok(Vec::new()),
            (State::Active | State::UnknownParked, event @ (Event::BranchAnswered { .. } | Event::BranchRetryDue { .. })) => {
                Err(IllegalEvent::NotInState { state, event: event.name() })
            }
            (_, Event::BranchAnswered { branch, outcome }) => self.branch_answered(branch, outcome, now),
            (_, Event::BranchRetryDue { branch }) => Ok(self.send(&branch).into_iter().collect()),
            (State::CommitParked | State::AbortParked, Event::OperatorResume) => Ok(self.resume()),
            (State::Committing | State::Aborting | State::CommitParked | State::AbortParked, Event::OperatorClose(close)) => {
                self.close(close, now)
            }
            (State::UnknownParked, Event::OperatorClose(close)) => self.close_unknown(close, now),
            (_, Event::Restarted { owner }) => Ok(self.restart(owner, now)),
            (state, event) => Err(IllegalEvent::NotInState { state, event: event.name() }),
        }
    }

    fn apply_absent(&mut self, absence: Absence, event: Event, now: Timestamp) -> Applied {
        match (absence, event) {
            (Absence::NeverBegun, Event::Begin(begin)) => self.begin(begin, now),
            (Absence::NeverBegun, Event::Inquired) => self.decide(Decision::Abort, Cause::Presumed, Vec::new(), now),
            (Absence::NeverBegun, Event::Decide { branches, .. }) => self.decide(Decision::Abort, Cause::Presumed, branches, now),
            (Absence::MayBeForgotten, Event::Begin(_) | Event::Inquired | Event::Decide { .. }) => {
                self.absence = None;
                let alarm = Effect::Alarm(Alarm::MayBeForgotten);
                Ok(vec![self.persist_progress(), alarm, Effect::Answer(Answer::Parked)])
            }
            (_, event) => Err(IllegalEvent::NotInState { state: State::Absent, event: event.name() }),
        }
    }

    fn begin(&mut self, begin: Begin, now: Timestamp) -> Applied {
        let reference = begin.reference.as_ref().map_or(0, String::len);
        let bytes = begin.name.len() + begin.application.len() + reference;
        if bytes > MAX_CONTEXT_BYTES {
            return Err(IllegalEvent::TooLarge { branches: 0, bytes });
        }
        let Begin { name, reference, application, timeout, trace } = begin;
        let timeout = timeout.min(MAX_TIMEOUT);
        self.absence = None;
        self.progress.begun = Some(Begun { name, reference, application, timeout, at: now, trace });
        Ok(vec![self.persist_progress(), Effect::DeadlineIn(timeout), Effect::Answer(Answer::Begun)])
    }

    /// Writes the decision register, the only time in the life of a transaction.
    fn decide(&mut self, wanted: Decision, cause: Cause, branches: Vec<BranchSummary>, now: Timestamp) -> Applied {
        check_list(&branches)?;
        let (decision, cause) = match (wanted, obstacle(&branches)) {
            (Decision::Commit, Some(obstacle)) => (Decision::Abort, obstacle),
            (wanted, _) => (wanted, cause),
        };
        self.write_decision(decision, cause, branches, now);
        let mut effects = vec![Effect::Persist(Register::Decision), self.standing()];
        effects.extend(self.send_open());
        effects.extend(self.end_if_finished(now));
        Ok(effects)
    }

    fn write_decision(&mut self, decision: Decision, cause: Cause, branches: Vec<BranchSummary>, now: Timestamp) {
        debug_assert!(self.decision.is_none(), "a decision is written once");
        self.absence = None;
        self.progress.version += 1;
        let Progress { xid, owner, version, .. } = self.progress;
        let register = DecisionRegister { xid, decision, cause, branches, at: now, owner, version };
        self.progress.branches = first_branches(&register, now);
        self.decision = Some(register);
    }

    fn branch_answered(&mut self, id: BranchId, outcome: Outcome, now: Timestamp) -> Applied {
        let commits = self.decision.as_ref().is_some_and(|register| register.decision == Decision::Commit);
        let closed = self.progress.closing.is_some();
        let Some(branch) = self.progress.branches.get_mut(&id) else { return Err(IllegalEvent::NoBranch { branch: id }) };
        let attempts = match branch {
            _ if closed => return Ok(Vec::new()),
            Branch::Done { .. } => return Ok(Vec::new()),
            Branch::Parked { .. } if !matches!(outcome, Outcome::Done(_)) => return Ok(Vec::new()),
            Branch::Open { attempts, .. } | Branch::Parked { attempts, .. } => attempts.saturating_add(1),
        };
        match outcome {
            Outcome::Done(Done::Empty) if commits => {
                Ok(self.park(id, attempts, "it was confirmed without a try".to_owned(), now))
            }
            Outcome::Done(how) => {
                *branch = Branch::Done { how, at: now };
                Ok(self.end_if_finished(now))
            }
            Outcome::Refused(why) => Ok(self.park(id, attempts, why, now)),
            Outcome::Unknown(why) if attempts >= ATTEMPT_BUDGET => Ok(self.park(id, attempts, why, now)),
            Outcome::Unknown(why) => {
                *branch = Branch::Open { attempts, trouble: Some(why) };
                Ok(vec![Effect::RetryIn { branch: id, wait: retry_wait(attempts) }])
            }
        }
    }

    fn park(&mut self, id: BranchId, attempts: u32, why: String, now: Timestamp) -> Vec<Effect> {
        self.progress.branches.insert(id.clone(), Branch::Parked { why: why.clone(), attempts, at: now });
        vec![self.persist_progress(), Effect::Alarm(Alarm::BranchParked { branch: id, why })]
    }

    fn resume(&mut self) -> Vec<Effect> {
        let parked: Vec<BranchId> = self.ids(Branch::is_parked);
        for id in &parked {
            self.progress.branches.insert(id.clone(), Branch::NEW);
        }
        let mut effects = vec![self.persist_progress(), Effect::Answer(Answer::Ordered)];
        effects.extend(parked.iter().filter_map(|id| self.send(id)));
        effects
    }

    fn close(&mut self, close: Close, now: Timestamp) -> Applied {
        if close.evidence.trim().is_empty() {
            return Err(IllegalEvent::Missing("evidence"));
        }
        self.progress.closing = Some(Closing { user: close.user, evidence: close.evidence, at: now });
        self.progress.ended_at = Some(now);
        Ok(vec![self.persist_progress(), Effect::Answer(Answer::Ordered), Effect::End])
    }

    fn close_unknown(&mut self, close: Close, now: Timestamp) -> Applied {
        let decision = close.decision.ok_or(IllegalEvent::Missing("the decision that participants are to be told"))?;
        let mut next = self.clone();
        next.write_decision(decision, Cause::Operator, Vec::new(), now);
        let closed = next.close(close, now)?;
        *self = next;
        Ok([vec![Effect::Persist(Register::Decision)], closed].concat())
    }

    fn restart(&mut self, owner: FencingToken, now: Timestamp) -> Vec<Effect> {
        self.progress.owner = owner;
        match (self.state(), &self.progress.begun) {
            (State::Active, Some(begun)) => vec![Effect::DeadlineIn(remaining(begun, now))],
            (State::ClosedByOperator, _) => vec![Effect::End],
            _ => {
                for branch in self.progress.branches.values_mut().filter(|branch| branch.is_open()) {
                    *branch = Branch::NEW;
                }
                let sends = self.send_open();
                sends.into_iter().chain(self.end_if_finished(now)).collect()
            }
        }
    }

    fn standing(&self) -> Effect {
        let decided = self.decision.as_ref().map(|register| Answer::Decided(register.decision, register.cause));
        Effect::Answer(decided.unwrap_or(Answer::Parked))
    }

    fn send_open(&self) -> Vec<Effect> {
        self.ids(Branch::is_open).iter().filter_map(|id| self.send(id)).collect()
    }

    fn send(&self, id: &BranchId) -> Option<Effect> {
        let decision = self.decision.as_ref()?.decision;
        match self.progress.branches.get(id)? {
            Branch::Open { attempts, .. } if self.progress.closing.is_none() => {
                Some(Effect::Send { branch: id.clone(), decision, attempt: *attempts })
            }
            _ => None,
        }
    }

    fn end_if_finished(&mut self, now: Timestamp) -> Vec<Effect> {
        if self.decision.is_none() || !self.progress.branches.values().all(Branch::is_done) {
            return Vec::new();
        }
        self.progress.ended_at.get_or_insert(now);
        vec![self.persist_progress(), Effect::End]
    }

    fn persist_progress(&mut self) -> Effect {
        self.progress.version += 1;
        Effect::Persist(Register::Progress)
    }

    fn ids(&self, of: impl Fn(&Branch) -> bool) -> Vec<BranchId> {
        self.progress.branches.iter().filter(|(_, branch)| of(branch)).map(|(id, _)| id.clone()).collect()
    }
}

fn empty_progress(xid: Xid, owner: FencingToken, version: u64) -> Progress {
    Progress { xid, begun: None, branches: BTreeMap::new(), closing: None, ended_at: None, owner, version }
}

/// A branch that refused its try holds nothing, so there is nothing to send to it.
fn first_branches(register: &DecisionRegister, now: Timestamp) -> BTreeMap<BranchId, Branch> {
    let first = |summary: &BranchSummary| match summary.state {
        TryState::Tried | TryState::Unknown => Branch::NEW,
        TryState::Refused => Branch::Done { how: Done::Empty, at: now },
    };
    register.branches.iter().map(|summary| (summary.branch.clone(), first(summary))).collect()
}

/// What forbids COMMIT (R1). UNKNOWN weighs more: it says that money may be held somewhere.
fn obstacle(branches: &[BranchSummary]) -> Option<Cause> {
    let any = |state| branches.iter().any(|branch| branch.state == state);
    match (any(TryState::Unknown), any(TryState::Refused)) {
        (true, _) => Some(Cause::BranchUnknown),
        (false, true) => Some(Cause::Refused),
        (false, false) => None,
    }
}

fn check_list(branches: &[BranchSummary]) -> Result<(), IllegalEvent> {
    let bytes = branches.iter().map(BranchSummary::size).sum();
    if branches.len() > MAX_BRANCHES || bytes > MAX_CONTEXT_BYTES {
        return Err(IllegalEvent::TooLarge { branches: branches.len(), bytes });
    }
    let mut seen = std::collections::BTreeSet::new();
    match branches.iter().find(|branch| !seen.insert(&branch.branch)) {
        Some(twice) => Err(IllegalEvent::ListedTwice { branch: twice.branch.clone() }),
        None => Ok(()),
    }
}

/// The rest of a deadline for a new owner. The wall clock measures it across a restart; a clock that jumped costs an early
/// abort or one more timeout, never a wrong decision.
fn remaining(begun: &Begun, now: Timestamp) -> Duration {
    let rest = begun.timeout.saturating_sub(now.since(begun.at));
    rest.max(begun.timeout.min(RESTART_GRACE))
}
