//! Tasks and blocking work.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Host, host, on_host};

/// A handle to a spawned task; dropping it leaves the task running.
pub type JoinHandle<T> = tokio::task::JoinHandle<T>;

/// Starts a task on the current runtime, or on the current simulated machine.
pub fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let Some(host) = host() else { return tokio::spawn(task) };
    let handle = tokio::spawn(OnHost { host: host.clone(), task: Some(Box::pin(task)) });
    host.spawned(handle.abort_handle());
    handle
}

/// Disk and SQL work. In production it runs on a blocking thread; in simulation inline, with virtual time before and after, so
/// that a machine can die between an acknowledgement and the work that should have come first.
///
/// # Panics
/// When `work` panics: the panic is passed on.
///
/// # Cancel safety
/// The work runs to its end also when the future is dropped.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let Some(host) = host() else {
        return match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => std::future::pending().await,
        };
    };
    let simulated = spawn(async move {
        host.charge().await;
        let done = work();
        host.charge().await;
        done
    });
    match simulated.await {
        Ok(done) => done,
        Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        // The machine died: nothing on it goes on.
        Err(_) => std::future::pending().await,
    }
}

/// Runs hyper's tasks through [`spawn`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor;

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        spawn(task);
    }
}

/// A task that is polled only while its machine runs, and polled and dropped with that machine as the current host.
struct OnHost<F> {
    host: Arc<dyn Host>,
    task: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for OnHost<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if !self.host.poll_gate(context.waker()) {
            return Poll::Pending;
        }
        let Self { host, task } = &mut *self;
        match task {
            Some(task) => on_host(host, || task.as_mut().poll(context)),
            None => Poll::Pending,
        }
    }
}

impl<F> Drop for OnHost<F> {
    fn drop(&mut self) {
        let Self { host, task } = self;
        on_host(host, || drop(task.take()));
    }
}
