//! Jobs and runs as people see them.

use settee::job::control::{JobView, LAST_RUNS, RunStatus, RunView, SliceView};
use settee::rpc::Page;
use settee_core::Timestamp;
use settee_core::job::run::SkipCause;
use settee_core::job::{Run, RunState};

use super::entry::{Group, JobEntry};
use crate::page::PageFilling;

impl JobEntry {
    pub(super) fn view(&self) -> JobView {
        JobView {
            definition: self.record.definition(),
            version: self.record.version,
            paused: self.record.paused,
            next_due: self.first_open().into_iter().chain(self.next_due()).min(),
            last_runs: self.run_views(LAST_RUNS),
        }
    }

    /// The first run that is planned and waits for its time or turn.
    fn first_open(&self) -> Option<Timestamp> {
        self.runs.iter().find(|(_, group)| !group.fired && !group.is_over()).map(|(due, _)| *due)
    }

    /// The runs with the latest due times, waiting triggers included.
    pub(super) fn run_views(&self, limit: usize) -> Vec<RunView> {
        self.views_before(None).take(limit).map(|(_, view)| view).collect()
    }

    /// At most `limit` of the runs that are due before `before`, the latest first, waiting triggers included.
    pub(super) fn run_page(&self, limit: usize, before: Option<Timestamp>) -> Page<RunView, Timestamp> {
        let (mut views, mut filling) = (self.views_before(before), PageFilling::up_to(limit));
        while views.next().is_some_and(|(due, view)| filling.takes(due, view)) {}
        filling.page()
    }

    fn views_before(&self, before: Option<Timestamp>) -> impl Iterator<Item = (Timestamp, RunView)> {
        let is_before = |due: &Timestamp| before.is_none_or(|before| *due < before);
        let mut dues: Vec<_> = self.runs.keys().chain(self.record.triggers.keys()).copied().filter(is_before).collect();
        dues.sort_unstable();
        dues.into_iter().rev().filter_map(|due| Some((due, self.run_view(due)?)))
    }

    /// The run that is due then, if there is one.
    pub(super) fn run_view(&self, due: Timestamp) -> Option<RunView> {
        match (self.runs.get(&due), self.record.triggers.get(&due)) {
            (Some(group), _) => Some(self.view_of(due, group)),
            (None, Some(reference)) => Some(self.empty_view(due, self.record.version, reference.clone())),
            (None, None) => None,
        }
    }

    fn view_of(&self, due: Timestamp, group: &Group) -> RunView {
        let first = group.slices.values().next().map(|slot| &slot.run);
        let reference = first.and_then(|run| run.reference.clone());
        let version = first.map_or(self.record.version, |run| run.id.version);
        let slices: Vec<_> = group.slices.values().map(|slot| slice_view(&slot.run)).collect();
        RunView { state: RunStatus::of(&slices), slices, ..self.empty_view(due, version, reference) }
    }

    fn empty_view(&self, due: Timestamp, version: u64, reference: Option<String>) -> RunView {
        let job = self.record.name.clone();
        RunView { id: format!("{job}/{version}/{due}"), job, due, state: RunStatus::Planned, reference, slices: Vec::new() }
    }
}

fn slice_view(run: &Run) -> SliceView {
    let (state, result, cause) = match &run.state {
        RunState::Planned { .. } => (RunStatus::Planned, None, None),
        RunState::Dispatched(_) => (RunStatus::Dispatched, None, None),
        RunState::Succeeded { result, .. } => (RunStatus::Succeeded, Some(result.clone()), None),
        RunState::Failed { cause, .. } => (RunStatus::Failed, None, Some(cause.clone())),
        RunState::Unknown { cause, .. } => (RunStatus::Unknown, None, Some(cause.clone())),
        RunState::Skipped(cause) => (RunStatus::Skipped, None, Some(skipped(*cause).to_owned())),
    };
    SliceView {
        slice: run.id.slice,
        worker: run.assignment().map(|by| by.worker.address),
        attempt: run.attempt,
        state,
        result,
        cause,
        token: run.assignment().map(|by| by.token),
    }
}

fn skipped(cause: SkipCause) -> &'static str {
    match cause {
        SkipCause::Misfire => "its due time was missed",
        SkipCause::Overlap => "an earlier run was open",
    }
}
