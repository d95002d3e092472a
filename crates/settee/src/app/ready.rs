//! What an application waits for before it is ready, beside its own start.
//!
//! Left out: a process that is no longer ready. Whoever loses what it needs answers with errors, which callers' balancers and
//! breakers see per method; taking instances away is for stops and deaths.

use std::sync::Arc;
use std::time::Duration;

use crate::expand::BoxFuture;

/// Between two looks at a condition that does not hold: late enough to cost nothing, early enough for nobody to notice.
const LOOK: Duration = Duration::from_millis(200);

/// Something that must hold before a process is ready.
pub(super) struct Condition {
    name: Arc<str>,
    check: Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>,
}

impl Condition {
    pub(super) fn new<F>(name: &str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        Self { name: name.into(), check: Box::new(move || Box::pin(check())) }
    }

    async fn holds(&self) {
        let mut said = false;
        while !(self.check)().await {
            if !std::mem::replace(&mut said, true) {
                tracing::info!(condition = %self.name, "not ready yet: a condition does not hold");
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Waits until each has held once.
pub(super) async fn all_hold(conditions: Vec<Condition>) {
    futures::future::join_all(conditions.iter().map(Condition::holds)).await;
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::Instant;

    use super::*;
    use crate::app::App;
    use crate::config::Settings;

    #[tokio::test(start_paused = true)]
    async fn a_process_is_ready_when_the_last_of_its_conditions_holds() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        let fifth = Condition::new("five times", move || {
            let number = count.fetch_add(1, Ordering::Relaxed);
            async move { number >= 4 }
        });
        let started = Instant::now();
        all_hold(vec![fifth, Condition::new("at once", || async { true })]).await;
        assert_eq!((asked.load(Ordering::Relaxed), started.elapsed()), (5, LOOK * 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_is_away_keeps_nobody_from_starting() {
        // Nobody is ever given this port.
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let app = App::new("away", Settings { server, ..Settings::default() }).unwrap();
        let app = app.job(crate::job::Job::new("statement", |_run| async { crate::Reply::Ok(()) }));
        let started = Instant::now();
        let running = app.start().await.unwrap();
        assert!(started.elapsed() >= Duration::from_secs(2) && started.elapsed() < Duration::from_secs(3));
        running.stop().await;
    }
}
