//! The database file over its life: open, closed by a failure that passes, or stopped by one that does not.
//!
//! ```text
//! Open --no room, unreadable--> Closed --next call--> Open
//!   |                             |
//!   '--failed sync or write, damage, close()--'--> Stopped
//! ```
//!
//! A group whose commit failed midway is settled by opening the file anew: redb then holds all of it or nothing, and the revision
//! tells which.

use std::sync::Arc;

use parking_lot::RwLock;
use settee_core::id::Revision;
use settee_core::port::{Commit, Disk, Event, Outcome, StoreError, StoreErrorKind};

use super::database::{Applied, Opened};
use super::failure::Failure;
use crate::kv::changes::Changes;

/// The file and what is known about it. All methods block.
pub(super) struct Store {
    disk: Arc<dyn Disk>,
    /// Read by whoever uses the database, written by whoever opens or closes it.
    state: RwLock<State>,
    changes: Changes,
}

enum State {
    Open(Opened),
    Closed(Option<Unsettled>),
    Stopped(Failure),
}

/// A group of which it is not known whether it happened: published when it turns out that it did.
struct Unsettled {
    after: Revision,
    events: Vec<Event>,
}

impl Store {
    pub(super) fn open(disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let (opened, revision) = Opened::open(disk.as_ref()).map_err(|failure| failure.not_done())?;
        Ok(Self { disk, state: RwLock::new(State::Open(opened)), changes: Changes::since(revision) })
    }

    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Reads through `work`. A failure has no effect.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Opened) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        self.attempt(work).map_err(|failed| self.fail(failed, None).not_done())
    }

    /// Applies a group of commits in order and answers each, after a sync that covers all of them.
    pub(super) fn write(&self, commits: &[Commit]) -> Vec<Result<Outcome, StoreError>> {
        let mut staged = None;
        match self.attempt(|opened| opened.write(commits, &mut staged)) {
            Ok(applied) => {
                self.changes.publish(applied.events);
                applied.outcomes.into_iter().map(Ok).collect()
            }
            Err(failed) => match staged {
                None => vec![Err(self.fail(failed, None).not_done()); commits.len()],
                Some(applied) => self.settle(failed, applied),
            },
        }
    }

    /// Finds out what became of a group whose commit failed midway.
    fn settle(&self, failed: Failure, applied: Applied) -> Vec<Result<Outcome, StoreError>> {
        let unsettled = Unsettled { after: applied.after, events: applied.events };
        let failure = self.fail(failed, Some(unsettled));
        let found = self.reopen().ok().flatten();
        let answer = |outcome| match (found, outcome) {
            (Some(revision), outcome) if revision == applied.after => Ok(outcome),
            (Some(revision), _) if revision == applied.before => Err(failure.not_done()),
            (_, Outcome::Conflict) => Err(failure.not_done()),
            (_, Outcome::Committed(_)) => Err(failure.unknown()),
        };
        applied.outcomes.into_iter().map(answer).collect()
    }

    fn attempt<T>(&self, work: impl FnOnce(&Opened) -> Result<T, redb::Error>) -> Result<T, Failure> {
        self.reopen()?;
        match &*self.state.read() {
            State::Open(opened) => opened.guarded(|| work(opened)),
            State::Stopped(failure) => Err(failure.clone()),
            State::Closed(_) => Err(unavailable("a failure closed the file")),
        }
    }

    /// Opens the file if a failure closed it, and then returns the revision it is at.
    fn reopen(&self) -> Result<Option<Revision>, Failure> {
        if !matches!(&*self.state.read(), State::Closed(_)) {
            return Ok(None);
        }
        let mut state = self.state.write();
        let State::Closed(unsettled) = &*state else { return Ok(None) };
        let (opened, revision) = match Opened::open(self.disk.as_ref()) {
            Ok(opened) => opened,
            Err(failure) => {
                if failure.is_final() {
                    *state = self.stopped(&failure);
                }
                return Err(failure);
            }
        };
        if let Some(landed) = unsettled.as_ref().filter(|unsettled| unsettled.after == revision) {
            self.changes.publish(landed.events.clone());
        }
        *state = State::Open(opened);
        Ok(Some(revision))
    }

    /// Closes the database after a failure, for good if it does not pass.
    fn fail(&self, failure: Failure, unsettled: Option<Unsettled>) -> Failure {
        let mut state = self.state.write();
        let next = match &mut *state {
            State::Stopped(_) => return failure,
            _ if failure.is_final() => self.stopped(&failure),
            State::Closed(earlier) => State::Closed(earlier.take().or(unsettled)),
            State::Open(_) => State::Closed(unsettled),
        };
        if let State::Open(opened) = std::mem::replace(&mut *state, next) {
            opened.close();
        }
        failure
    }

    fn stopped(&self, failure: &Failure) -> State {
        self.changes.stop(failure.not_done());
        State::Stopped(failure.clone())
    }

    /// Waits for what is under way, closes the file and refuses everything after.
    pub(super) fn close(&self) {
        let mut state = self.state.write();
        if matches!(&*state, State::Stopped(_)) {
            return;
        }
        let closed = self.stopped(&unavailable("the store was closed"));
        if let State::Open(opened) = std::mem::replace(&mut *state, closed) {
            opened.close();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

fn unavailable(message: &str) -> Failure {
    Failure::new(StoreErrorKind::Unavailable, message)
}
