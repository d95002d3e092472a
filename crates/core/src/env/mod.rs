//! The only door to tasks, sockets, randomness, the wall clock and blocking work.
//!
//! Free functions, no generics over a world, about a nanosecond in production: each asks a thread-local for a [`Host`], which
//! only the simulator and `settee::testing` set. `tokio::time` and `tokio::sync` are used directly elsewhere; a paused runtime
//! makes them virtual.
#![expect(clippy::disallowed_methods, reason = "this is the door that the bans point to")]

mod net;
mod random;
mod task;

pub use net::{Accept, Connection, Io, Listener, connect, listen};
pub use task::{Executor, JoinHandle, blocking, spawn};

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::time::Timestamp;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A simulated machine. Implemented by the simulator, and by `settee::testing`.
pub trait Host: Send + Sync {
    /// Whether tasks of this machine may run now. `false`: it is paused or killed, and the waker is kept.
    fn poll_gate(&self, waker: &Waker) -> bool;
    /// Opens a connection through the simulated network.
    fn connect(&self, to: SocketAddr) -> BoxFuture<io::Result<Box<dyn Io>>>;
    /// Listens on the simulated network; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken.
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Accept>>;
    /// Told of every task of this machine, so that a kill can end it.
    fn spawned(&self, task: AbortHandle);
    /// The virtual time owed for blocking work that was just done inline.
    fn charge(&self) -> BoxFuture<()>;
    /// This machine's wall clock, skew included.
    fn wall_clock(&self) -> Timestamp;
    /// Fills `bytes` from this machine's seeded source.
    fn fill_random(&self, bytes: &mut [u8]);
}

thread_local! {
    static HOST: RefCell<Option<Arc<dyn Host>>> = const { RefCell::new(None) };
}

fn host() -> Option<Arc<dyn Host>> {
    HOST.with_borrow(Clone::clone)
}

/// Whether the running task is on a simulated machine. For the few places whose production form needs a thread.
#[must_use]
pub fn is_simulated() -> bool {
    HOST.with_borrow(Option::is_some)
}

/// Runs `work` on `host`: everything it calls in this module, and everything it spawns, belongs to that machine.
///
/// For the simulator. The previous host is back afterwards, also when `work` panics.
pub fn on_host<T>(host: &Arc<dyn Host>, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Arc<dyn Host>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            HOST.set(self.0.take());
        }
    }
    let _restore = Restore(HOST.replace(Some(host.clone())));
    work()
}

/// The wall clock of this machine.
#[must_use]
pub fn wall_clock() -> Timestamp {
    if let Some(host) = host() {
        return host.wall_clock();
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Fills `bytes` with random bytes from the operating system.
///
/// # Panics
/// When the operating system has no randomness to give, which leaves no safe way on.
pub fn fill_random(bytes: &mut [u8]) {
    match host() {
        Some(host) => host.fill_random(bytes),
        None => random::fill(bytes),
    }
}

/// 64 random bits.
#[must_use]
pub fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    fill_random(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// 128 random bits.
#[must_use]
pub fn random_u128() -> u128 {
    let mut bytes = [0; 16];
    fill_random(&mut bytes);
    u128::from_ne_bytes(bytes)
}

/// A random number below `bound`, which must not be zero: close to uniform for the small bounds of balancing and jitter.
#[must_use]
pub fn random_below(bound: usize) -> usize {
    let wide = u128::from(random_u64()) * u128::try_from(bound).unwrap_or(u128::MAX >> 64);
    usize::try_from(wide >> 64).unwrap_or(0)
}

/// A random time below `bound`, to the microsecond; zero where there is none below it.
#[must_use]
pub fn random_duration(bound: Duration) -> Duration {
    let micros = usize::try_from(bound.as_micros()).unwrap_or(usize::MAX).max(1);
    Duration::from_micros(u64::try_from(random_below(micros)).unwrap_or(0))
}
