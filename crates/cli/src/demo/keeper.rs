//! Keeps one process of the demo alive: starts it, and starts it again whenever it ends without being asked to.
//!
//! ```text
//! Starting --ready--> Up(life, address) --it ended, or kill--> Starting     until it was started too often
//!     '------------------stop--------------------'-----------> Ended
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use settee_core::env;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::child::{Child, Launch};
use crate::failure::Failure;
use crate::memory::peak_rss_bytes;

/// Starts of one process at most: chaos needs two, the rest is for somebody who kills by hand.
const STARTS: u32 = 100;

/// Starts in a row that may fail: what a killed process left behind can take a moment to be free.
const FAILED_STARTS: u32 = 5;

/// Between two starts when the first failed.
const PAUSE: Duration = Duration::from_millis(200);

/// What to start, given where the process served in its life before.
pub(crate) type Program = Box<dyn Fn(Option<SocketAddr>) -> Launch + Send>;

/// Where a kept process stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It was started and is not ready.
    Starting,
    /// It serves.
    Up {
        /// Which of its lives, from 1.
        life: u32,
        /// Where.
        address: SocketAddr,
        /// Its number; `None` once it is gone.
        pid: Option<u32>,
    },
    /// It was stopped, or given up for this reason.
    Ended(Option<String>),
}

enum Order {
    Kill(oneshot::Sender<Instant>),
    Stop,
}

/// The handle of a kept process. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Keeper {
    name: String,
    status: watch::Receiver<Status>,
    orders: mpsc::Sender<Order>,
    peak: Arc<AtomicU64>,
    task: env::JoinHandle<()>,
}

impl Keeper {
    /// Starts keeping a process.
    pub(crate) fn start(name: &str, program: Program) -> Self {
        let (status, watched) = watch::channel(Status::Starting);
        // One kill and one stop are all that is ever asked at a time.
        let (orders, taken) = mpsc::channel(2);
        let peak = Arc::<AtomicU64>::default();
        let kept = Kept { name: name.to_owned(), program, status, orders: taken, peak: peak.clone(), address: None };
        Self { name: name.to_owned(), status: watched, orders, peak, task: env::spawn(kept.run()) }
    }

    /// Waits until the process serves, in a life after `life`; gives that life and where.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn up_after(&self, life: u32) -> Result<(u32, SocketAddr), Failure> {
        let mut status = self.status.clone();
        let is_decided = |status: &Status| match status {
            Status::Up { life: present, .. } => *present > life,
            Status::Ended(_) => true,
            Status::Starting => false,
        };
        let reached = status.wait_for(is_decided).await.map(|status| status.clone());
        match reached {
            Ok(Status::Up { life, address, .. }) => Ok((life, address)),
            Ok(Status::Ended(Some(why))) => Err(Failure::failed(format!("keep {} running: {why}", self.name))),
            _ => Err(Failure::failed(format!("keep {} running: it was stopped", self.name))),
        }
    }

    /// Waits until the process is given up.
    pub(crate) async fn given_up(&self) -> Failure {
        match self.up_after(u32::MAX).await {
            Ok(_) => std::future::pending().await,
            Err(failure) => failure,
        }
    }

    /// Kills the process with SIGKILL, after which it is started again; gives when that was. It is gone when this answers.
    pub(crate) async fn kill(&self) -> Result<Instant, Failure> {
        let (answer, killed) = oneshot::channel();
        let gone = |name: &str| Failure::failed(format!("kill {name}: it is not running"));
        self.orders.send(Order::Kill(answer)).await.map_err(|_| gone(&self.name))?;
        killed.await.map_err(|_| gone(&self.name))
    }

    /// The most memory that this life or one that was killed has held; zero when that is not known.
    pub(crate) fn peak_rss_bytes(&self) -> u64 {
        let pid = match &*self.status.borrow() {
            Status::Up { pid, .. } => *pid,
            Status::Starting | Status::Ended(_) => None,
        };
        let present = pid.and_then(|pid| peak_rss_bytes(&pid.to_string()));
        self.peak.load(Ordering::Relaxed).max(present.unwrap_or(0))
    }

    /// Stops the process, in order if it can.
    pub(crate) async fn stop(&mut self) {
        let _ended_already = self.orders.send(Order::Stop).await;
        let _panicked_then = (&mut self.task).await;
    }
}

struct Kept {
    name: String,
    program: Program,
    status: watch::Sender<Status>,
    orders: mpsc::Receiver<Order>,
    peak: Arc<AtomicU64>,
    address: Option<SocketAddr>,
}

/// Why a life is over.
enum Over {
    Ended(String),
    Stopped,
}

impl Kept {
    async fn run(mut self) {
        let mut failed = 0;
        for life in 1..=STARTS {
            self.status.send_replace(Status::Starting);
            let over = match self.begin().await {
                Ok(child) => {
                    failed = 0;
                    self.live(life, child).await
                }
                Err(over) => {
                    failed += 1;
                    over
                }
            };
            match over {
                Over::Stopped => return self.end(None),
                Over::Ended(why) if failed >= FAILED_STARTS || self.address.is_none() => return self.end(Some(why)),
                Over::Ended(why) => tracing::warn!(process = %self.name, life, why, "a process ended and is started again"),
            }
            if failed > 0 {
                tokio::time::sleep(PAUSE).await;
            }
        }
        self.end(Some(format!("it was started {STARTS} times")));
    }

    async fn begin(&mut self) -> Result<Child, Over> {
        let launch = (self.program)(self.address);
        let start = Child::start(&launch);
        tokio::pin!(start);
        loop {
            tokio::select! {
                child = &mut start => return child.map_err(|error| Over::Ended(error.to_string())),
                order = self.orders.recv() => match order {
                    // Nothing is running that could be killed: the one who asked is told by the dropped answer.
                    Some(Order::Kill(_)) => {}
                    Some(Order::Stop) | None => return Err(Over::Stopped),
                },
            }
        }
    }

    async fn live(&mut self, life: u32, mut child: Child) -> Over {
        self.address = Some(child.address());
        self.status.send_replace(Status::Up { life, address: child.address(), pid: child.pid() });
        let order = tokio::select! {
            why = child.ended() => return Over::Ended(why),
            order = self.orders.recv() => order,
        };
        let held = child.pid().and_then(|pid| peak_rss_bytes(&pid.to_string()));
        self.peak.fetch_max(held.unwrap_or(0), Ordering::Relaxed);
        let Some(Order::Kill(answer)) = order else {
            child.stop().await;
            return Over::Stopped;
        };
        let at = Instant::now();
        if let Err(error) = child.kill() {
            return Over::Ended(error.to_string());
        }
        let why = child.ended().await;
        self.status.send_replace(Status::Starting);
        let _nobody_waits = answer.send(at);
        Over::Ended(why)
    }

    fn end(&self, why: Option<String>) {
        self.status.send_replace(Status::Ended(why));
    }
}

#[cfg(test)]
#[path = "keeper_test.rs"]
mod tests;
