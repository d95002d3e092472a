//! Callers who wait until a transaction has ended everywhere, or cannot end by itself.

use std::collections::BTreeMap;

use settee_core::id::Xid;
use tokio::sync::oneshot;

/// Who waits for what. A caller that gave up is forgotten with the next one, or at the end.
#[derive(Default)]
pub(super) struct Ends(BTreeMap<Xid, Vec<oneshot::Sender<()>>>);

impl Ends {
    pub(super) fn wait(&mut self, xid: Xid) -> oneshot::Receiver<()> {
        let (ended, wait) = oneshot::channel();
        let waiting = self.0.entry(xid).or_default();
        waiting.retain(|caller| !caller.is_closed());
        waiting.push(ended);
        wait
    }

    pub(super) fn reached(&mut self, xid: Xid) {
        for caller in self.0.remove(&xid).unwrap_or_default() {
            let _gave_up = caller.send(());
        }
    }
}
