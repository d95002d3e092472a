//! The cores that a campaign may use, and how a worker keeps to one of them.
//!
//! A simulated seed hands every SQL statement to a thread of the database's driver and waits for it: one of the two threads always
//! sleeps. On two cores each hand-over wakes a core that had gone idle, which takes longer than most statements. On one core
//! it is a switch. So a worker stays on one core, and so does the process of each seed that it starts.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The calling thread.
const THIS: Pid = Pid::from_raw(0);

/// Numbers of the cores that this thread may run on; one unnamed core where the system does not tell.
fn available() -> Vec<usize> {
    let Ok(allowed) = sched_getaffinity(THIS) else { return vec![0] };
    (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect()
}

/// Keeps this thread, and processes that it starts from now on, to one core.
fn stay_on(core: usize) {
    let mut only = CpuSet::new();
    // A system that does not allow it runs seeds all the same, more slowly.
    let _ = only.set(core).and_then(|()| sched_setaffinity(THIS, &only));
}

/// Runs `work` on as many threads as `workers` says, or one for each core, and waits for all of them. Each stays on its core.
#[expect(clippy::disallowed_methods, reason = "workers belong to the real world")]
pub(crate) fn side_by_side(workers: Option<usize>, work: impl Fn() + Sync) {
    let cores = available();
    let (work, workers) = (&work, workers.unwrap_or(cores.len()).max(1));
    std::thread::scope(|scope| {
        for core in cores.iter().copied().cycle().take(workers) {
            scope.spawn(move || {
                stay_on(core);
                work();
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a thread's core is what is tested")]
    fn a_thread_keeps_to_the_core_it_was_given_and_leaves_the_others_alone() {
        let before = available();
        let last = *before.last().unwrap();
        let kept = std::thread::spawn(move || {
            stay_on(last);
            available()
        });
        assert_eq!(kept.join().unwrap(), [last]);
        assert_eq!(available(), before);
    }
}
