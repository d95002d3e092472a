//! One stream of one service: a snapshot, then what changed since the last update that was sent, however many versions that is.

use std::sync::Arc;

use settee::registry::control::ListUpdate;
use settee::rpc::{UpdateSender, Updates, updates};
use settee_core::planted::Bug;
use settee_core::registry::InstanceList;
use settee_core::{Error, Instant, env};

use super::Registry;
use super::state::Subscription;

/// Updates that may be ahead of the stream's credit: one, so that a slow reader is merged for as early as possible.
const AHEAD: usize = 1;

impl Registry {
    pub(super) fn start_subscriber(&self, service: String) -> Result<Updates<ListUpdate>, Error> {
        let subscription = self.0.state.lock().subscribe(&service, Instant::now())?;
        let (sender, updates) = updates(AHEAD);
        let registry = self.clone();
        env::spawn(async move {
            let id = subscription.id;
            registry.0.shutdown.or(push(subscription, sender)).await;
            registry.0.state.lock().unsubscribe(&service, id);
        });
        Ok(updates)
    }
}

async fn push(mut subscription: Subscription, sender: UpdateSender<ListUpdate>) {
    let mut sent: Option<Arc<InstanceList>> = None;
    loop {
        let newest = subscription.lists.borrow_and_update().clone();
        let version = newest.version;
        if sent.is_none() && Bug::PushesEmptyList.is_planted() {
            let empty = InstanceList { version, instances: Vec::new(), complete: true };
            let _gone = sender.send(ListUpdate::Snapshot(empty)).await;
        }
        if sender.send(update(sent.as_deref(), &newest)).await.is_err() {
            return;
        }
        subscription.sent.send_replace(version);
        sent = Some(newest);
        tokio::select! {
            changed = subscription.lists.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
        }
    }
}

/// The smaller of the changes since `sent` and the whole list.
fn update(sent: Option<&InstanceList>, newest: &InstanceList) -> ListUpdate {
    let delta = sent.map(|sent| sent.delta_to(newest));
    match delta.filter(|delta| delta.changes.len() <= newest.instances.len()) {
        Some(delta) => ListUpdate::Delta(delta),
        None => ListUpdate::Snapshot(newest.clone()),
    }
}

#[cfg(test)]
mod tests {
    use settee_core::id::Epoch;
    use settee_core::registry::{Instance, ListVersion};
    use tokio::sync::watch;

    use super::*;

    fn list(n: u64, ports: std::ops::Range<u16>) -> Arc<InstanceList> {
        let instance = |port| Arc::new(Instance::new(([127, 0, 0, 1], port).into(), "account"));
        let version = ListVersion { epoch: Epoch(1), n };
        Arc::new(InstanceList { version, instances: ports.map(instance).collect(), complete: true })
    }

    #[tokio::test]
    async fn a_reader_that_was_away_gets_the_newest_state_and_no_queue() {
        let lists = watch::Sender::new(list(1, 1..2));
        let (sent, mut seen) = watch::channel(ListVersion::default());
        let (sender, mut updates) = updates(AHEAD);
        env::spawn(push(Subscription { id: 0, lists: lists.subscribe(), sent }, sender));
        seen.wait_for(|version| version.n == 1).await.unwrap();
        for n in 2..1_000 {
            lists.send_replace(list(n, 1..20));
        }
        let ListUpdate::Snapshot(mut mirror) = updates.next().await.unwrap().unwrap() else { panic!("a snapshot comes first") };
        let mut received = 0;
        while mirror.version.n < 999 {
            match updates.next().await.unwrap().unwrap() {
                ListUpdate::Snapshot(list) => mirror = list,
                ListUpdate::Delta(delta) => mirror = mirror.apply(&delta).unwrap(),
            }
            received += 1;
        }
        assert_eq!((&mirror, received), (&*list(999, 1..20), 1));
    }
}
