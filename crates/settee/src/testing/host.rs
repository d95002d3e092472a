//! Where everything of a system runs: the host that gives its tasks connections, randomness and the time of day.
//!
//! The wall clock follows virtual time, and random numbers are the same in every run. All applications share one host: nothing of
//! them is killed here. Their tasks end with the runtime of the test.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use settee_core::env::{Accept, Host, Io, on_host};
use settee_core::{Instant, Timestamp};
use tokio::task::AbortHandle;

use super::network::Network;

/// What the wall clock of a system says at its start: 2026-01-01T00:00:00Z.
const WALL_CLOCK_START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The host of one system.
pub(super) struct TestHost {
    network: Network,
    started: Instant,
    random: Mutex<StdRng>,
}

impl TestHost {
    pub(super) fn new() -> Self {
        Self { network: Network::new(), started: Instant::now(), random: Mutex::new(StdRng::seed_from_u64(0)) }
    }

    /// Runs `work` here: everything it spawns, connects and asks for belongs to this host.
    pub(super) async fn run<F: Future>(self, work: F) -> F::Output {
        let host: Arc<dyn Host> = Arc::new(self);
        let mut work = pin!(work);
        poll_fn(|context| on_host(&host, || work.as_mut().poll(context))).await
    }
}

impl Host for TestHost {
    fn poll_gate(&self, _the_task_is_aborted: &Waker) -> bool {
        true
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<io::Result<Box<dyn Io>>> {
        let connected = self.network.connect(to);
        Box::pin(async move { connected.map(|connection| Box::new(connection) as Box<dyn Io>) })
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Accept>> {
        self.network.listen(at).map(|listening| Box::new(listening) as Box<dyn Accept>)
    }

    fn spawned(&self, _task: AbortHandle) {}

    /// Blocking work takes no time, but others get their turn before and after.
    fn charge(&self) -> BoxFuture<()> {
        Box::pin(tokio::task::yield_now())
    }

    fn wall_clock(&self) -> Timestamp {
        WALL_CLOCK_START.after(self.started.elapsed())
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.random.lock().fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use settee_core::env;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_of_day_follows_virtual_time() {
        let read = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            env::wall_clock()
        };
        assert_eq!(TestHost::new().run(read).await.since(WALL_CLOCK_START).as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn random_numbers_differ_from_each_other_and_repeat_from_run_to_run() {
        let drawn = || TestHost::new().run(async { (env::random_u64(), env::random_u64()) });
        let (first, second) = drawn().await;
        assert_ne!(first, second);
        assert_eq!(drawn().await, (first, second));
    }
}
