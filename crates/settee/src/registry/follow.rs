//! Following the list of one service, for ever: subscribe, show what comes, and begin again when the stream breaks.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_core::backoff::Backoff;
use settee_core::registry::InstanceList;
use settee_core::{Error, Timestamp, env};
use tokio::sync::watch;

use super::cache::{Kept, ListCache};
use super::client::{Shared, backoff, in_call_context};
use super::control::RegistryControl;
use super::view::View;

/// Between two writes of one list to the cache: a list that changes all the time costs one write a second.
const CACHE_PAUSE: Duration = Duration::from_secs(1);

/// A list that does not change is written again so often: its age after a restart is right to within this.
const CACHE_REFRESH: Duration = Duration::from_secs(60);

/// The list of one service as this process knows it.
#[derive(Debug, Default)]
pub(super) struct Followed {
    shown: watch::Sender<Arc<InstanceList>>,
    good: Mutex<Good>,
}

/// When the list was known to be complete and up to date.
#[derive(Clone, Copy, Debug, Default)]
enum Good {
    #[default]
    Never,
    Now,
    Until(Timestamp),
}

impl Followed {
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<InstanceList>> {
        self.shown.subscribe()
    }

    pub(super) fn age(&self, now: Timestamp) -> Option<Duration> {
        match *self.good.lock() {
            Good::Never => None,
            Good::Now => Some(Duration::ZERO),
            Good::Until(last) => Some(now.since(last)),
        }
    }

    fn show(&self, view: &View) {
        if view.shown().complete {
            *self.good.lock() = Good::Now;
        } else {
            self.no_longer_good();
        }
        self.shown.send_replace(Arc::new(view.shown().clone()));
    }

    fn no_longer_good(&self) {
        let mut good = self.good.lock();
        if matches!(*good, Good::Now) {
            *good = Good::Until(env::wall_clock());
        }
    }

    fn is_good(&self) -> bool {
        matches!(*self.good.lock(), Good::Now)
    }
}

/// Follows `service` until it is dropped.
pub(super) async fn run(shared: Arc<Shared>, service: String, followed: Arc<Followed>) {
    let view = match &shared.cache {
        Some(cache) => restore(cache, &service, &followed).await,
        None => View::default(),
    };
    let following = follow(&shared, &service, &followed, view);
    match &shared.cache {
        Some(cache) => tokio::join!(following, keep(cache, &service, &followed)).0,
        None => following.await,
    }
}

async fn follow(shared: &Shared, service: &str, followed: &Followed, mut view: View) {
    let mut backoff = backoff();
    loop {
        if let Err(error) = subscribed(shared, service, followed, &mut view, &mut backoff).await {
            tracing::debug!(service, %error, "follow a service: its last good list stays");
        }
        view.disconnected();
        followed.no_longer_good();
        backoff.pause().await;
    }
}

/// One stream, from its snapshot to its end.
async fn subscribed(
    shared: &Shared,
    service: &str,
    followed: &Followed,
    view: &mut View,
    backoff: &mut Backoff,
) -> Result<(), Error> {
    let mut updates = in_call_context(shared.control.subscribe(service.to_owned())).await?;
    while let Some(update) = updates.next().await {
        if let Err(gap) = view.update(update?) {
            tracing::warn!(service, %gap, "an update does not fit: subscribe again for the whole list");
            return Ok(());
        }
        backoff.reset();
        followed.show(view);
    }
    Ok(())
}

/// What the cache has, shown until the registry says more.
async fn restore(cache: &Arc<dyn ListCache>, service: &str, followed: &Followed) -> View {
    let (reader, name) = (cache.clone(), service.to_owned());
    let bytes = match env::blocking(move || reader.load(&name)).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return View::default(),
        Err(error) => {
            tracing::warn!(service, %error, "read the last good list");
            return View::default();
        }
    };
    let Some(kept) = Kept::read(&bytes) else {
        tracing::warn!(service, "the last good list that was kept is not whole: it is not used");
        return View::default();
    };
    *followed.good.lock() = Good::Until(kept.good_at);
    let view = View::restored(kept.list);
    followed.show(&view);
    view
}

/// Writes complete lists to the cache as they change.
async fn keep(cache: &Arc<dyn ListCache>, service: &str, followed: &Followed) {
    let mut shown = followed.subscribe();
    loop {
        let _changed_or_time_to_refresh = tokio::time::timeout(CACHE_REFRESH, shown.changed()).await;
        let list = shown.borrow_and_update().clone();
        if followed.is_good() && list.complete {
            let kept = Kept::new((*list).clone(), env::wall_clock());
            let (writer, name) = (cache.clone(), service.to_owned());
            if let Err(error) = env::blocking(move || writer.store(&name, &kept.to_bytes())).await {
                tracing::warn!(service, %error, "keep the last good list");
            }
        }
        tokio::time::sleep(CACHE_PAUSE).await;
    }
}
