//! One token that tells every task of a component to end.

use std::future::Future;

use tokio::sync::watch;

/// The end that asks for the stop. Dropping it asks too.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// The end that waits for it; cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A new pair.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (trigger, shutdown) = settee_core::shutdown::pair();
/// trigger.stop();
/// shutdown.requested().await;
/// # });
/// ```
#[must_use]
pub fn pair() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownTrigger(sender), Shutdown(receiver))
}

impl ShutdownTrigger {
    /// Asks everything that holds the token to end. Safe to repeat.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Another token of the same trigger.
    #[must_use]
    pub fn token(&self) -> Shutdown {
        Shutdown(self.0.subscribe())
    }
}

impl Shutdown {
    /// Whether the stop was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until the stop is asked for.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        let _gone_means_stop = receiver.wait_for(|stop| *stop).await;
    }

    /// Runs `work` until it ends or the stop is asked for; `None` then.
    ///
    /// # Cancel safety
    /// `work` is dropped at the stop.
    pub async fn or<F: Future>(&self, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.requested() => None,
            done = work => Some(done),
        }
    }
}
