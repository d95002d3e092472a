//! One stream of one run: how it is, then whatever became of it since the last update that was sent, until it is over.
//!
//! Nothing queues up, and what is sent is durable: a look waits for what it observed (P4).

use settee::job::control::{RunKey, RunView};
use settee::rpc::{UpdateSender, Updates, updates};
use settee_core::error::{ErrorKind, codes};
use settee_core::{Error, env};
use tokio::sync::watch;

use super::entry::JobEntry;
use super::scheduler::Jobs;
use super::service::no_run;

/// Updates that may be ahead of the stream's credit: one, so that a slow reader gets the newest state as early as possible.
const AHEAD: usize = 1;

impl Jobs {
    /// Follows a run that there is.
    pub(super) async fn start_follower(&self, key: RunKey) -> Result<Updates<RunView>, Error> {
        let first = self.look(&key).await?;
        let (sender, updates) = updates(AHEAD);
        let jobs = self.clone();
        env::spawn(async move {
            let broken = tokio::select! {
                ended = jobs.push(&key, first, &sender) => ended.err(),
                () = jobs.stopped() => Some(stopped(&key)),
                () = sender.closed() => None,
            };
            if let Some(error) = broken {
                sender.fail(error).await;
            }
        });
        Ok(updates)
    }

    /// Sends what is new until the run is over. What waits for its reader is replaced by what is newer.
    async fn push(&self, key: &RunKey, first: Look, sender: &UpdateSender<RunView>) -> Result<(), Error> {
        let (mut newest, mut sent) = (first, None);
        loop {
            let is_new = sent.as_ref() != Some(&newest.run);
            tokio::select! {
                biased;
                taken = sender.send(newest.run.clone()), if is_new => {
                    taken?;
                    if newest.run.state.is_over() {
                        return Ok(());
                    }
                    sent = Some(newest.run.clone());
                }
                // Its end is a change as well: the job was removed, and the look says so.
                _changed_or_removed = newest.changes.changed() => newest = self.look(key).await?,
            }
        }
    }

    /// The run as it is, once that is durable, and what changes it from then on.
    async fn look(&self, key: &RunKey) -> Result<Look, Error> {
        let found = |entry: &JobEntry| {
            let run = entry.run_view(key.due).ok_or_else(|| no_run(key))?;
            Ok(Look { run, changes: entry.changes() })
        };
        self.observe(&key.job, found).await
    }
}

/// A run, and what changes after it was looked at.
struct Look {
    run: RunView,
    changes: watch::Receiver<()>,
}

fn stopped(key: &RunKey) -> Error {
    let text = format!("follow the run of {} at {}: the server stops, follow it again", key.job, key.due);
    Error::new(ErrorKind::Unavailable, codes::STREAM_BROKEN, text).unknown()
}
