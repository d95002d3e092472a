//! Who is asked to run a slice, and when a worker counts as dead.
//!
//! Evidence of death is a newer process at the same address, or a complete list without the worker: an older number at its
//! address is that of another process too, which started with its clock set back. A worker that drains leaves
//! the list first and ends its calls after: while an offer is under way, absence counts only after [`DRAIN`].

use std::sync::Arc;
use std::time::Duration;

use settee::rpc::Channel;
use settee_core::id::fnv1a;
use settee_core::job::{RunId, Worker};
use settee_core::registry::{Instance, InstanceList, Share};

/// Slices of a run at most: a plan is one write.
pub(super) const MAX_SLICES: u32 = 96;

/// How long a worker may drain after it left the list: its listener's hard deadline, and a second.
const DRAIN: Duration = Duration::from_secs(11);

/// What the list says of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It serves.
    Listed,
    /// A newer process has its address.
    Replaced,
    /// Everybody is listed, and it is not.
    Absent,
    /// The list does not tell.
    Unclear,
}

/// Into how many slices a run is cut now; 0 when nobody could run it, or not in one write.
pub(super) fn slices(per_share: bool, list: &InstanceList) -> u32 {
    let serving = list.instances.iter().filter(|instance| instance.weight > 0);
    let parts = serving.map(|instance| if per_share { instance.share.map_or(1, |share| share.of) } else { 1 });
    match parts.max() {
        Some(parts) if parts > MAX_SLICES => {
            tracing::error!(parts, limit = MAX_SLICES, "plan a job per share: there are too many shares");
            0
        }
        parts => parts.map_or(0, |parts| parts.max(1)),
    }
}

/// The worker for a slice: one that holds its share; another one at every `turn`.
pub(super) fn choose(list: &InstanceList, id: &RunId, of: u32, turn: u32) -> Option<Worker> {
    let wanted = Share { index: id.slice, of };
    let holds = |instance: &Instance| of == 1 || instance.share.is_none_or(|share| share == wanted);
    let able: Vec<&Arc<Instance>> = list.instances.iter().filter(|instance| instance.weight > 0 && holds(instance)).collect();
    let spread = fnv1a(id.to_string().as_bytes()).wrapping_add(turn.into());
    let position = usize::try_from(spread.checked_rem(u64::try_from(able.len()).ok()?)?).ok()?;
    able.get(position).map(|instance| worker(instance))
}

pub(super) fn standing(list: &InstanceList, worker: Worker) -> Standing {
    let at_address = list.instances.iter().find(|instance| instance.address == worker.address);
    match at_address.map(|instance| instance.publication.publisher) {
        Some(publisher) if publisher == worker.publisher => Standing::Listed,
        Some(publisher) if publisher > worker.publisher => Standing::Replaced,
        _ if list.complete => Standing::Absent,
        _ => Standing::Unclear,
    }
}

/// Waits for evidence that a worker which is being asked is dead.
pub(super) async fn died(channel: &Channel, worker: Worker) {
    let mut lists = channel.instances();
    loop {
        let now = standing(&lists.borrow_and_update().clone(), worker);
        let changed = match now {
            Standing::Replaced => return,
            Standing::Absent => match tokio::time::timeout(DRAIN, lists.changed()).await {
                Ok(changed) => changed,
                Err(_) => return,
            },
            Standing::Listed | Standing::Unclear => lists.changed().await,
        };
        if changed.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn worker(instance: &Instance) -> Worker {
    Worker { address: instance.address, publisher: instance.publication.publisher }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use settee_core::Timestamp;
    use settee_core::registry::PublicationId;

    use super::*;

    fn instance(port: u16, publisher: u64, share: Option<(u32, u32)>) -> Arc<Instance> {
        Arc::new(Instance {
            address: ([127, 0, 0, 1], port).into(),
            application: String::new(),
            weight: 100,
            share: share.map(|(index, of)| Share { index, of }),
            metadata: BTreeMap::new(),
            publication: PublicationId { publisher, sequence: 0 },
        })
    }

    fn list(complete: bool, instances: impl Into<Vec<Arc<Instance>>>) -> InstanceList {
        InstanceList { instances: instances.into(), complete, ..InstanceList::default() }
    }

    #[test]
    fn only_evidence_makes_a_worker_dead() {
        let asked = worker(&instance(1, 7, None));
        let table = [
            (list(true, [instance(1, 7, None)]), Standing::Listed),
            (list(false, [instance(1, 8, None)]), Standing::Replaced),
            (list(true, [instance(1, 6, None)]), Standing::Absent),
            (list(false, [instance(1, 6, None)]), Standing::Unclear),
            (list(true, []), Standing::Absent),
            (list(false, []), Standing::Unclear),
        ];
        for (list, expected) in table {
            assert_eq!(standing(&list, asked), expected, "{list:?}");
        }
    }

    #[test]
    fn a_slice_goes_to_an_instance_that_holds_its_share_and_to_nobody_else() {
        let id = |slice| RunId { job: "a".into(), version: 1, due: Timestamp::EPOCH, slice };
        let both = list(true, [instance(1, 0, Some((0, 2))), instance(2, 0, Some((1, 2)))]);
        assert_eq!((slices(true, &both), slices(false, &both), slices(true, &list(true, []))), (2, 1, 0));
        for turn in 0..4 {
            let port = |slice| choose(&both, &id(slice), 2, turn).map(|worker| worker.address.port());
            assert_eq!((port(0), port(1), port(2)), (Some(1), Some(2), None));
        }
        let turns: std::collections::BTreeSet<_> = (0..2).map(|turn| choose(&both, &id(0), 1, turn)).collect();
        assert_eq!(turns.len(), 2, "a further attempt goes elsewhere");
    }
}
