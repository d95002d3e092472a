//! Runs of jobs: each that was answered is found, and its effect comes once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, stream};
use settee::app::App;
use settee::error::ErrorKind;
use settee::job::control::{RunKey, RunStatus, RunView, Trigger};
use settee::job::{Job, JobControl, JobControlClient, Overlap, Run};
use settee::{Error, Reply, Timestamp};
use settee_core::env;
use settee_core::id::FencingToken;

use super::PATIENCE;
use super::verdict::Wrong;
use crate::patiently;

/// Jobs among which the runs go round.
const JOBS: u64 = 4;

/// Runs that may be triggered between two checks: the last hundred of a job are remembered, and no more wait.
pub(super) const BETWEEN_CHECKS: u64 = JOBS * 24;

/// Questions to the scheduler at a time.
const AT_ONCE: usize = 16;

/// The runs of one test. Cheap to clone.
#[derive(Clone)]
pub(super) struct Runs(Arc<Inner>);

struct Inner {
    control: JobControlClient,
    number: AtomicU64,
    fresh: Mutex<Vec<RunKey>>,
    effects: Effects,
}

/// Under which token each run took effect, and how often.
type Effects = Arc<Mutex<BTreeMap<(String, Timestamp), Vec<FencingToken>>>>;

impl Runs {
    /// Adds the jobs to `app`. Runs of them happen at most once.
    pub(super) fn join(app: App) -> (App, Self) {
        let effects = Effects::default();
        let job = |app: App, number| {
            let effects = effects.clone();
            let handler = move |run: Run| {
                let key = (run.name().to_owned(), run.due());
                effects.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().push(run.token());
                async { Reply::Ok(()) }
            };
            app.job(Job::new(&name_of(number), handler).overlap(Overlap::Allow))
        };
        let app = (0..JOBS).fold(app, job);
        let (number, fresh) = (AtomicU64::new(0), Mutex::default());
        let inner = Inner { control: app.control(), number, fresh, effects };
        (app, Self(Arc::new(inner)))
    }

    /// Triggers one run: whether it was answered.
    pub(super) async fn once(self) -> bool {
        let number = self.0.number.fetch_add(1, Ordering::Relaxed);
        // Two callers at one moment mean two runs: the due time is the identity.
        let due = Timestamp::from_micros(env::wall_clock().micros() / 100 * 100 + i64::try_from(number % 100).unwrap_or(0));
        let job = name_of(number % JOBS);
        let trigger = Trigger { job: job.clone(), due, reference: None };
        if self.0.control.trigger(trigger).await.is_err() {
            return false;
        }
        self.fresh().push(RunKey { job, due });
        true
    }

    /// What is wrong with the runs that were answered since the last time.
    pub(super) async fn check(&self) -> Vec<Wrong> {
        let fresh = std::mem::take(&mut *self.fresh());
        let checks = fresh.into_iter().map(|key| self.0.has_happened(key));
        stream::iter(checks).buffer_unordered(AT_ONCE).filter_map(async |wrong| wrong).collect().await
    }

    /// What is wrong with all of them at the end.
    pub(super) async fn check_all(&self) -> Vec<Wrong> {
        let mut wrong = self.check().await;
        let effects = self.0.effects.lock().unwrap_or_else(PoisonError::into_inner);
        let doubled = effects.iter().filter(|(_, tokens)| tokens.len() > 1);
        wrong.extend(doubled.map(|((job, due), tokens)| Wrong::Duplicated(format!("run {job} of {due}: under {tokens:?}"))));
        wrong
    }

    fn fresh(&self) -> MutexGuard<'_, Vec<RunKey>> {
        self.0.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The worker lives all the time, so each run ends, and as a success.
    async fn has_happened(&self, key: RunKey) -> Option<Wrong> {
        let ask = || async {
            match self.control.run(key.clone()).await.map_err(Error::from) {
                Ok(run) => run.state.is_over().then_some(Some(run)),
                Err(error) if error.kind() == ErrorKind::NotFound => Some(None),
                Err(_) => None,
            }
        };
        let found = patiently(PATIENCE, ask).await;
        let times =
            self.effects.lock().unwrap_or_else(PoisonError::into_inner).get(&(key.job.clone(), key.due)).map_or(0, Vec::len);
        judge(&key, found, times)
    }
}

fn judge(key: &RunKey, found: Option<Option<RunView>>, times: usize) -> Option<Wrong> {
    let run = format!("run {} of {}", key.job, key.due);
    match found {
        None => Some(Wrong::Lost(format!("{run}: it does not end"))),
        Some(None) => Some(Wrong::Lost(format!("{run}: nobody knows it"))),
        Some(Some(found)) if found.state != RunStatus::Succeeded => Some(Wrong::Lost(format!("{run}: {found:?}"))),
        Some(Some(_)) if times == 0 => Some(Wrong::Lost(format!("{run}: it succeeded without effect"))),
        // A second effect is told at the end, with its tokens.
        Some(Some(_)) => None,
    }
}

fn name_of(job: u64) -> String {
    format!("kill-{job}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_gone_open_or_without_effect_is_told() {
        let key = RunKey { job: "kill-0".to_owned(), due: Timestamp::EPOCH };
        let view = |state| {
            Some(Some(RunView {
                id: String::new(),
                job: key.job.clone(),
                due: key.due,
                state,
                reference: None,
                slices: Vec::new(),
            }))
        };
        assert_eq!(judge(&key, view(RunStatus::Succeeded), 1), None);
        for (found, times) in [(None, 0), (Some(None), 1), (view(RunStatus::Unknown), 0), (view(RunStatus::Succeeded), 0)] {
            assert!(matches!(judge(&key, found, times), Some(Wrong::Lost(_))));
        }
    }
}
