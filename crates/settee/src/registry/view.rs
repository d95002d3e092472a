//! What a client shows of what the registry sends: a complete list as it is, an incomplete one filled up with the last good list.
//!
//! ```text
//!  snapshot, complete     shown = it
//!  snapshot, incomplete   shown = it + whoever was shown before     (a registry that just started knows few)
//!  another snapshot       as the delta to it: it stands for the changes when those are more to send
//!  delta                  checked against what the registry sent; what it removes is removed: there was evidence
//! ```

use settee_core::registry::{Gap, InstanceList};

use super::control::ListUpdate;

/// One service as a client sees it.
#[derive(Debug, Default)]
pub(super) struct View {
    sent: Option<InstanceList>,
    shown: InstanceList,
}

impl View {
    /// Shows what was kept from before, until the registry says more.
    pub(super) fn restored(kept: InstanceList) -> Self {
        Self { sent: None, shown: InstanceList { complete: false, ..kept } }
    }

    pub(super) fn shown(&self) -> &InstanceList {
        &self.shown
    }

    /// The stream ended: the next one begins with a snapshot.
    pub(super) fn disconnected(&mut self) {
        self.sent = None;
    }

    /// Takes in an update.
    ///
    /// # Errors
    /// When a delta does not fit: what is shown stays, and a snapshot is needed.
    pub(super) fn update(&mut self, update: ListUpdate) -> Result<(), Gap> {
        let (sent, filled) = match update {
            ListUpdate::Snapshot(list) => {
                let before = self.sent.take().filter(|before| before.version.epoch == list.version.epoch);
                let filled = match before {
                    Some(before) => self.shown.with(&before.delta_to(&list).changes),
                    None => list.merged_over(&self.shown),
                };
                (list, filled)
            }
            ListUpdate::Delta(delta) => {
                let before = self.sent.take().unwrap_or_default();
                (before.apply(&delta)?, self.shown.with(&delta.changes))
            }
        };
        self.shown = if sent.complete { sent.clone() } else { InstanceList { version: sent.version, complete: false, ..filled } };
        self.sent = Some(sent);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use settee_core::id::Epoch;
    use settee_core::registry::{Instance, ListVersion};

    use super::*;

    fn list(epoch: u64, n: u64, ports: &[u16], complete: bool) -> InstanceList {
        let instance = |port: &u16| Arc::new(Instance::new(([127, 0, 0, 1], *port).into(), "account"));
        InstanceList {
            version: ListVersion { epoch: Epoch(epoch), n },
            instances: ports.iter().map(instance).collect(),
            complete,
        }
    }

    fn ports(view: &View) -> Vec<u16> {
        view.shown().instances.iter().map(|instance| instance.address.port()).collect()
    }

    #[test]
    fn a_registry_that_just_started_shrinks_nothing_and_its_evidence_counts() {
        let mut view = View::default();
        view.update(ListUpdate::Snapshot(list(1, 9, &[1, 2, 3], true))).unwrap();
        let started = list(2, 0, &[], false);
        view.update(ListUpdate::Snapshot(started.clone())).unwrap();
        assert_eq!((ports(&view), view.shown().complete), (vec![1, 2, 3], false));
        let two_are_back = list(2, 1, &[1, 2], false);
        view.update(ListUpdate::Delta(started.delta_to(&two_are_back))).unwrap();
        let one_left = list(2, 2, &[1], false);
        view.update(ListUpdate::Delta(two_are_back.delta_to(&one_left))).unwrap();
        assert_eq!(ports(&view), [1, 3], "2 left with evidence, 3 was not heard of yet");
        view.update(ListUpdate::Delta(one_left.delta_to(&list(2, 3, &[1], true)))).unwrap();
        assert_eq!((ports(&view), view.shown().complete), (vec![1], true));
    }

    #[test]
    fn a_snapshot_in_the_middle_of_a_stream_carries_evidence_like_a_delta() {
        let mut view = View::default();
        view.update(ListUpdate::Snapshot(list(1, 9, &[1, 2], true))).unwrap();
        view.disconnected();
        view.update(ListUpdate::Snapshot(list(2, 1, &[1], false))).unwrap();
        view.update(ListUpdate::Snapshot(list(2, 2, &[], false))).unwrap();
        assert_eq!(ports(&view), [2]);
    }

    #[test]
    fn what_was_kept_on_disk_is_never_taken_as_complete() {
        let view = View::restored(list(1, 9, &[1], true));
        assert_eq!((ports(&view), view.shown().complete), (vec![1], false));
    }

    #[test]
    fn a_delta_that_does_not_fit_changes_nothing() {
        let mut view = View::default();
        let first = list(1, 1, &[1, 2], true);
        view.update(ListUpdate::Snapshot(first.clone())).unwrap();
        let delta = list(1, 5, &[1, 2], true).delta_to(&list(1, 6, &[1], true));
        assert!(view.update(ListUpdate::Delta(delta)).is_err());
        assert_eq!(ports(&view), [1, 2]);
        view.disconnected();
        assert!(view.update(ListUpdate::Delta(first.delta_to(&list(1, 2, &[1], true)))).is_err(), "it begins with a snapshot");
    }
}
