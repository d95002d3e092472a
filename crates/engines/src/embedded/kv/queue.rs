//! The commits that wait for the committer: bounded by their number and by their bytes, and taken in groups that share a sync.

use std::sync::Arc;

use settee_core::port::{Commit, Compare, Outcome, StoreError, StoreErrorKind, Write};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::FILE;

/// How many commits may wait for the committer before callers wait in line: eight full groups.
const QUEUE: usize = 2_048;

/// Bytes of commits that may wait for the committer before callers wait in line: eight full groups, as for their number.
const QUEUE_BYTES: u32 = 32 * 1024 * 1024;

/// The most commits that share a sync: beyond this many the sync is no longer what they wait for.
const GROUP_COMMITS: usize = 256;

/// A group ends with the commit that takes it to this many bytes of keys and values, so that memory stays bounded.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// What became of a commit.
pub(super) type Answer = Result<Outcome, StoreError>;

/// Where commits are handed to the committer.
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
}

/// Commits that wait. When the last [`Queue`] is gone, it ends behind them.
pub(super) struct Waiting(mpsc::Receiver<Job>);

struct Job {
    commit: Commit,
    answer: oneshot::Sender<Answer>,
    /// Given back when the committer takes the commit.
    _room: OwnedSemaphorePermit,
}

/// The two ends of an empty queue.
pub(super) fn queue() -> (Queue, Waiting) {
    let (jobs, waiting) = mpsc::channel(QUEUE);
    let room = Arc::new(Semaphore::new(usize::try_from(QUEUE_BYTES).unwrap_or(Semaphore::MAX_PERMITS)));
    (Queue { jobs, room }, Waiting(waiting))
}

impl Queue {
    /// Queues a commit once there is room for it, and waits for its outcome.
    ///
    /// # Cancel safety
    /// Dropped, the commit may be done, also after a wait.
    pub(super) async fn commit(&self, commit: Commit) -> Answer {
        // A commit that is larger than the whole queue waits until it has that for itself.
        let bytes = u32::try_from(size(&commit)).unwrap_or(u32::MAX).min(QUEUE_BYTES);
        let room = self.room.clone().acquire_many_owned(bytes).await.map_err(|_| gone(true))?;
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { commit, answer, _room: room }).await.map_err(|_| gone(true))?;
        answered.await.unwrap_or_else(|_| Err(gone(false)))
    }
}

impl Waiting {
    /// The next group: everything that waits, up to the bounds of one. `None`: there will be no more.
    pub(super) async fn group(&mut self) -> Option<(Vec<Commit>, Vec<oneshot::Sender<Answer>>)> {
        let (mut commits, mut answers, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(self.0.recv().await?);
        while let Some(Job { commit, answer, _room }) = next {
            bytes += commit.writes.iter().map(Write::size).sum::<usize>();
            commits.push(commit);
            answers.push(answer);
            let has_room = commits.len() < GROUP_COMMITS && bytes < GROUP_BYTES;
            next = if has_room { self.0.try_recv().ok() } else { None };
        }
        Some((commits, answers))
    }
}

/// Bytes that a commit holds in memory.
fn size(commit: &Commit) -> usize {
    let compared = |compare: &Compare| match compare {
        Compare::Absent(key) | Compare::Revision(key, _) => key.len(),
        Compare::Value(key, value) => key.len() + value.len(),
    };
    commit.compares.iter().map(compared).sum::<usize>() + commit.writes.iter().map(Write::size).sum::<usize>()
}

fn gone(certain: bool) -> StoreError {
    let make = if certain { StoreError::not_done } else { StoreError::unknown };
    make(StoreErrorKind::Unavailable, format!("{FILE}: the committer has ended"))
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use futures::{FutureExt, poll};
    use settee_core::id::Revision;

    use super::*;

    const LARGE: usize = 1024 * 1024;

    fn commit(bytes: usize) -> Commit {
        Commit { compares: Vec::new(), writes: vec![Write::Put("k".into(), vec![0; bytes - 1].into())] }
    }

    fn waiting_bytes(queue: &Queue) -> usize {
        usize::try_from(QUEUE_BYTES).unwrap() - queue.room.available_permits()
    }

    #[tokio::test]
    async fn commits_that_wait_for_a_slow_disk_never_fill_the_memory_and_none_is_refused_for_it() {
        let (queue, mut waiting) = queue();
        let fit = usize::try_from(QUEUE_BYTES).unwrap() / LARGE;
        let mut all = Box::pin(join_all((0..3 * fit).map(|_| queue.commit(commit(LARGE)))));
        assert!(poll!(&mut all).is_pending());
        assert_eq!((waiting_bytes(&queue), waiting.0.len()), (fit * LARGE, fit), "the others wait in line");
        let mut taken = 0;
        while taken < 3 * fit {
            let (commits, answers) = waiting.group().await.unwrap();
            assert!(commits.len() * LARGE <= GROUP_BYTES);
            taken += commits.len();
            answers.into_iter().for_each(|answer| answer.send(Ok(Outcome::Committed(Revision(1)))).unwrap());
            let _woken = poll!(&mut all);
            assert!(waiting.0.len() <= fit, "{} wait", waiting.0.len());
        }
        assert!(all.await.iter().all(Result::is_ok));
        assert_eq!(waiting_bytes(&queue), 0);
    }

    #[tokio::test]
    async fn a_caller_that_leaves_gives_its_room_back_and_one_commit_larger_than_all_room_still_goes() {
        let (queue, mut waiting) = queue();
        let whole = usize::try_from(QUEUE_BYTES).unwrap();
        let mut larger = Box::pin(queue.commit(commit(whole + LARGE)));
        assert!(poll!(&mut larger).is_pending());
        let mut in_line = Box::pin(queue.commit(commit(LARGE)));
        assert!(poll!(&mut in_line).is_pending());
        drop(in_line);
        let (commits, _answers) = waiting.group().await.unwrap();
        assert_eq!((commits.len(), waiting_bytes(&queue)), (1, 0));
        assert!(queue.commit(commit(LARGE)).now_or_never().is_none());
        assert_eq!(waiting_bytes(&queue), LARGE, "it was queued before its caller left");
    }

    #[tokio::test]
    async fn when_the_committer_has_ended_nobody_waits_for_it() {
        let (queue, waiting) = queue();
        drop(waiting);
        let refused = queue.commit(commit(LARGE)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.certainty()), (StoreErrorKind::Unavailable, settee_core::Certainty::NotDone));
    }
}
